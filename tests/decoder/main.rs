//! The decoder from file to logits: numbers, bits, and everything that it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bits;
mod file;
mod header;
mod lanes;
#[path = "../../core/tests/backends/levels.rs"]
mod levels;
mod lfm2;
mod numbers;
mod planes;
#[path = "../../core/tests/definitions/pools.rs"]
mod pools;
#[path = "../../core/tests/backends/random.rs"]
mod random;
mod reference;
mod sequence;
mod spoiled;
mod spoiled_planes;

use file::File;
use trilane::core::gguf::Gguf;
use trilane::core::kernel::Backend;
use trilane::core::model::{Decoder, Layer, Line, ModelError, Weights};

/// Tokens that a sequence is made of.
const PROMPT: [u32; 12] = [1, 7, 39, 0, 7, 7, 22, 13, 38, 5, 20, 31];

/// Loads a file and hands its weights to `each`.
fn with_weights<R>(file: &File, each: impl FnOnce(Result<Weights<'_, '_>, ModelError>) -> R) -> R {
    let lines = file.lines();
    let gguf = Gguf::parse(bytemuck::cast_slice(&lines)).unwrap();
    let mut layers = [Layer::EMPTY; 4];
    each(Weights::load(&gguf, &mut layers))
}

/// What loading refuses a file with.
fn refusal(file: &File) -> Option<ModelError> {
    with_weights(file, |weights| weights.err())
}

/// A decoder of a file with room for that many tokens.
fn with_decoder<B: Backend, R>(
    file: &File,
    backend: B,
    capacity: usize,
    each: impl FnOnce(&mut Decoder<'_, '_, B>) -> R,
) -> R {
    with_weights(file, |weights| {
        let weights = weights.unwrap();
        // Not zeros: no buffer may count on them.
        let lines = weights.header().arena_lines(capacity).unwrap();
        let mut arena = vec![Line::ZERO; lines];
        bytemuck::cast_slice_mut::<Line, u8>(&mut arena).fill(0x7F);
        each(&mut Decoder::new(weights, backend, capacity, &mut arena).unwrap())
    })
}
