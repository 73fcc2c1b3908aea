//! Hyperspherical coordinates.

use super::PiError;
use crate::error::{ArgumentError, check_lengths, check_values};

/// A vector as its length and n − 1 angles, and back.
///
/// ```text
/// x₁ = r·cos φ₁        x₂ = r·sin φ₁·cos φ₂        …
/// xₙ₋₁ = r·sin φ₁ ⋯ sin φₙ₋₂·cos φₙ₋₁              xₙ = r·sin φ₁ ⋯ sin φₙ₋₂·sin φₙ₋₁
/// φₖ = atan2(√(xₖ₊₁² + … + xₙ²), xₖ) ∈ [0, π],     φₙ₋₁ = atan2(xₙ, xₙ₋₁) ∈ [−π, π]
/// ```
///
/// Angles are f64, which carries the round trip: a coordinate of at least 2⁻²⁰ of the length comes back
/// to the same bits of f32, a smaller one to within 2⁻⁴⁴ of the length (and half an ulp), for up to 4096
/// dimensions; the tests measure both. Ordered: `libm`'s f64 `sqrt`, `atan2`, `sin` and `cos`.
///
/// ```
/// use trilane_core::pi::HypersphericalProjection;
/// let x = [3.0, -4.0, 12.0, 84.0];
/// let mut angles = [0.0; 3];
/// let radius = HypersphericalProjection::forward(&x, &mut angles)?;
/// assert_eq!(radius, 85.0);
/// let mut back = [0.0; 4];
/// HypersphericalProjection::inverse(radius, &angles, &mut back)?;
/// assert_eq!(back, x);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HypersphericalProjection;

impl HypersphericalProjection {
    /// The angles of `x`, in radians; returns its length r. Shapes: `angles` one shorter than `x`. The
    /// zero vector has angles 0.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::NotFinite`] or [`ArgumentError::Length`].
    pub fn forward(x: &[f32], angles: &mut [f64]) -> Result<f64, PiError> {
        check_values(x)?;
        check_lengths(x.len() - 1, angles.len())?;
        let Some((&last, rest)) = x.split_last() else {
            return Err(PiError::Argument(ArgumentError::Empty));
        };
        // From the end: the square of the length of what follows. Squares of f32 neither overflow nor
        // vanish in f64, and a product of two f32 is exact there.
        let mut tail = f64::from(last);
        let mut squares = tail * tail;
        for (&x, angle) in rest.iter().zip(angles.iter_mut()).rev() {
            let x = f64::from(x);
            *angle = libm::atan2(tail, x);
            squares += x * x;
            tail = libm::sqrt(squares);
        }
        Ok(libm::fabs(tail))
    }

    /// The vector of a length and angles. Shapes: `x` one longer than `angles`. Any angles will do; a
    /// single coordinate comes back without its sign.
    ///
    /// # Errors
    /// [`ArgumentError::Length`], or [`ArgumentError::NotFinite`] for the position of an angle, or of the length
    /// behind the last one.
    pub fn inverse(radius: f64, angles: &[f64], x: &mut [f32]) -> Result<(), PiError> {
        check_lengths(angles.len() + 1, x.len())?;
        if let Some(index) = angles.iter().chain([&radius]).position(|v| !v.is_finite()) {
            return Err(PiError::Argument(ArgumentError::NotFinite { index }));
        }
        let Some((last, rest)) = x.split_last_mut() else { return Ok(()) };
        let mut tail = radius;
        for (x, &angle) in rest.iter_mut().zip(angles) {
            *x = (tail * libm::cos(angle)) as f32;
            tail *= libm::sin(angle);
        }
        *last = tail as f32;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_short_vectors_and_extremes() {
        for x in [[0.0f32, 0.0, 0.0], [0.0, 0.0, -2.0], [0.0, -5.0, 0.0], [-1.0, 0.0, 0.0]] {
            let (mut angles, mut back) = ([0.0; 2], [9.0; 3]);
            let radius = HypersphericalProjection::forward(&x, &mut angles).unwrap();
            HypersphericalProjection::inverse(radius, &angles, &mut back).unwrap();
            for (x, y) in x.iter().zip(back) {
                assert!((f64::from(x - y)).abs() <= radius * 1e-15, "{x} {y}");
            }
        }
        let mut angles = [0.0; 1];
        for x in [[f32::MAX, -f32::MAX], [1e-45, -1e-45], [f32::MAX, 1e-45]] {
            let radius = HypersphericalProjection::forward(&x, &mut angles).unwrap();
            let mut back = [0.0; 2];
            HypersphericalProjection::inverse(radius, &angles, &mut back).unwrap();
            assert_eq!(back, x);
        }
        assert_eq!(HypersphericalProjection::forward(&[-3.0], &mut []), Ok(3.0));
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut angles = [0.0; 2];
        let forward = HypersphericalProjection::forward;
        assert_eq!(forward(&[], &mut angles), Err(PiError::Argument(ArgumentError::Empty)));
        assert_eq!(
            forward(&[1.0, f32::NAN, 0.0], &mut angles),
            Err(PiError::Argument(ArgumentError::NotFinite { index: 1 }))
        );
        let lengths = PiError::Argument(ArgumentError::Length { expected: 1, actual: 2 });
        assert_eq!(forward(&[1.0, 2.0], &mut angles), Err(lengths));
        let mut x = [0.0; 3];
        let inverse = HypersphericalProjection::inverse;
        let lengths = PiError::Argument(ArgumentError::Length { expected: 2, actual: 3 });
        assert_eq!(inverse(1.0, &[0.0], &mut x), Err(lengths));
        let nan = [0.0, f64::NAN];
        assert_eq!(
            inverse(1.0, &nan, &mut x),
            Err(PiError::Argument(ArgumentError::NotFinite { index: 1 }))
        );
        assert_eq!(
            inverse(f64::INFINITY, &[0.0; 2], &mut x),
            Err(PiError::Argument(ArgumentError::NotFinite { index: 2 }))
        );
    }
}
