//! The fixed text whose digest shows that two platforms computed the same.

use super::super::verify::{VERIFY_TOKENS, token};
use super::super::{Digest, ModelError};
use super::Encoder;
use crate::kernel::{Backend, Pool};
use crate::lane::PrecisionLane;

/// Runs a text of the fixed tokens of [`verify`](super::super::verify) (fewer when the encoder has
/// less room) through an encoder at a lane and hashes the output of every layer, and the embedding.
///
/// `layer_digests` takes one digest a layer and one for the embedding; the digest of all of them is
/// returned. Exact: the same on every platform.
///
/// # Errors
/// [`ModelError::Memory`] when `layer_digests` is shorter than layers + 1, and what
/// [`Encoder::embed`] returns.
pub fn verify_encoder<B: Backend>(
    encoder: &mut Encoder<'_, '_, B>,
    pool: &dyn Pool,
    lane: PrecisionLane,
    layer_digests: &mut [Digest],
) -> Result<Digest, ModelError> {
    let header = *encoder.weights().header();
    let (expected, actual) = (header.layers + 1, layer_digests.len());
    let Some(digests) = layer_digests.get_mut(..expected) else {
        return Err(ModelError::Memory { what: "layer digests", expected, actual });
    };
    digests.fill(Digest::default());
    let tokens: [u32; VERIFY_TOKENS] = core::array::from_fn(|i| token(i, header.vocabulary));
    let tokens = tokens.get(..encoder.capacity()).unwrap_or(&tokens);
    encoder.embed_observed(pool, tokens, lane, &mut |layer, output| {
        if let Some(digest) = digests.get_mut(layer) {
            digest.floats(output);
        }
    })?;
    let mut all = Digest::default();
    for digest in digests {
        all.bytes(&digest.value().to_le_bytes());
    }
    Ok(all)
}
