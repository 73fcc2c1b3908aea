//! Whole models, from the bytes of their files.

use crate::Memory;
use trilane_core::gguf::Gguf;
use trilane_core::kernel::{Backend, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{
    Decoder, Digest, Layer, Mlp, ModelError, VERIFY_TOKENS, Weights, verify,
};

/// Lines of the arena that the largest model takes.
pub(crate) const LINES: usize = 1024;

/// Layers of the largest model.
const LAYERS: usize = 8;

/// What `trilane verify` computes, at one lane.
pub(crate) fn decoder(
    backend: impl Backend,
    file: &[u8],
    lane: PrecisionLane,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let file = parsed(file)?;
    let mut layers = [Layer::EMPTY; LAYERS];
    let weights = Weights::load(&file, &mut layers)?;
    let mut decoder = Decoder::new(weights, backend, VERIFY_TOKENS, &mut memory.lines)?;
    verify(&mut decoder, &Serial, lane, &mut [Digest::default(); LAYERS + 1])
}

/// What `trilane verify` computes for a classifier.
pub(crate) fn perceptron(
    backend: impl Backend,
    file: &[u8],
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mlp = Mlp::load(&parsed(file)?)?;
    mlp.verify(backend, &mut [Digest::default(); LAYERS], &mut memory.lines)
}

/// A file that does not parse is one without an architecture.
fn parsed(file: &[u8]) -> Result<Gguf<'_>, ModelError> {
    Gguf::parse(file).map_err(|_| ModelError::Architecture)
}
