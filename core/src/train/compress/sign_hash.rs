//! Which bucket a value goes to, and with which sign.
//!
//! ```text
//! x          chunk 0            chunk 1            chunk 2 (the rest)
//!            0 … w−1            w … 2w−1           2w … n−1
//! bind       × random signs     × random signs     × random signs
//! permute    turned by s₀       turned by s₁       turned by s₂        sⱼ by chance in 0..w
//! bundle     ─────────────────────── added up ───────────────────────▶ w buckets
//! ```
//!
//! In the language of hypervectors: each chunk is bound with a key, permuted and bundled. As a hash,
//! two values of different chunks meet with probability 1/w and values of one chunk never do; signs
//! are independent. Buckets are full alike: each takes one value of every chunk, but for the last.

use crate::pi::PiChaos;
use core::ops::Range;

/// Values that share a word of signs.
pub(super) const BLOCK: usize = 64;

/// One hash of n values to `width` buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignHash {
    key: u64,
    width: usize,
}

impl SignHash {
    /// The hash of a row of a step. `width > 0`, below 2³².
    pub(super) const fn new(seed: u64, step: u64, row: u64, width: usize) -> Self {
        let chaos = PiChaos::new();
        let key = chaos.bits(chaos.bits(chaos.bits(seed).wrapping_add(step)).wrapping_add(row));
        Self { key, width }
    }

    /// What all turns and signs are drawn by.
    pub(super) const fn key(self) -> u64 {
        self.key
    }

    /// The bucket of the first value of a chunk.
    const fn turn(self, chunk: usize) -> usize {
        let bits = PiChaos::new().bits(self.key.wrapping_add(2 * chunk as u64));
        (((bits >> 32) * self.width as u64) >> 32) as usize
    }

    /// The signs of a block: bit i set turns value i over.
    const fn signs(self, block: usize) -> u64 {
        PiChaos::new().bits(self.key.wrapping_add(2 * block as u64 + 1))
    }

    /// How many of n values each bucket takes.
    pub(super) const fn loads(self, n: usize) -> Loads {
        let (full, rest) = (n / self.width, n % self.width);
        Loads { full, rest, turn: self.turn(full), width: self.width }
    }

    /// Calls `visit(first value, buckets, signs)` for stretches of at most [`BLOCK`] values that lie
    /// side by side in the buckets too: those of one block.
    #[inline(always)]
    fn stretches(self, block: Block, mut visit: impl FnMut(usize, Range<usize>, u64)) {
        let signs = self.signs(block.index);
        let mut bucket = block.place + self.turn(block.chunk);
        if bucket >= self.width {
            bucket -= self.width;
        }
        let head = block.len.min(self.width - bucket);
        visit(block.first, bucket..bucket + head, signs);
        if head < block.len {
            visit(block.first + head, 0..block.len - head, signs >> head);
        }
    }

    /// `buckets[h(i)] += ±x[i]`. Shapes: `buckets` width. Ordered: buckets take values in their order.
    pub(super) fn bundle(self, x: &[f32], buckets: &mut [f32]) {
        for_each_block(x.len(), self.width, |block| {
            self.stretches(block, |i, range, signs| {
                let x = x.get(i..i + range.len()).unwrap_or_default();
                let buckets = buckets.get_mut(range).unwrap_or_default();
                for (j, (bucket, x)) in buckets.iter_mut().zip(x).enumerate() {
                    *bucket += turn_over(*x, signs, j);
                }
            });
        });
    }

    /// `values[j] = ±buckets[h(first + j)]` for the values of a block. Shapes: `buckets` width.
    #[inline(always)]
    pub(super) fn read(self, block: Block, buckets: &[f32], values: &mut [f32; BLOCK]) {
        self.stretches(block, |i, range, signs| {
            let values = values.get_mut(i - block.first..).unwrap_or_default();
            let buckets = buckets.get(range).unwrap_or_default();
            for (j, (v, bucket)) in values.iter_mut().zip(buckets).enumerate() {
                *v = turn_over(*bucket, signs, j);
            }
        });
    }

    /// `loads[j]` of the buckets of a block's values.
    #[inline(always)]
    pub(super) fn read_loads(self, block: Block, loads: Loads, values: &mut [usize; BLOCK]) {
        self.stretches(block, |i, range, _| {
            let values = values.get_mut(i - block.first..).unwrap_or_default();
            for (v, bucket) in values.iter_mut().zip(range) {
                *v = loads.of(bucket);
            }
        });
    }
}

/// At most [`BLOCK`] values of one chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The first of them, and how many.
    pub(super) first: usize,
    pub(super) len: usize,
    chunk: usize,
    /// Where the first lies in its chunk.
    place: usize,
    /// The number of the block.
    index: usize,
}

/// Calls `visit` for the blocks of n values, in their order, which all hashes of a width share.
#[inline(always)]
pub(super) fn for_each_block(n: usize, width: usize, mut visit: impl FnMut(Block)) {
    let mut index = 0;
    for (chunk, begin) in (0..n).step_by(width).enumerate() {
        let size = width.min(n - begin);
        for place in (0..size).step_by(BLOCK) {
            let len = BLOCK.min(size - place);
            visit(Block { first: begin + place, len, chunk, place, index });
            index += 1;
        }
    }
}

/// How many values the buckets of a hash take: `full`, and one more in the `rest` from `turn` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loads {
    full: usize,
    rest: usize,
    turn: usize,
    width: usize,
}

impl Loads {
    /// Values that bucket `b` takes.
    #[inline(always)]
    pub(super) const fn of(self, b: usize) -> usize {
        let place = if b >= self.turn { b - self.turn } else { b + self.width - self.turn };
        self.full + (place < self.rest) as usize
    }
}

/// x, or −x where bit j is set. j < 64.
#[inline(always)]
const fn turn_over(x: f32, signs: u64, j: usize) -> f32 {
    f32::from_bits(x.to_bits() ^ ((signs >> j) as u32 & 1) << 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn every_value_has_one_bucket_and_loads_are_what_they_are_said_to_be() {
        for (n, width) in [(1, 1), (5, 7), (64, 64), (1000, 37), (1000, 64), (999, 130), (70, 1)] {
            let hash = SignHash::new(1, 2, 3, width);
            let (mut seen, mut loads) = (0, vec![0; width]);
            for_each_block(n, width, |block| {
                assert_eq!(block.first, seen);
                hash.stretches(block, |i, range, _| {
                    assert_eq!(i, seen);
                    seen += range.len();
                    loads[range].iter_mut().for_each(|load| *load += 1);
                });
                assert_eq!(block.first + block.len, seen);
            });
            assert_eq!(seen, n);
            for (b, load) in loads.iter().enumerate() {
                assert_eq!(*load, hash.loads(n).of(b), "{n} {width} {b}");
            }
        }
    }

    #[test]
    fn signs_and_buckets_are_as_good_as_chance() {
        // Over steps: the bucket of value 777 is uniform over 16, its sign fair.
        let (mut buckets, mut turned) = ([0i32; 16], 0);
        for step in 0..16_000 {
            let hash = SignHash::new(9, step, 0, 16);
            for_each_block(1000, 16, |block| {
                hash.stretches(block, |i, range, signs| {
                    if (i..i + range.len()).contains(&777) {
                        buckets[range.start + 777 - i] += 1;
                        turned += (signs >> (777 - i) & 1) as i32;
                    }
                });
            });
        }
        // Four standard deviations of a binomial count.
        assert!(buckets.iter().all(|&count| (count - 1000).abs() < 4 * 31), "{buckets:?}");
        assert!((turned - 8000).abs() < 4 * 64, "{turned}");
    }
}
