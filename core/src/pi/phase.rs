//! Angles as codes of a lane.

use core::f32::consts::TAU;

use super::{PiCalibration, PiError};
use crate::lane::PrecisionLane;

/// Encodes angles, all around the circle, by the 2^b arcs of a lane: b = 3, 5 or 7.
///
/// Code q stands for the middle of its arc, [`PiCalibration::phase_encode`]. Angles are taken modulo
/// 2π, so there is no saturation, and −π and π have the same code. The error is at most half an arc,
/// π/2^b, measured along the circle.
///
/// ```
/// use trilane_core::{lane::PrecisionLane, pi::PhaseEncoder};
/// let encoder = PhaseEncoder::new(PrecisionLane::Bit7)?;
/// let code = encoder.encode(1.0)?;
/// assert!((encoder.decode(code) - 1.0).abs() <= encoder.half_arc());
/// assert_eq!(encoder.encode(1.0 + core::f32::consts::TAU)?, code);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhaseEncoder {
    calibration: PiCalibration,
}

impl PhaseEncoder {
    /// The encoder of Bit3, Bit5 or Bit7.
    ///
    /// # Errors
    /// [`PiError::Lane`] for another lane.
    pub const fn new(lane: PrecisionLane) -> Result<Self, PiError> {
        match PiCalibration::for_lane(lane) {
            Ok(calibration) => Ok(Self { calibration }),
            Err(error) => Err(error),
        }
    }

    /// π/2^b, the greatest error, in radians.
    pub const fn half_arc(&self) -> f32 {
        self.calibration.phase_offset()
    }

    /// `⌊θ/s⌋` modulo 2^b, for an angle in radians; `|θ| ≤ 2²⁰`. Ordered: θ is first reduced by whole
    /// turns of f32's 2π, which is 1.7·10⁻⁷ too large, for each turn.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`](crate::error::ArgumentError::Parameter) for an angle beyond 2²⁰ or NaN.
    pub fn encode(&self, angle: f32) -> Result<i8, PiError> {
        const LIMIT: f32 = 1_048_576.0;
        crate::error::check_parameter("angle", angle, -LIMIT, LIMIT)?;
        let turned = angle - TAU * libm::rintf(angle / TAU);
        let arc = libm::floorf(turned / self.calibration.scale()) as i32;
        let half = i32::from(self.calibration.greatest_code()) + 1;
        // −π..π is −half..half; half itself is the same place as −half.
        Ok(((arc + half).rem_euclid(2 * half) - half) as i8)
    }

    /// The angle of a code, in (−π, π) for the lane's codes. Ordered.
    pub const fn decode(&self, code: i8) -> f32 {
        self.calibration.phase_encode(code)
    }

    /// `⌊φ/(s/2)⌋` less 2^(b−1), for an angle of half a turn, 0 ≤ φ ≤ π: the same codes with arcs half
    /// as long, since no angle lies on the other side. Ordered. Angles beyond saturate.
    pub fn encode_half(&self, angle: f32) -> i8 {
        let half = f32::from(self.calibration.greatest_code()) + 1.0;
        let arc = libm::floorf(angle / self.half_arc()).clamp(0.0, 2.0 * half - 1.0);
        (arc - half) as i8
    }

    /// The angle of a code of [`encode_half`](Self::encode_half), in (0, π). Ordered.
    pub const fn decode_half(&self, code: i8) -> f32 {
        let half = self.calibration.greatest_code() as f32 + 1.0;
        self.half_arc() * (code as f32 + half + 0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ArgumentError;
    use core::f32::consts::PI;

    #[test]
    fn every_angle_comes_back_to_half_an_arc() {
        for lane in PrecisionLane::NESTED {
            let encoder = PhaseEncoder::new(lane).unwrap();
            let slack = 1e-5;
            for i in -40_000..=40_000 {
                let angle = i as f32 * 0.001;
                let error = encoder.decode(encoder.encode(angle).unwrap()) - angle;
                let error = error - TAU * libm::rintf(error / TAU);
                assert!(error.abs() <= encoder.half_arc() + slack, "{lane}: {angle}");
            }
            for i in 0..=3_141 {
                let angle = i as f32 * 0.001;
                let error = encoder.decode_half(encoder.encode_half(angle)) - angle;
                assert!(error.abs() <= encoder.half_arc() / 2.0 + slack, "{lane}: {angle}");
            }
            let last = encoder.calibration.greatest_code();
            for code in -last - 1..=last {
                assert_eq!(encoder.encode(encoder.decode(code)), Ok(code));
                assert_eq!(encoder.encode_half(encoder.decode_half(code)), code);
            }
            assert_eq!(encoder.encode(PI), encoder.encode(-PI));
            assert_eq!((encoder.encode_half(9.0), encoder.encode_half(-1.0)), (last, -last - 1));
        }
    }

    #[test]
    fn angles_that_are_no_numbers_are_refused() {
        let encoder = PhaseEncoder::new(PrecisionLane::Bit3).unwrap();
        for angle in [f32::NAN, f32::INFINITY, 2e6] {
            assert!(
                matches!(
                    encoder.encode(angle),
                    Err(PiError::Argument(ArgumentError::Parameter { .. }))
                ),
                "{angle}"
            );
        }
        assert!(PhaseEncoder::new(PrecisionLane::Float32).is_err());
    }
}
