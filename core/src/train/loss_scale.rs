//! Scaling of losses, so that small gradients survive half precision (Micikevicius et al. 2018).

use super::compress::check_count;
use crate::error::{ArgumentError, check_parameter};

/// The range of scales: reciprocals stay normal, and nothing reaches infinity or zero.
const SCALES: (f32, f32) = (1.0 / (1u64 << 40) as f32, (1u64 << 40) as f32);

/// The factor on the loss: 65536 at first, doubled after 2000 steps without overflow, halved after one
/// with. It stays in 2⁻⁴⁰..=2⁴⁰. Ordered; exact as long as factors are powers of two.
///
/// ```
/// use trilane_core::train::LossScaler;
/// let mut scaler = LossScaler::default();
/// let mut gradients = [scaler.scale_loss(0.5), f32::INFINITY];
/// let overflow = LossScaler::check_overflow(&gradients);
/// scaler.unscale_gradients(&mut gradients);
/// scaler.update(overflow); // and leave this step out
/// assert_eq!((gradients[0], overflow, scaler.scale()), (0.5, true, 32768.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScaler {
    scale: f32,
    growth_factor: f32,
    backoff_factor: f32,
    growth_interval: u32,
    steps_since_growth: u32,
}

impl Default for LossScaler {
    fn default() -> Self {
        Self {
            scale: 65_536.0,
            growth_factor: 2.0,
            backoff_factor: 0.5,
            growth_interval: 2000,
            steps_since_growth: 0,
        }
    }
}

impl LossScaler {
    /// The default with another first scale.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`] for one outside 2⁻⁴⁰..=2⁴⁰.
    pub fn with_initial_scale(scale: f32) -> Result<Self, ArgumentError> {
        check_parameter("loss scale", scale, SCALES.0, SCALES.1)?;
        Ok(Self { scale, ..Self::default() })
    }

    /// Grows by `growth` after `interval` steps without overflow, and shrinks by `backoff`.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`] for a growth outside 1..=2¹⁶ or a backoff outside 2⁻¹⁶..=1,
    /// [`ArgumentError::Count`] for an interval of 0.
    pub fn with_factors(
        self,
        growth: f32,
        backoff: f32,
        interval: u32,
    ) -> Result<Self, ArgumentError> {
        check_parameter("growth factor", growth, 1.0, 65_536.0)?;
        check_parameter("backoff factor", backoff, 1.0 / 65_536.0, 1.0)?;
        check_count("growth interval", interval as usize, 1, u32::MAX as usize)?;
        Ok(Self {
            growth_factor: growth,
            backoff_factor: backoff,
            growth_interval: interval,
            ..self
        })
    }

    /// The factor.
    pub const fn scale(&self) -> f32 {
        self.scale
    }

    /// The loss to differentiate.
    pub const fn scale_loss(&self, loss: f32) -> f32 {
        loss * self.scale
    }

    /// Takes the factor out of gradients.
    pub fn unscale_gradients(&self, gradients: &mut [f32]) {
        let inverse = 1.0 / self.scale;
        gradients.iter_mut().for_each(|g| *g *= inverse);
    }

    /// Whether a value is NaN or infinite, so that the step must be left out.
    pub fn check_overflow(gradients: &[f32]) -> bool {
        gradients.iter().any(|g| !g.is_finite())
    }

    /// Counts a step.
    pub fn update(&mut self, overflow: bool) {
        let factor = if overflow {
            self.steps_since_growth = 0;
            self.backoff_factor
        } else {
            self.steps_since_growth += 1;
            if self.steps_since_growth < self.growth_interval {
                return;
            }
            self.steps_since_growth = 0;
            self.growth_factor
        };
        self.scale = (self.scale * factor).clamp(SCALES.0, SCALES.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_after_an_interval_and_shrinks_at_once() {
        let mut scaler = LossScaler::default();
        (0..1999).for_each(|_| scaler.update(false));
        assert_eq!(scaler.scale(), 65_536.0);
        scaler.update(false);
        assert_eq!(scaler.scale(), 131_072.0);
        (0..1999).for_each(|_| scaler.update(false));
        scaler.update(true);
        scaler.update(false);
        assert_eq!(scaler.scale(), 65_536.0);
    }

    #[test]
    fn it_never_reaches_infinity_or_zero() {
        let mut scaler = LossScaler::default().with_factors(65_536.0, 0.25, 1).unwrap();
        for overflow in [false, true] {
            (0..1000).for_each(|_| scaler.update(overflow));
            let mut one = [scaler.scale_loss(1.0)];
            scaler.unscale_gradients(&mut one);
            assert_eq!(one, [1.0]);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(matches!(
                LossScaler::with_initial_scale(scale),
                Err(ArgumentError::Parameter { .. })
            ));
        }
        let scaler = LossScaler::default();
        for (growth, backoff) in [(0.5, 0.5), (f32::NAN, 0.5), (2.0, 0.0), (2.0, f32::NAN)] {
            assert!(scaler.with_factors(growth, backoff, 1).is_err());
        }
        assert!(matches!(scaler.with_factors(2.0, 0.5, 0), Err(ArgumentError::Count { .. })));
    }
}
