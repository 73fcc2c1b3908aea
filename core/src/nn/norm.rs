//! Norms over a vector.

use super::same_len;
use crate::error::ShapeError;
use crate::kernel::Backend;
use core::fmt;

/// What can go wrong with a norm.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum NormError {
    /// A slice does not match the vector.
    Shape(ShapeError),
    /// The mean square, or variance, is infinite or NaN: a value is, or is beyond about 10¹⁹, where
    /// its square overflows.
    NotFinite {
        /// Values in the vector.
        len: usize,
        /// Their mean square, or variance.
        mean_square: f32,
    },
}

impl fmt::Display for NormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Shape(e) => e.fmt(f),
            Self::NotFinite { len, mean_square } => {
                write!(f, "norm of {len} values: their mean square is {mean_square}")
            }
        }
    }
}

impl core::error::Error for NormError {}

impl From<ShapeError> for NormError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

/// `y[i] = x[i] · r · gain[i]`, `r = 1/√(Σx²/n + eps)` (Zhang and Sennrich 2019).
///
/// Shapes: `x`, `gain` and `y` alike. Ordered: the sum over sixteen lanes, then division, addition
/// and a correctly rounded reciprocal root; the product from the left.
///
/// # Errors
/// [`ShapeError::Length`] when `gain` or `y` does not match `x`, [`NormError::NotFinite`] when
/// Σx² is infinite or NaN; `y` then means nothing. Never for an empty `x`.
pub fn rms_norm(
    backend: impl Backend,
    x: &[f32],
    gain: &[f32],
    eps: f32,
    y: &mut [f32],
) -> Result<(), NormError> {
    same_len(x.len(), gain.len())?;
    same_len(x.len(), y.len())?;
    let mean_square = backend.rms_norm(x, gain, eps, y);
    if mean_square.is_finite() || x.is_empty() {
        Ok(())
    } else {
        Err(NormError::NotFinite { len: x.len(), mean_square })
    }
}

/// `y[i] = (x[i] − m) · r · gain[i] + bias[i]`, `m = Σx/n`, `r = 1/√(v + eps)`, `v = Σ(x − m)²/n`
/// (Ba, Kiros and Hinton 2016).
///
/// Shapes: `x`, `gain`, `bias` and `y` alike. Ordered: both sums over sixteen lanes, then as
/// [`rms_norm`]; the bias is added last.
///
/// # Errors
/// [`ShapeError::Length`] when a slice does not match `x`, [`NormError::NotFinite`] with the
/// variance when that is infinite or NaN; `y` then means nothing. Never for an empty `x`.
pub fn layer_norm(
    backend: impl Backend,
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    eps: f32,
    y: &mut [f32],
) -> Result<(), NormError> {
    same_len(x.len(), gain.len())?;
    same_len(x.len(), bias.len())?;
    same_len(x.len(), y.len())?;
    let mean_square = backend.layer_norm(x, gain, bias, eps, y);
    if mean_square.is_finite() || x.is_empty() {
        Ok(())
    } else {
        Err(NormError::NotFinite { len: x.len(), mean_square })
    }
}

/// `x[i] = e^(x[i] − max x) / Σ_j e^(x[j] − max x)`, in place.
///
/// Ordered: maximum and sum over sixteen lanes. An empty slice stays empty.
pub fn softmax(backend: impl Backend, x: &mut [f32]) {
    backend.softmax(x);
}
