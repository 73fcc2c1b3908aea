//! The largest of many keys, in the order of their indices.

use crate::activations::{blocks, over};
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted};
use crate::kernels::SELECT;
use crate::stream::{Stream, launch};

/// Threads of a block, and keys that a warp of it goes through; the kernels' numbers.
const THREADS: u32 = 256;
const WARPS: usize = THREADS as usize / 32;
const TILE: usize = 2048;
/// Digits of eight bits, and tallies of a tile.
const DIGITS: usize = 256;
const KINDS: usize = 3;

/// Finds the largest of n keys of 16 bits, without sorting them.
#[derive(Debug)]
pub(super) struct Select {
    /// The keys to select from.
    pub(super) keys: Buffer<u16>,
    counts: Buffer<u32>,
    tallies: Buffer<u32>,
    selection: Buffer<u32>,
}

impl Select {
    pub(super) fn new(stream: &Stream, n: usize) -> Result<Self, CudaError> {
        Ok(Self {
            keys: Buffer::zeros(stream, n)?,
            counts: Buffer::zeros(stream, DIGITS)?,
            tallies: Buffer::zeros(stream, KINDS * n.div_ceil(TILE))?,
            selection: Buffer::zeros(stream, 4)?,
        })
    }

    /// Writes the indices of the largest keys, ascending, as many as there are places; of equal ones
    /// those from index `start` on come first, then those from 0. Exact. At most n places.
    pub(super) fn largest(
        &mut self,
        stream: &Stream,
        start: usize,
        indices: &mut Buffer<u32>,
    ) -> Result<(), CudaError> {
        let wanted = counted("indices", indices.len())?.unsigned_abs();
        self.selection.upload(stream, &[0, wanted, 0, 0])?;
        let (n, start) = (counted("keys", self.keys.len())?, counted("keys", start)?);
        let tiles = self.keys.len().div_ceil(TILE);
        let (keys, counts) = (self.keys.address(), self.counts.address());
        let (selection, tallies) = (self.selection.address(), self.tallies.address());
        let (all, one) = (over(self.keys.len(), 1)?, Shape { blocks: [1; 3], threads: THREADS });
        let each = Shape { blocks: [blocks(tiles.div_ceil(WARPS))?, 1, 1], threads: THREADS };
        let (tiles, to) = (counted("tiles", tiles)?, indices.address());
        // SAFETY: there is a tally of every tile, and a place for as many as are wanted.
        unsafe {
            for shift in [8, 0] {
                launch!(stream, &SELECT, "select_count", all; keys, n, shift, selection, counts)?;
                launch!(stream, &SELECT, "select_digit", one; counts, selection)?;
            }
            launch!(stream, &SELECT, "select_tally", each; keys, n, start, selection, tallies)?;
            launch!(stream, &SELECT, "select_offsets", one; tallies, tiles, selection)?;
            launch!(stream, &SELECT, "select_take", each; keys, n, start, selection, tallies, to)
        }
    }
}
