//! The fixed run whose digest shows that two platforms computed the same.

use super::{Decoder, Digest, ModelError};
use crate::kernel::{Backend, Pool};
use crate::lane::Lanes;

/// Tokens in the fixed run.
pub const VERIFY_TOKENS: usize = 16;

/// Token `i` of the fixed run of [`verify`]: `(1 + 37·i) mod vocabulary`.
#[must_use]
pub fn token(i: usize, vocabulary: usize) -> u32 {
    ((1 + 37 * i) % vocabulary.max(1)) as u32
}

/// Runs [`VERIFY_TOKENS`] fixed tokens (fewer when the decoder has less room) through an empty
/// decoder at a lane, or as its policy decides, and hashes the output of every layer, and the logits, of every token.
///
/// `layer_digests` takes one digest a layer and one for the logits; the digest of all of them is
/// returned. The decoder is empty again afterwards. Exact: the same on every platform.
///
/// # Errors
/// [`ModelError::Memory`] when `layer_digests` is shorter than layers + 1, and what
/// [`Decoder::forward`] returns.
pub fn verify<'l, B: Backend>(
    decoder: &mut Decoder<'_, '_, B>,
    pool: &dyn Pool,
    lanes: impl Into<Lanes<'l>>,
    layer_digests: &mut [Digest],
) -> Result<Digest, ModelError> {
    let header = *decoder.weights().header();
    let (expected, actual) = (header.layers + 1, layer_digests.len());
    let Some(digests) = layer_digests.get_mut(..expected) else {
        return Err(ModelError::Memory { what: "layer digests", expected, actual });
    };
    let lanes = lanes.into();
    digests.fill(Digest::default());
    decoder.truncate(0);
    for i in 0..VERIFY_TOKENS.min(decoder.capacity()) {
        let token = token(i, header.vocabulary);
        decoder.forward_observed(pool, token, lanes, &mut |layer, output| {
            if let Some(digest) = digests.get_mut(layer) {
                digest.floats(output);
            }
        })?;
    }
    decoder.truncate(0);
    let mut all = Digest::default();
    for digest in digests {
        all.bytes(&digest.value().to_le_bytes());
    }
    Ok(all)
}
