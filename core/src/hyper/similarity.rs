//! How alike two hypervectors are.

use super::TritPlanes;
use crate::error::{ArgumentError, check_lengths};
use crate::kernel::Backend;

/// `Σ a[i]·b[i]`, from −dim to dim. Exact.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn dot(
    backend: impl Backend,
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
) -> Result<i64, ArgumentError> {
    check_lengths(a.dim(), b.dim())?;
    Ok(backend.trit_dot(a, b))
}

/// `a·b / √(n_a·n_b)` with n the numbers of trits that are not 0, from −1 to 1; 0 when either has
/// none. Ordered: exact integers, one product, square root and quotient in f64, rounded to f32.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn cosine(
    backend: impl Backend,
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
) -> Result<f32, ArgumentError> {
    check_lengths(a.dim(), b.dim())?;
    let (dot, n, m) = backend.trit_gram(a, b);
    Ok(quotient(dot, n, m))
}

/// `dot / √(n·m)`, 0 for 0/0.
pub(super) fn quotient(dot: i64, n: u64, m: u64) -> f32 {
    if n == 0 || m == 0 {
        return 0.0;
    }
    // The root of a square, rounded, is what was squared.
    let norms = if n == m { n as f64 } else { libm::sqrt(n as f64 * m as f64) };
    (dot as f64 / norms) as f32
}

/// The number of positions where the vectors differ, 0 to dim. Exact.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn hamming_distance(
    backend: impl Backend,
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
) -> Result<u64, ArgumentError> {
    check_lengths(a.dim(), b.dim())?;
    Ok(backend.trit_distance(a, b))
}

/// `1 − distance / dim`, the share of positions that are the same. Ordered.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn hamming_similarity(
    backend: impl Backend,
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
) -> Result<f32, ArgumentError> {
    let distance = hamming_distance(backend, a, b)?;
    Ok((a.dim() as u64 - distance) as f32 / a.dim() as f32)
}
