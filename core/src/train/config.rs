//! Configurations, checked when they are built.

use super::compress::{MOST_PARAMETERS, budget, check_count};
use crate::error::{ArgumentError, check_parameter};

/// How gradients are compressed.
///
/// ```
/// use trilane_core::train::VSAConfig;
/// let config = VSAConfig::builder().dimension(8192).compression_ratio(0.1).seed(42).build()?;
/// assert_eq!(config, VSAConfig::default());
/// assert!(VSAConfig::builder().compression_ratio(0.0).build().is_err());
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VSAConfig {
    dimension: usize,
    compression_ratio: f32,
    seed: u64,
}

impl Default for VSAConfig {
    /// Dimension 8192, ratio 0.1, seed 42.
    fn default() -> Self {
        Self { dimension: 8192, compression_ratio: 0.1, seed: 42 }
    }
}

impl VSAConfig {
    /// The default, to change.
    pub fn builder() -> VSAConfigBuilder {
        VSAConfigBuilder(Self::default())
    }

    /// The least words of a message.
    pub const fn dimension(&self) -> usize {
        self.dimension
    }

    /// Words sent for each parameter.
    pub const fn compression_ratio(&self) -> f32 {
        self.compression_ratio
    }

    /// What is chosen by chance depends on it.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Words of a message of n parameters: ratio · n, at least the dimension, at most n.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for no parameters or more than 2³⁰.
    pub fn words(&self, parameters: usize) -> Result<usize, ArgumentError> {
        Ok(budget(parameters, self.compression_ratio)?.max(self.dimension).min(parameters))
    }
}

/// A [`VSAConfig`] in the making.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct VSAConfigBuilder(VSAConfig);

impl VSAConfigBuilder {
    /// The least words of a message, so that small tensors stay accurate.
    pub const fn dimension(mut self, dimension: usize) -> Self {
        self.0.dimension = dimension;
        self
    }

    /// Words sent for each parameter, 2⁻²⁰..=1.
    pub const fn compression_ratio(mut self, ratio: f32) -> Self {
        self.0.compression_ratio = ratio;
        self
    }

    /// What is chosen by chance depends on it.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for a dimension not in 1..=2³⁰, [`ArgumentError::Parameter`] for a ratio
    /// outside 2⁻²⁰..=1.
    pub fn build(self) -> Result<VSAConfig, ArgumentError> {
        check_count("dimension", self.0.dimension, 1, MOST_PARAMETERS)?;
        budget(1, self.0.compression_ratio)?;
        Ok(self.0)
    }
}

/// How gradients are accumulated in trits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TernaryConfig {
    accumulation_steps: u32,
    use_stochastic_rounding: bool,
    seed: u64,
}

impl Default for TernaryConfig {
    /// 8 gradients an update, stochastic rounding, seed 42.
    fn default() -> Self {
        Self { accumulation_steps: 8, use_stochastic_rounding: true, seed: 42 }
    }
}

impl TernaryConfig {
    /// The default, to change.
    pub fn builder() -> TernaryConfigBuilder {
        TernaryConfigBuilder(Self::default())
    }

    /// Gradients of an update.
    pub const fn accumulation_steps(&self) -> u32 {
        self.accumulation_steps
    }

    /// Whether rounding is unbiased.
    pub const fn use_stochastic_rounding(&self) -> bool {
        self.use_stochastic_rounding
    }

    /// What the draws depend on, with step and index.
    pub const fn seed(&self) -> u64 {
        self.seed
    }
}

/// A [`TernaryConfig`] in the making.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct TernaryConfigBuilder(TernaryConfig);

impl TernaryConfigBuilder {
    /// Gradients of an update, 1..=2³⁰.
    pub const fn accumulation_steps(mut self, steps: u32) -> Self {
        self.0.accumulation_steps = steps;
        self
    }

    /// Unbiased rounding, or to nearest.
    pub const fn use_stochastic_rounding(mut self, stochastic: bool) -> Self {
        self.0.use_stochastic_rounding = stochastic;
        self
    }

    /// What the draws depend on.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for steps outside 1..=2³⁰.
    pub fn build(self) -> Result<TernaryConfig, ArgumentError> {
        check_count("accumulation steps", self.0.accumulation_steps as usize, 1, 1 << 30)?;
        Ok(self.0)
    }
}

/// How plain slices of gradients are compressed: what `GradientCompressor` of `trilane-std` takes.
/// Values are checked where they are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingConfig {
    compression_ratio: f32,
    seed: u64,
    gradient_clipping: Option<f32>,
}

impl Default for TrainingConfig {
    /// Ratio 0.1, seed 42, no clipping.
    fn default() -> Self {
        Self { compression_ratio: 0.1, seed: 42, gradient_clipping: None }
    }
}

impl TrainingConfig {
    /// Words sent for each parameter, 2⁻²⁰..=1.
    #[must_use]
    pub const fn with_compression_ratio(mut self, ratio: f32) -> Self {
        self.compression_ratio = ratio;
        self
    }

    /// What is chosen by chance depends on it.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Gradients longer than this are shortened to it before they are compressed.
    #[must_use]
    pub const fn with_gradient_clipping(mut self, max_norm: f32) -> Self {
        self.gradient_clipping = Some(max_norm);
        self
    }

    /// Words sent for each parameter.
    pub const fn compression_ratio(&self) -> f32 {
        self.compression_ratio
    }

    /// What is chosen by chance depends on it.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The greatest length of a gradient.
    pub const fn gradient_clipping(&self) -> Option<f32> {
        self.gradient_clipping
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`] for a ratio outside 2⁻²⁰..=1, or a greatest length outside
    /// 2⁻¹⁰⁰..=2¹⁰⁰.
    pub fn check(&self) -> Result<(), ArgumentError> {
        budget(1, self.compression_ratio)?;
        let most = (1u128 << 100) as f32;
        match self.gradient_clipping {
            Some(length) => check_parameter("gradient clipping", length, 1.0 / most, most),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_are_refused() {
        for ratio in [0.0, -0.1, 1.01, f32::NAN, f32::INFINITY, 1e-9] {
            let vsa = VSAConfig::builder().compression_ratio(ratio).build();
            assert!(matches!(vsa, Err(ArgumentError::Parameter { .. })), "{ratio}");
            assert!(TrainingConfig::default().with_compression_ratio(ratio).check().is_err());
        }
        for length in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(TrainingConfig::default().with_gradient_clipping(length).check().is_err());
        }
        assert!(TrainingConfig::default().with_gradient_clipping(1.0).with_seed(3).check().is_ok());
        assert!(VSAConfig::builder().dimension(0).build().is_err());
        assert!(TernaryConfig::builder().accumulation_steps(0).build().is_err());
    }

    #[test]
    fn messages_have_at_least_the_dimension_and_at_most_n_words() {
        let config = VSAConfig::builder().dimension(100).seed(1).build().unwrap();
        assert_eq!([10, 500, 5000].map(|n| config.words(n).unwrap()), [10, 100, 500]);
        assert!(config.words(0).is_err());
    }
}
