//! The fixed inputs whose digest shows that two platforms computed the same.

use super::super::{Digest, Line, ModelError};
use super::Mlp;
use crate::kernel::Backend;

/// Inputs in the fixed run.
pub const VERIFY_INPUTS: usize = 16;

/// Feature `j` of input `i` of the fixed run: `(1 + 37·i + 101·j) mod 128`.
const fn feature(i: usize, j: usize) -> i8 {
    ((1 + 37 * i + 101 * j) % 128) as i8
}

impl Mlp<'_> {
    /// Computes the scores of [`VERIFY_INPUTS`] fixed inputs and hashes every layer's sums, and
    /// with the last ones the bits of their scale.
    ///
    /// `layer_digests` takes one digest a layer; the digest of all of them is returned. Exact but
    /// for the scale, which is Ordered: the same on every platform.
    ///
    /// # Errors
    /// [`ModelError::Memory`] when `layer_digests` is shorter than the layers, or the arena than
    /// [`MlpHeader::arena_lines`](super::MlpHeader::arena_lines).
    pub fn verify(
        &self,
        backend: impl Backend,
        layer_digests: &mut [Digest],
        arena: &mut [Line],
    ) -> Result<Digest, ModelError> {
        let (expected, actual) = (self.header().layers, layer_digests.len());
        let Some(digests) = layer_digests.get_mut(..expected) else {
            return Err(ModelError::Memory { what: "layer digests", expected, actual });
        };
        digests.fill(Digest::default());
        for i in 0..VERIFY_INPUTS {
            let mut observe = |layer: usize, sums: &[i64]| {
                if let Some(digest) = digests.get_mut(layer) {
                    digest.integers(sums);
                }
            };
            let scores = self.run(backend, |j| feature(i, j), arena, &mut observe)?;
            if let Some(last) = digests.last_mut() {
                last.floats(&[self.scale(&scores)]);
            }
        }
        let mut all = Digest::default();
        for digest in digests {
            all.bytes(&digest.value().to_le_bytes());
        }
        Ok(all)
    }
}
