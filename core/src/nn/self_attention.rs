//! Attention of some tokens over all tokens of a text, in both directions.

use super::{Attention, same_len};
use crate::error::ShapeError;
use crate::kernel::{Backend, Pool};

impl Attention {
    /// Floats of scratch for `queries` tokens over `tokens`: output and scores of each. The largest
    /// `usize` when it would take more.
    pub const fn self_scratch_len(&self, queries: usize, tokens: usize) -> usize {
        let width = self.heads.saturating_mul(self.head_dim);
        queries.saturating_mul(width.saturating_add(tokens))
    }

    /// `y_t = softmax(q_t · Kᵀ / √d) · V` for each of some tokens, over the keys and values of all,
    /// head by head as [`attend`](Self::attend) (Vaswani et al. 2017, without a mask).
    ///
    /// Shapes, token after token: `q` and `y` heads · head_dim, `keys` and `values`
    /// kv_heads · head_dim, `scratch` [`self_scratch_len`](Self::self_scratch_len). Ordered: dot
    /// products and the softmax sum over sixteen lanes, tokens summed in order.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when a slice has another size, or is no whole number of tokens.
    #[allow(clippy::too_many_arguments, reason = "inputs, output and scratch")]
    pub fn attend_all(
        &self,
        backend: impl Backend,
        pool: &dyn Pool,
        q: &[f32],
        keys: &[f32],
        values: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), ShapeError> {
        let dim = self.head_dim;
        let width = self.heads.saturating_mul(dim);
        let kv_width = self.kv_heads.saturating_mul(dim);
        let queries = q.len().checked_div(width).unwrap_or(0);
        let tokens = keys.len().checked_div(kv_width).unwrap_or(0);
        same_len(queries * width, q.len())?;
        same_len(tokens * kv_width, keys.len())?;
        same_len(keys.len(), values.len())?;
        same_len(q.len(), y.len())?;
        same_len(self.self_scratch_len(queries, tokens), scratch.len())?;
        let scale = 1.0 / libm::sqrtf(dim as f32);
        let piece = (width + tokens).max(1);
        let work = 16 * queries * tokens * width;
        pool.spread(scratch, piece, work, &|first, scratch| {
            let queries = q.chunks_exact(width.max(1)).skip(first / piece);
            for (q, piece) in queries.zip(scratch.chunks_exact_mut(piece)) {
                let Some((out, scores)) = piece.split_at_mut_checked(width) else { continue };
                let heads = q.chunks_exact(dim.max(1)).zip(out.chunks_exact_mut(dim.max(1)));
                for (h, (q, out)) in heads.enumerate() {
                    let at = (h * self.kv_heads).checked_div(self.heads).unwrap_or(0) * dim;
                    if let (Some(keys), Some(values)) = (keys.get(at..), values.get(at..)) {
                        backend.attend(q, keys, values, kv_width, scale, scores, out);
                    }
                }
            }
        });
        for (y, piece) in y.chunks_exact_mut(width.max(1)).zip(scratch.chunks_exact(piece)) {
            y.iter_mut().zip(piece).for_each(|(y, out)| *y = *out);
        }
        Ok(())
    }
}
