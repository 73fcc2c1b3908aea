//! Every kernel of a backend, over random and extreme inputs.

use crate::Memory;
use crate::matrix::{MOST_COLS, MOST_ROWS, part};
use crate::random::Random;
use trilane_core::digits::Group;
use trilane_core::gguf::TensorType;
use trilane_core::kernel::Backend;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Digest, ModelError};
use trilane_core::nn::LinearError;
use trilane_core::quant::Activations;

pub(crate) const GROUPS: [Group; 3] = [Group::Row, Group::G32, Group::G64];

/// Columns on both sides of every boundary that a kernel has.
const COLS: [usize; 12] = [1, 31, 64, 65, 130, 255, 256, 257, 400, 512, 1000, MOST_COLS];

/// Products and their integers at a lane, of every shape and group, from several rows on.
pub(crate) fn lane_products(
    backend: impl Backend,
    lane: PrecisionLane,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    let mut random = Random(lane as u64);
    let ternary = lane == PrecisionLane::Ternary;
    for (cols, group) in COLS.iter().flat_map(|&cols| GROUPS.map(|group| (cols, group))) {
        let rows = if cols.is_multiple_of(2) { MOST_ROWS } else { 3 };
        let mut codes = Random(random.bits());
        let code = |_, _| codes.below(if ternary { 3 } else { 128 }) as u8;
        let scales = Some(&mut random);
        let matrix = memory.planes.matrix(ternary, (rows, cols), group, scales, code);
        let view = matrix.and_then(|matrix| matrix.lane(lane)).map_err(LinearError::Matrix)?;
        let [x, y, ..] = &mut memory.floats;
        let x = x.get_mut(..cols).unwrap_or(&mut []);
        random.uneven(x);
        let product = |x: &Activations<'_>| {
            for first in [0, 1, rows / 2, rows] {
                let y = y.get_mut(..rows - first).unwrap_or(&mut []);
                backend.lane_matvec(&view, x, first, y);
                digest.floats(y);
            }
            let mut sums = [0; MOST_ROWS];
            backend.lane_sums(&view, x, 0, &mut sums);
            digest.integers(&sums);
        };
        memory.integers.quantized(backend, x, product).map_err(LinearError::Quant)?;
    }
    Ok(digest)
}

/// Codes, scales, activations and multipliers all at their limits.
pub(crate) fn extremes(backend: impl Backend, memory: &mut Memory) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    let cols = MOST_COLS;
    for (ternary, group) in [false, true].into_iter().flat_map(|t| GROUPS.map(|g| (t, g))) {
        let max = if ternary { 2 } else { 127 };
        for (low, high, sign) in [(0, 0, 1.0), (max, max, -1.0), (0, max, -1.0)] {
            let code = |_, c: usize| if c.is_multiple_of(2) { low } else { high };
            let matrix = memory.planes.matrix(ternary, (17, cols), group, None, code);
            let matrix = matrix.map_err(LinearError::Matrix)?;
            let [x, ..] = &mut memory.floats;
            for (i, x) in x.iter_mut().enumerate() {
                // The last unit is 2¹⁵ times smaller, so the others have the largest multiplier.
                let size = if i >= cols / 64 * 64 { 1.0 / 32768.0 } else { 1.0 };
                *x = if i % 2 == 0 { size } else { sign * size };
            }
            let products = |x: &Activations<'_>| {
                for view in PrecisionLane::ALL.into_iter().filter_map(|l| matrix.lane(l).ok()) {
                    let (mut y, mut sums) = ([0.0; 17], [0; 17]);
                    backend.lane_matvec(&view, x, 0, &mut y);
                    backend.lane_sums(&view, x, 0, &mut sums);
                    digest.floats(&y);
                    digest.integers(&sums);
                }
            };
            let x = part(x, cols);
            memory.integers.quantized(backend, x, products).map_err(LinearError::Quant)?;
        }
    }
    Ok(digest)
}

/// Products with floats and with every block type that expands.
pub(crate) fn float_products(backend: impl Backend, memory: &mut Memory) -> Digest {
    let mut digest = Digest::default();
    let mut random = Random(5);
    let [w, x, y, ..] = &mut memory.floats;
    for cols in [1, 15, 16, 17, 100, 300] {
        let rows = MOST_COLS / cols.max(40);
        let w = w.get_mut(..rows * cols).unwrap_or(&mut []);
        let (x, y) = (x.get_mut(..cols).unwrap_or(&mut []), y.get_mut(..rows).unwrap_or(&mut []));
        random.uneven(w);
        random.uneven(x);
        backend.float_matvec(w, x, y);
        digest.floats(y);
    }
    let x = x.get_mut(..320).unwrap_or(&mut []);
    random.uneven(x);
    for kind in [TensorType::F16, TensorType::BF16, TensorType::Q8_0, TensorType::Q4_0] {
        // Random bytes, but no float in them is infinite: bit 6 of every second byte is 0.
        let mut w = [0u8; 3 * 640];
        w.iter_mut().for_each(|w| *w = random.below(256) as u8 & 0xBF);
        let bytes = 320 / kind.block_len() * kind.block_bytes();
        let mut y = [0.0; 3];
        backend.block_matvec(kind, part(&w, 3 * bytes), x, &mut y);
        digest.floats(&y);
    }
    digest
}

/// Quantised activations, and activation functions, of every size of value.
pub(crate) fn activations(
    backend: impl Backend,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    let mut random = Random(6);
    let [x, up, ..] = &mut memory.floats;
    for len in COLS {
        for magnitude in [1.0, 1e30, 1e-20, 1e-38, 0.0] {
            let x = x.get_mut(..len).unwrap_or(&mut []);
            random.uneven(x);
            x.iter_mut().for_each(|x| *x *= magnitude);
            let hashed = |x: &Activations<'_>| {
                digest.floats(&[x.step()]);
                (0..len).for_each(|i| digest.bytes(&x.integer(i).to_le_bytes()));
            };
            memory.integers.quantized(backend, x, hashed).map_err(LinearError::Quant)?;
        }
    }
    for scale in [0.1, 3.0, 50.0, 1e9] {
        for function in [Function::Silu, Function::Gelu, Function::SiluProduct] {
            random.uneven(up);
            for (x, up) in x.iter_mut().zip(up.iter()) {
                *x = scale * up;
            }
            match function {
                Function::Silu => backend.silu(x),
                Function::Gelu => backend.gelu(x),
                Function::SiluProduct => backend.silu_product(x, up),
            }
            digest.floats(x);
        }
    }
    Ok(digest)
}

/// The activation functions of a backend.
#[derive(Clone, Copy)]
enum Function {
    Silu,
    Gelu,
    SiluProduct,
}

/// Root mean square norm and softmax of every length.
pub(crate) fn norms(backend: impl Backend, memory: &mut Memory) -> Digest {
    let mut digest = Digest::default();
    let mut random = Random(7);
    let [x, gain, y, ..] = &mut memory.floats;
    for len in COLS {
        let x = x.get_mut(..len).unwrap_or(&mut []);
        let y = y.get_mut(..len).unwrap_or(&mut []);
        random.uneven(x);
        random.uneven(gain);
        let mean = backend.rms_norm(x, part(gain, len), 1e-5, y);
        digest.floats(&[mean]);
        digest.floats(y);
        x.iter_mut().for_each(|x| *x *= 30.0);
        backend.softmax(x);
        digest.floats(x);
    }
    digest
}
