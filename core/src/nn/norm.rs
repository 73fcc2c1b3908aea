//! Norms over a vector.

use super::same_len;
use crate::error::ShapeError;
use crate::kernel::Backend;

/// `y[i] = x[i] · r · gain[i]`, `r = 1/√(Σx²/n + eps)` (Zhang and Sennrich 2019).
///
/// Shapes: `x`, `gain` and `y` alike. Ordered: the sum over sixteen lanes, then division, addition
/// and a correctly rounded reciprocal root; the product from the left.
///
/// # Errors
/// [`ShapeError::Length`] when `gain` or `y` does not match `x`.
pub fn rms_norm(
    backend: impl Backend,
    x: &[f32],
    gain: &[f32],
    eps: f32,
    y: &mut [f32],
) -> Result<(), ShapeError> {
    same_len(x.len(), gain.len())?;
    same_len(x.len(), y.len())?;
    backend.rms_norm(x, gain, eps, y);
    Ok(())
}

/// `x[i] = e^(x[i] − max x) / Σ_j e^(x[j] − max x)`, in place.
///
/// Ordered: maximum and sum over sixteen lanes. An empty slice stays empty.
pub fn softmax(backend: impl Backend, x: &mut [f32]) {
    backend.softmax(x);
}
