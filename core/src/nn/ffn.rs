//! Feed-forward blocks.

use super::same_len;
use crate::error::ShapeError;
use crate::kernel::{Backend, Pool};

/// `gate[i] = silu(gate[i]) · up[i]`, the hidden layer of a gated feed-forward block
/// (SwiGLU, Shazeer 2020).
///
/// Shapes: `gate` and `up` alike. Ordered.
///
/// # Errors
/// [`ShapeError::Length`] when the lengths differ.
pub fn gate(
    backend: impl Backend,
    pool: &dyn Pool,
    gate: &mut [f32],
    up: &[f32],
) -> Result<(), ShapeError> {
    same_len(gate.len(), up.len())?;
    // An activation costs about as much as 64 integer multiply-adds.
    let work = 64 * gate.len();
    pool.spread(gate, 1, work, &|first, gate| {
        if let Some(up) = up.get(first..first + gate.len()) {
            backend.silu_product(gate, up);
        }
    });
    Ok(())
}
