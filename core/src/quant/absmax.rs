//! Plain int8: one scale for the whole vector.

use super::{QuantError, max_magnitude, round_i8};

/// `s = max|x| / 127`, `q[i] = round(x[i] / s)` to nearest, ties to even; returns `s`.
///
/// Shapes: `x` and `q` alike. Range: −127..=127. A vector whose largest magnitude is below 2⁻¹⁰⁰
/// gives zeros and scale 0. Ordered: the quotient is `x · (127 / max|x|)`.
///
/// # Errors
/// [`QuantError::Length`] when the lengths differ, [`QuantError::NotFinite`] for NaN or infinity.
///
/// ```
/// let mut q = [0i8; 3];
/// let scale = trilane_core::quant::quantize_absmax(&[0.5, -1.27, 0.01], &mut q)?;
/// assert_eq!((q, scale), ([50, -127, 1], 0.01));
/// # Ok::<(), trilane_core::quant::QuantError>(())
/// ```
pub fn quantize_absmax(x: &[f32], q: &mut [i8]) -> Result<f32, QuantError> {
    if x.len() != q.len() {
        return Err(QuantError::Length { expected: x.len(), actual: q.len() });
    }
    let max = max_magnitude(x)?;
    if max < super::activations::SMALLEST {
        q.fill(0);
        return Ok(0.0);
    }
    let inverse = 127.0 / max;
    for (q, x) in q.iter_mut().zip(x) {
        *q = round_i8(x * inverse);
    }
    Ok(max / 127.0)
}
