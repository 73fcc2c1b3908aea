//! Every block type of GGUF that expands.

use crate::Memory;
use crate::matrix::part;
use crate::random::Random;
use trilane_core::gguf::TensorType;
use trilane_core::gguf::blocks::{Stored, is_supported};
use trilane_core::kernel::Backend;
use trilane_core::model::{Digest, ModelError};
use trilane_core::nn::LinearError;

/// Three rows of two blocks of the largest kind.
const ROWS: usize = 3;
const COLS: usize = 512;

/// Weights, and products with them, of random blocks of every type but single floats, which the
/// product of floats shows.
pub(crate) fn products(backend: impl Backend, memory: &mut Memory) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    let mut random = Random(11);
    let [x, weights, ..] = &mut memory.floats;
    let (x, weights) = (&mut x[..COLS], &mut weights[..COLS]);
    random.uneven(x);
    let expanding = TensorType::ALL.iter().copied().filter(|&kind| is_supported(kind));
    for kind in expanding.filter(|&kind| kind != TensorType::F32) {
        // Every scale is finite: all stand at even places, and bit 6 of the others is 0.
        let mut data = [0u8; ROWS * 2 * COLS + 32];
        data.iter_mut().for_each(|byte| *byte = random.below(256) as u8);
        data.iter_mut().skip(1).step_by(2).for_each(|byte| *byte &= 0xBF);
        let blocks = ROWS * COLS / kind.block_len() * kind.block_bytes();
        let data = part(&data, blocks + kind.trailer_bytes());
        let unsupported = |_| LinearError::Unsupported { kind };
        let stored = Stored::new(kind, data).map_err(unsupported)?;
        for row in 0..ROWS {
            stored.expand(row * COLS, weights).map_err(unsupported)?;
            digest.floats(weights);
        }
        let mut y = [0.0; ROWS];
        backend.block_matvec(kind, data, x, &mut y);
        digest.floats(&y);
    }
    Ok(digest)
}
