//! Walking the columns of listed rows, for the instruction sets that work on whole blocks.
//!
//! Two rows are taken together: their codes, interleaved as 16-bit numbers, are what an instruction
//! that multiplies and adds pairs takes. With the codes `c` of all seven bits, zero where the lane
//! does not read them,
//!
//! ```text
//! Σ k · value(c)  =  2 · Σ k · c  −  zero · Σ k          (1 instead of 2 for ternary codes)
//! ```
//!
//! modulo 2³², so nothing needs to be taken off the codes.

use super::block::BlockPtr;
use crate::digits::{BLOCK_UNITS, LaneView, units};

/// Pairs of rows whose sums are kept in registers at a time; each has up to eight streams.
pub(super) const PAIRS: usize = 32;

/// Two rows and their factors.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// The blocks of the rows.
    pub(super) rows: [BlockPtr; 2],
    /// Their factors, that of the first in the lower half.
    pub(super) q: i32,
}

impl Pair {
    /// The block `b` blocks further on, which has that many units.
    #[inline(always)]
    pub(super) fn at<const GROUP: u8>(&self, b: usize, units: usize) -> Self {
        let [first, second] = &self.rows;
        let at = |row: &BlockPtr| BlockPtr { units, ..row.after::<GROUP>(b) };
        Self { rows: [at(first), at(second)], ..*self }
    }

    /// The factors of the rows.
    #[inline(always)]
    #[allow(dead_code, reason = "for instruction sets that take one row at a time")]
    pub(super) fn factors(&self) -> [i32; 2] {
        [i32::from(self.q as i16), self.q >> 16]
    }
}

/// Some rows of a view.
pub(super) struct Tile {
    pairs: [Pair; PAIRS],
    len: usize,
    /// What `Σ k` is multiplied by.
    pub(super) zero: i32,
}

impl Tile {
    /// Terms of a part that are taken at a time.
    pub(super) const TERMS: usize = 2 * PAIRS;

    /// The first terms. In place of a row past the end, or of the second of a last pair, stands the
    /// first row with the factor 0.
    #[inline(always)]
    pub(super) fn new(view: &LaneView<'_>, rows: &[u32], q: &[i16]) -> Self {
        let (units, scales) = (units(view.cols()), view.group().scales_per_unit());
        let [d0, d1, d2] = view.digits;
        let first = BlockPtr {
            digits: [d0.as_ptr(), d1.as_ptr(), d2.as_ptr()],
            high: view.high.as_ptr(),
            scales: view.group_scales.as_ptr(),
            q: core::ptr::null(),
            multipliers: core::ptr::null(),
            units: BLOCK_UNITS,
        };
        let row = |r: usize| BlockPtr {
            scales: first.scales.wrapping_add(r * units * scales),
            ..first.planes_after(r * units)
        };
        let mut terms = rows.iter().zip(q).map(|(&r, &q)| (r as usize, q));
        let mut term = || match terms.next() {
            Some((r, q)) if r < view.rows() => Some((row(r), q)),
            Some(_) => Some((row(0), 0)),
            None => None,
        };
        let empty = row(0);
        let mut tile =
            Self { pairs: [Pair { rows: [empty; 2], q: 0 }; PAIRS], len: 0, zero: view.zero() };
        for pair in &mut tile.pairs {
            let Some((a, qa)) = term() else { break };
            let (b, qb) = term().unwrap_or((empty, 0));
            *pair = Pair { rows: [a, b], q: i32::from(qa as u16) | i32::from(qb) << 16 };
            tile.len += 1;
        }
        tile
    }

    /// The pairs of rows.
    #[inline(always)]
    pub(super) fn pairs(&self) -> &[Pair] {
        self.pairs.get(..self.len).unwrap_or(&[])
    }
}

/// The columns, tile by tile and block by block, the same for every instruction set: expects a
/// function `columns::<LANE, GROUP>(&Tile, block, units, &mut [i32; BLOCK])` beside it, which gives
/// the sums of a tile over a block that has so many units.
macro_rules! combine {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn combine(parts: &[super::rows::Terms<'_>], first: usize, y: &mut [i32]) {
            use super::combine::Tile;
            use crate::digits::{BLOCK, BLOCK_UNITS, UNIT, units};
            y.fill(0);
            if !first.is_multiple_of(UNIT) {
                return scalar::combine(parts, first, y);
            }
            for part in parts {
                let view = &part.view;
                let cols = view.cols().saturating_sub(first).min(y.len());
                let terms = part.rows.chunks(Tile::TERMS).zip(part.q.chunks(Tile::TERMS));
                for (rows, q) in terms {
                    let tile = Tile::new(view, rows, q);
                    macro_rules! blocks {
                        ($lane:expr, $group:expr, $with:tt) => {{
                            // Units before `first` of its block are computed and left out.
                            let (mut block, mut skip) = (first / BLOCK, first % BLOCK);
                            let mut y = y.get_mut(..cols).unwrap_or(&mut []);
                            while !y.is_empty() {
                                let mut sums = [0; BLOCK];
                                let units = units(view.cols()) - BLOCK_UNITS * block;
                                let units = units.min(BLOCK_UNITS);
                                columns::<{ $lane }, { $group }>(&tile, block, units, &mut sums);
                                let (now, rest) = y.split_at_mut(y.len().min(BLOCK - skip));
                                for (y, sum) in now.iter_mut().zip(sums.iter().skip(skip)) {
                                    *y = y.wrapping_add(*sum);
                                }
                                (block, skip, y) = (block + 1, 0, rest);
                            }
                        }};
                    }
                    super::block::for_lane!(view, blocks, 1 1 1 1);
                }
            }
        }
    };
}
pub(super) use combine;
