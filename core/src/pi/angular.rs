//! Directions of vectors: true angles, and directions as codes of a lane.

use super::{PhaseEncoder, PiError};
use crate::error::{ArgumentError, check_lengths, check_values};
use crate::lane::PrecisionLane;

/// Directions: n − 1 angle codes of a lane for a vector of n values, whatever its length.
///
/// The angles are those of [`HypersphericalProjection`](super::HypersphericalProjection); the first
/// n − 2 lie in half a turn and have arcs of π/2^b, the last lies in a whole turn and has arcs of
/// 2π/2^b. Codes depend on the direction alone and need no scale; rounding the coordinates with a scale
/// of their own turns a vector less, as `docs/pi.md` shows for 2 to 512 dimensions. Ordered.
///
/// ```
/// use trilane_core::{lane::PrecisionLane, pi::AngularEmbedding};
/// let angular = AngularEmbedding::new(PrecisionLane::Bit7)?;
/// let vector = [0.2, -0.4, 0.4];
/// let mut codes = [0; 2];
/// assert!((angular.project(&vector, &mut codes)? - 0.6).abs() < 1e-7);
///
/// let mut direction = [0.0; 3];
/// angular.direction(&codes, &mut direction)?;
/// assert!(angular.angular_distance(&vector, &direction)? < 0.03);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AngularEmbedding {
    encoder: PhaseEncoder,
}

impl AngularEmbedding {
    /// Directions by Bit3, Bit5 or Bit7.
    ///
    /// # Errors
    /// [`PiError::Lane`] for another lane.
    pub const fn new(lane: PrecisionLane) -> Result<Self, PiError> {
        match PhaseEncoder::new(lane) {
            Ok(encoder) => Ok(Self { encoder }),
            Err(error) => Err(error),
        }
    }

    /// The codes of a vector's angles; returns its length. Shapes: `codes` one shorter than `x`. The codes
    /// do not change when `x` is multiplied by a power of two.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::NotFinite`], [`ArgumentError::Length`], or [`PiError::Zero`] for the zero
    /// vector.
    pub fn project(&self, x: &[f32], codes: &mut [i8]) -> Result<f32, PiError> {
        check_values(x)?;
        check_lengths(x.len() - 1, codes.len())?;
        if x.iter().all(|&x| x == 0.0) {
            return Err(PiError::Zero);
        }
        let Some((&last, rest)) = x.split_last() else {
            return Err(PiError::Argument(ArgumentError::Empty));
        };
        let mut tail = f64::from(last);
        let mut squares = tail * tail;
        for (i, (&x, code)) in rest.iter().zip(codes.iter_mut()).rev().enumerate() {
            let x = f64::from(x);
            let angle = libm::atan2(tail, x) as f32;
            *code =
                if i == 0 { self.encoder.encode(angle)? } else { self.encoder.encode_half(angle) };
            squares += x * x;
            tail = libm::sqrt(squares);
        }
        Ok(libm::fabs(tail) as f32)
    }

    /// The unit vector of codes. Shapes: `x` one longer than `codes`.
    ///
    /// # Errors
    /// [`ArgumentError::Length`].
    pub fn direction(&self, codes: &[i8], x: &mut [f32]) -> Result<(), PiError> {
        check_lengths(codes.len() + 1, x.len())?;
        let Some((last, rest)) = x.split_last_mut() else { return Ok(()) };
        let mut tail = 1.0f64;
        for (i, (x, &code)) in rest.iter_mut().zip(codes).enumerate() {
            let angle = if i + 1 == codes.len() {
                self.encoder.decode(code)
            } else {
                self.encoder.decode_half(code)
            };
            *x = (tail * libm::cos(f64::from(angle))) as f32;
            tail *= libm::sin(f64::from(angle));
        }
        *last = tail as f32;
        Ok(())
    }

    /// The angle between two vectors, in radians, 0..=π:
    /// `2·atan2(‖u − v‖, ‖u + v‖)`, u and v being a and b brought to unit length (Kahan 2006).
    ///
    /// It is accurate for small and for nearly opposite angles too, where the arc cosine of a cosine loses
    /// half of the digits: the error is below 2·10⁻¹⁵ plus an ulp of f32 relative to the angle.
    /// Ordered: sums in f64, in order.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::NotFinite`], [`ArgumentError::Length`], or [`PiError::Zero`] when a vector
    /// is zero.
    pub fn angular_distance(&self, a: &[f32], b: &[f32]) -> Result<f32, PiError> {
        check_lengths(a.len(), b.len())?;
        let (norm_a, norm_b) = (norm(a)?, norm(b)?);
        let (mut difference, mut sum) = (0.0f64, 0.0f64);
        for (&a, &b) in a.iter().zip(b) {
            let (u, v) = (f64::from(a) / norm_a, f64::from(b) / norm_b);
            difference += (u - v) * (u - v);
            sum += (u + v) * (u + v);
        }
        Ok((2.0 * libm::atan2(libm::sqrt(difference), libm::sqrt(sum))) as f32)
    }
}

/// The length of a vector that is not zero.
fn norm(x: &[f32]) -> Result<f64, PiError> {
    check_values(x)?;
    let squares = x.iter().fold(0.0, |sum, &x| sum + f64::from(x) * f64::from(x));
    if squares > 0.0 { Ok(libm::sqrt(squares)) } else { Err(PiError::Zero) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_arguments_are_refused() {
        let angular = AngularEmbedding::new(PrecisionLane::Bit5).unwrap();
        let mut codes = [0; 1];
        assert_eq!(angular.project(&[], &mut codes), Err(PiError::Argument(ArgumentError::Empty)));
        assert_eq!(angular.project(&[0.0, -0.0], &mut codes), Err(PiError::Zero));
        assert_eq!(
            angular.project(&[0.0, f32::NAN], &mut codes),
            Err(PiError::Argument(ArgumentError::NotFinite { index: 1 }))
        );
        let lengths = PiError::Argument(ArgumentError::Length { expected: 2, actual: 1 });
        assert_eq!(angular.project(&[1.0; 3], &mut codes), Err(lengths));
        let lengths = PiError::Argument(ArgumentError::Length { expected: 2, actual: 3 });
        assert_eq!(angular.direction(&codes, &mut [0.0; 3]), Err(lengths));
        assert_eq!(angular.angular_distance(&[1.0], &[0.0]), Err(PiError::Zero));
        assert_eq!(
            angular.angular_distance(&[], &[]),
            Err(PiError::Argument(ArgumentError::Empty))
        );
        assert!(angular.angular_distance(&[1.0], &[1.0, 2.0]).is_err());
        assert!(AngularEmbedding::new(PrecisionLane::Ternary).is_err());
    }

    #[test]
    fn angles_of_known_vectors() {
        use core::f32::consts::{FRAC_PI_2, FRAC_PI_4, PI};
        let angular = AngularEmbedding::new(PrecisionLane::Bit7).unwrap();
        let distance = |a: &[f32], b: &[f32]| angular.angular_distance(a, b).unwrap();
        assert_eq!(distance(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), 0.0);
        assert_eq!(distance(&[1.0, 0.0], &[0.0, 7.0]), FRAC_PI_2);
        assert_eq!(distance(&[1.0, 0.0], &[5.0, 5.0]), FRAC_PI_4);
        assert_eq!(distance(&[1.0, -1.0], &[-3.0, 3.0]), PI);
        assert_eq!(distance(&[1.0, 0.0], &[1.0, 1e-20]), 1e-20);
        assert_eq!(distance(&[f32::MAX, f32::MAX], &[1e-40, 1e-40]), 0.0);
    }
}
