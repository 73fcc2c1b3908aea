//! Neural network blocks over borrowed weights and caller's memory.

mod attention;
mod ffn;
mod linear;
mod matmul;
mod norm;
mod rope;
mod self_attention;
#[cfg(feature = "lfm2")]
mod short_conv;
mod sparse;
#[cfg(feature = "stored")]
mod stored;

pub use attention::{Attention, AttentionError, CacheError, KvCache};
pub(crate) use ffn::add_bias;
pub use ffn::{Activation, FeedForward, gate};
pub use linear::{Input, Linear, LinearError};
pub use norm::{NormError, layer_norm, rms_norm, softmax};
pub use rope::Rope;
#[cfg(feature = "lfm2")]
pub use short_conv::ShortConv;
pub use sparse::{
    FullGate, Known, LowRank, Magnitude, MarginTier0, NeuronRows, Neurons, Predicted, Predictor,
    PredictorInput, Selection, SelectionError, SparseReads, SparseScratch, SparsityConfig, Tier0,
};
#[cfg(feature = "stored")]
pub use stored::{EachListed, EachPiece, Extent, MAX_PARTS, RowSource, StoredMatrix, StoredParts};

use crate::error::ShapeError;

/// `Ok` when two lengths agree.
pub(crate) fn same_len(expected: usize, actual: usize) -> Result<(), ShapeError> {
    if expected == actual { Ok(()) } else { Err(ShapeError::Length { expected, actual }) }
}
