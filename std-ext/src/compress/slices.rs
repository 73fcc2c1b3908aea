//! One vector in, one message out, nothing kept.

use trilane_core::error::ArgumentError;
use trilane_core::math::reduce;
use trilane_core::train::TrainingConfig;
use trilane_core::train::compress::{Codec, LinearSketch, Reading};

/// Compresses slices of gradients by binding and bundling ([`LinearSketch`], read as a projection).
///
/// Messages of the same length, ratio and seed add up word by word to the message of the summed
/// gradient. A vector without structure comes back with a cosine of √ratio, which no linear message of
/// that size can exceed; what it left out is the caller's to feed back
/// ([`settle`](trilane_core::train::compress::settle)). Ordered.
///
/// ```
/// use trilane_core::train::TrainingConfig;
/// use trilane_std::compress::GradientCompressor;
///
/// fn compress_gradients(gradients: Vec<f32>) -> Vec<f32> {
///     let config = TrainingConfig::default().with_compression_ratio(0.1);
///     let compressor = GradientCompressor::new(config);
///     let compressed = compressor.compress(&gradients, None).unwrap();
///     compressor.decompress(&compressed).unwrap()
/// }
///
/// assert_eq!(compress_gradients(vec![0.5; 1000]).len(), 1000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientCompressor {
    config: TrainingConfig,
}

/// What [`GradientCompressor::compress`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct CompressedGradient {
    /// The message.
    pub data: Vec<f32>,
    /// Values of the gradient.
    pub original_dim: usize,
    /// What the message's hashes depend on.
    pub seed: u64,
}

impl CompressedGradient {
    /// How many times smaller the message is.
    pub fn compression_ratio(&self) -> f32 {
        self.original_dim as f32 / self.data.len() as f32
    }
}

impl GradientCompressor {
    /// A compressor. The configuration is checked where it is used.
    pub const fn new(config: TrainingConfig) -> Self {
        Self { config }
    }

    /// A message of `ratio · n` words, at least one; `ratio` in place of the configured one.
    /// With gradient clipping, a gradient longer than that is shortened first.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::NotFinite`]; [`ArgumentError::Parameter`] for a ratio
    /// outside 2⁻²⁰..=1, a clipping that makes no sense, or a magnitude above 2⁹⁶.
    pub fn compress(
        &self,
        gradients: &[f32],
        ratio: Option<f32>,
    ) -> Result<CompressedGradient, ArgumentError> {
        self.config.check()?;
        if gradients.is_empty() {
            return Err(ArgumentError::Empty);
        }
        let (n, seed) = (gradients.len(), self.config.seed());
        let ratio = ratio.unwrap_or(self.config.compression_ratio());
        let codec = LinearSketch::with_ratio(n, ratio, seed, Reading::Projection)?;
        let mut message = vec![0; codec.message_words(0)];
        match self.config.gradient_clipping().map(|most| most / length(gradients)) {
            Some(factor) if factor < 1.0 => {
                let shorter: Vec<f32> = gradients.iter().map(|g| g * factor).collect();
                codec.encode(0, &shorter, &mut message)?;
            }
            _ => codec.encode(0, gradients, &mut message)?,
        }
        let data = message.into_iter().map(f32::from_bits).collect();
        Ok(CompressedGradient { data, original_dim: n, seed })
    }

    /// The least-squares reading of a message, or of the sum of several.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for a message that is empty or longer than its gradient,
    /// [`ArgumentError::NotFinite`].
    pub fn decompress(&self, compressed: &CompressedGradient) -> Result<Vec<f32>, ArgumentError> {
        let (n, width) = (compressed.original_dim, compressed.data.len());
        let codec = LinearSketch::new(n, width, compressed.seed, Reading::Projection)?;
        let message: Vec<u32> = compressed.data.iter().map(|v| v.to_bits()).collect();
        let mut gradients = vec![0.0; n];
        codec.add_decoded(&message, 1.0, &mut gradients)?;
        Ok(gradients)
    }
}

/// The length of a vector, of magnitudes whose squares may overflow.
fn length(x: &[f32]) -> f32 {
    let largest = x.iter().fold(f32::MIN_POSITIVE, |max, v| max.max(v.abs()));
    let scaled: Vec<f32> = x.iter().map(|v| v / largest).collect();
    largest * libm::sqrtf(reduce::sum_of_squares(&scaled))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn clipping_shortens_what_is_longer_and_nothing_else() {
        let gradients: Vec<f32> = (0..100).map(|i| 1e25 * (i as f32 - 50.0)).collect();
        let plain = GradientCompressor::new(TrainingConfig::default());
        let config = TrainingConfig::default().with_gradient_clipping(1.0);
        let clipped = GradientCompressor::new(config).compress(&gradients, Some(1.0)).unwrap();
        assert!((length(&clipped.data) - 1.0).abs() < 1e-5);
        let short = [0.01; 100];
        let clipped = GradientCompressor::new(config).compress(&short, None).unwrap();
        assert_eq!(clipped, plain.compress(&short, None).unwrap());
        assert_eq!((clipped.data.len(), clipped.compression_ratio()), (10, 10.0));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let compressor = GradientCompressor::new(TrainingConfig::default());
        for ratio in [0.0, -1.0, 1.1, f32::NAN] {
            assert!(matches!(
                compressor.compress(&[1.0], Some(ratio)),
                Err(ArgumentError::Parameter { .. })
            ));
        }
        assert_eq!(compressor.compress(&[], None), Err(ArgumentError::Empty));
        let nan = compressor.compress(&[0.0, f32::NAN], None);
        assert_eq!(nan, Err(ArgumentError::NotFinite { index: 1 }));
        let forged = CompressedGradient { data: vec![1.0; 9], original_dim: 8, seed: 1 };
        assert!(matches!(compressor.decompress(&forged), Err(ArgumentError::Count { .. })));
    }
}
