//! Calibration and drift of one lane together.

use super::{DriftConfig, DriftDetector, PiCalibration, PiError, QuantizationHonesty};
use crate::lane::PrecisionLane;

/// The constants of a lane, and the question whether signals quantised with them are honest.
///
/// ```
/// use trilane_core::{lane::PrecisionLane, pi::PiContext};
/// let pi_ctx = PiContext::new(PrecisionLane::Bit5)?;
/// let calibrated = pi_ctx.calibrate(1.0)?;
/// assert!((calibrated - 1.0).abs() <= core::f32::consts::PI / 32.0);
///
/// let original = [0.1, -0.5, 1.0];
/// let mut quantized = [0.0; 3];
/// for (q, x) in quantized.iter_mut().zip(original) {
///     *q = pi_ctx.calibrate(x)?;
/// }
/// assert!(pi_ctx.check_honesty(&original, &quantized)?.is_honest);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PiContext {
    calibration: PiCalibration,
    detector: DriftDetector,
}

impl PiContext {
    /// The context of Bit3, Bit5 or Bit7, with the lane's [`DriftConfig`].
    ///
    /// # Errors
    /// [`PiError::Lane`] for another lane.
    pub fn new(lane: PrecisionLane) -> Result<Self, PiError> {
        // No window is kept: a single dishonest block is all there is to go by.
        let config = DriftConfig { persistence: 1, ..DriftConfig::for_lane(lane)? };
        Ok(Self {
            calibration: PiCalibration::for_lane(lane)?,
            detector: DriftDetector::with_config(config)?,
        })
    }

    /// The constants.
    pub const fn calibration(&self) -> &PiCalibration {
        &self.calibration
    }

    /// x as the lane holds it: [`PiCalibration::pi_quantize`] and back. Ordered.
    ///
    /// # Errors
    /// [`ArgumentError::NotFinite`](crate::error::ArgumentError::NotFinite) for NaN or infinity.
    pub fn calibrate(&self, x: f32) -> Result<f32, PiError> {
        Ok(self.calibration.pi_dequantize(self.calibration.pi_quantize(x)?))
    }

    /// [`DriftDetector::check`] of one block by itself, without a trend: what is not honest escalates.
    ///
    /// # Errors
    /// Those of [`DriftDetector::check`].
    pub fn check_honesty(
        &self,
        original: &[f32],
        quantized: &[f32],
    ) -> Result<QuantizationHonesty, PiError> {
        self.detector.clone().check(original, quantized)
    }
}
