//! Scales derived from π, and what the round trip through them costs.

use crate::error::ArgumentError;
use core::f32::consts::PI;

use super::PiError;
use crate::lane::PrecisionLane;

/// The step of Bit3, π/4: eight codes go once around the circle.
pub const PI_SCALE_3BIT: f32 = PI / 4.0;
/// The step of Bit5, π/16: 32 codes go once around the circle.
pub const PI_SCALE_5BIT: f32 = PI / 16.0;
/// The step of Bit7, π/64: 128 codes go once around the circle.
pub const PI_SCALE_7BIT: f32 = PI / 64.0;

/// The constants of a lane of b bits.
///
/// | | formula | Bit3 | Bit5 | Bit7 |
/// |---|---|---|---|---|
/// | [`scale`](Self::scale) | s = π/2^(b−1) | π/4 | π/16 | π/64 |
/// | [`phase_offset`](Self::phase_offset) | s/2 = π/2^b | π/8 | π/32 | π/128 |
/// | [`norm_factor`](Self::norm_factor) | n/π, n = 2^(b−1) − 1 | 3/π | 15/π | 63/π |
/// | [`antiresonance`](Self::antiresonance) | a = (π − 3)/2^b | 0.0177 | 0.00442 | 0.00111 |
/// | codes | −2^(b−1) ..= n | −4..=3 | −16..=15 | −64..=63 |
///
/// So the 2^b codes are 2^b equal arcs of the circle −π..π. Whether a value sits on a power-of-two
/// grid or not, the error is the same as that of any other uniform quantiser with this step
/// (`docs/pi.md` has bias and error beside plain rounding); what π gives is a step that divides the
/// circle, which [`PhaseEncoder`](super::PhaseEncoder) needs, and no ties for dyadic values.
///
/// ```
/// use trilane_core::{lane::PrecisionLane, pi::{PI_SCALE_5BIT, PiCalibration}};
/// let calibration = PiCalibration::for_lane(PrecisionLane::Bit5)?;
/// assert_eq!(calibration.scale(), PI_SCALE_5BIT);
/// let normalized = calibration.normalize(1.0)?;
/// assert_eq!(normalized, 15.0 / core::f32::consts::PI);
/// let code = calibration.pi_quantize(1.0)?;
/// assert_eq!(code, 5);
/// let back = calibration.pi_dequantize(code);
/// assert!((back - 1.0).abs() <= calibration.scale() / 2.0);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PiCalibration {
    lane: PrecisionLane,
    scale: f32,
}

impl PiCalibration {
    /// The constants of Bit3, Bit5 or Bit7.
    ///
    /// # Errors
    /// [`PiError::Lane`] for another lane.
    pub const fn for_lane(lane: PrecisionLane) -> Result<Self, PiError> {
        let scale = match lane {
            PrecisionLane::Bit3 => PI_SCALE_3BIT,
            PrecisionLane::Bit5 => PI_SCALE_5BIT,
            PrecisionLane::Bit7 => PI_SCALE_7BIT,
            PrecisionLane::Ternary | PrecisionLane::Float32 => return Err(PiError::Lane(lane)),
        };
        Ok(Self { lane, scale })
    }

    /// The lane.
    pub const fn lane(&self) -> PrecisionLane {
        self.lane
    }

    /// The step s.
    pub const fn scale(&self) -> f32 {
        self.scale
    }

    /// Half a step, the middle of the arc of code 0.
    pub const fn phase_offset(&self) -> f32 {
        self.scale / 2.0
    }

    /// The greatest code n, 2^(b−1) − 1; the least is −n − 1.
    pub const fn greatest_code(&self) -> i8 {
        ((1u8 << (self.lane.code_bits() - 1)) - 1) as i8
    }

    /// n/π, which takes −π..π to −n..n.
    pub const fn norm_factor(&self) -> f32 {
        self.greatest_code() as f32 / PI
    }

