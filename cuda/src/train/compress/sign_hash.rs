//! Which bucket a value goes to, and with which sign, for every value of a step.

use crate::activations::over;
use crate::buffer::Buffer;
use crate::error::{CudaError, counted};
use crate::kernels::SKETCH;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};

/// As the kernels take the hash of a row.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct RawSignHash {
    turns: u64,
    signs: u64,
    n: i32,
    width: i32,
}

/// The hashes of the rows of a sketch, drawn once for a step: an eighth of a byte for each value and
/// row, and four for each `width` of them.
#[derive(Debug)]
pub(super) struct SignHashes {
    n: usize,
    width: usize,
    rows: usize,
    turns: Buffer<u32>,
    signs: Buffer<u64>,
}

impl SignHashes {
    /// Room for `rows` hashes of n values to `width` buckets, `width > 0`.
    pub(super) fn new(
        stream: &Stream,
        n: usize,
        width: usize,
        rows: usize,
    ) -> Result<Self, CudaError> {
        // The rest of the values, none maybe, is a chunk of its own.
        let turns = Buffer::zeros(stream, rows * (n / width + 1))?;
        let signs = Buffer::zeros(stream, rows * n.div_ceil(width) * width.div_ceil(64))?;
        Ok(Self { n, width, rows, turns, signs })
    }

    /// Turns of a row, and words of signs.
    pub(super) fn row(&self) -> (usize, usize) {
        (self.turns.len() / self.rows, self.signs.len() / self.rows)
    }

    /// Draws the hash of a row.
    pub(super) fn draw(&mut self, stream: &Stream, row: usize, key: u64) -> Result<(), CudaError> {
        let (turns, signs) = self.row();
        let shape = over(turns.max(signs), 1)?;
        let (turns, signs, raw) = (counted("chunks", turns)?, signs as u64, self.raw(row)?);
        // SAFETY: there is room for as many in each row.
        unsafe { launch!(stream, &SKETCH, "sign_hash", shape; key, raw, turns, signs) }
    }

    /// Writes the signed sums of n values. Shapes: `x` n, `buckets` rows × width.
    pub(super) fn sketch(
        &self,
        stream: &Stream,
        x: &Buffer<f32>,
        buckets: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let shape = over(self.width, 1)?;
        for row in 0..self.rows {
            let (raw, x) = (self.raw(row)?, x.address());
            let to = buckets.address() + (row * self.width * size_of::<f32>()) as u64;
            // SAFETY: the caller has checked the shapes.
            unsafe { launch!(stream, &SKETCH, "sketch", shape; raw, x, to)? };
        }
        Ok(())
    }

    pub(super) fn raw(&self, row: usize) -> Result<RawSignHash, CudaError> {
        let (turns, signs) = self.row();
        Ok(RawSignHash {
            turns: self.turns.address() + (row * turns * size_of::<u32>()) as u64,
            signs: self.signs.address() + (row * signs * size_of::<u64>()) as u64,
            n: counted("parameters", self.n)?,
            width: counted("buckets", self.width)?,
        })
    }
}