    /// The published offset a, in steps: `round(x/s + a)` moves ties off dyadic values when it is
    /// added before rounding and taken off after. It does not lower the error and moves zero off
    /// zero, as `docs/pi.md` shows, so no quantiser here adds it.
    pub const fn antiresonance(&self) -> f32 {
        // π − 3, rounded once.
        0.141_592_65 / (1u32 << self.lane.code_bits()) as f32
    }

    /// `x · n/π`: x in units in which −π..π is −n..n. Ordered.
    ///
    /// # Errors
    /// [`ArgumentError::NotFinite`] for NaN or infinity.
    pub fn normalize(&self, x: f32) -> Result<f32, PiError> {
        Ok(finite(x)? * self.norm_factor())
    }

    /// `clamp(round(x / s), −n − 1, n)`, ties to even. Ordered.
    ///
    /// The round trip is exact to half a step: `|s·q − x| ≤ s/2·(1 + 2⁻¹⁶)` for
    /// `−(n + 1½)·s ≤ x ≤ (n + ½)·s`, the small term for two roundings of f32; beyond, the code
    /// saturates.
    ///
    /// # Errors
    /// [`ArgumentError::NotFinite`] for NaN or infinity.
    pub fn pi_quantize(&self, x: f32) -> Result<i8, PiError> {
        Ok(self.saturate(finite(x)? / self.scale))
    }

    /// The code nearest to a number of steps.
    pub(super) fn saturate(&self, steps: f32) -> i8 {
        let n = self.greatest_code();
        libm::rintf(steps).clamp(-f32::from(n) - 1.0, f32::from(n)) as i8
    }

    /// `s · q`. Ordered. A code outside the lane's range is taken as it is.
    pub const fn pi_dequantize(&self, code: i8) -> f32 {
        self.scale * code as f32
    }

    /// `s·q + s/2`, the angle in the middle of the arc of a code, in radians. Ordered.
    ///
    /// The 2^b angles are equally spaced and symmetric: code −1 − q has exactly the negative angle of
    /// code q, none is 0 or π, and all lie in (−π, π).
    pub const fn phase_encode(&self, code: i8) -> f32 {
        self.scale * (code as f32 + 0.5)
    }
}

fn finite(x: f32) -> Result<f32, PiError> {
    if x.is_finite() {
        Ok(x)
    } else {
        Err(PiError::Argument(ArgumentError::NotFinite { index: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_the_published_ones() {
        for (lane, bits, n) in [
            (PrecisionLane::Bit3, 3, 3.0),
            (PrecisionLane::Bit5, 5, 15.0),
            (PrecisionLane::Bit7, 7, 63.0),
        ] {
            let c = PiCalibration::for_lane(lane).unwrap();
            let power = 2f32.powi(bits);
            assert_eq!(c.scale(), PI / (power / 2.0));
            assert_eq!(c.phase_offset(), PI / power);
            assert_eq!(c.norm_factor(), n / PI);
            let exact = (core::f64::consts::PI - 3.0) / f64::from(power);
            assert_eq!(c.antiresonance(), exact as f32);
            assert_eq!(f32::from(c.greatest_code()), n);
        }
    }

    #[test]
    fn other_lanes_and_values_that_are_no_numbers_are_refused() {
        for lane in [PrecisionLane::Ternary, PrecisionLane::Float32] {
            assert_eq!(PiCalibration::for_lane(lane), Err(PiError::Lane(lane)));
        }
        let c = PiCalibration::for_lane(PrecisionLane::Bit3).unwrap();
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(
                c.pi_quantize(x),
                Err(PiError::Argument(ArgumentError::NotFinite { index: 0 }))
            );
            assert_eq!(
                c.normalize(x),
                Err(PiError::Argument(ArgumentError::NotFinite { index: 0 }))
            );
        }
        assert_eq!(c.pi_quantize(f32::MAX), Ok(3));
        assert_eq!(c.pi_quantize(f32::MIN), Ok(-4));
    }
}
