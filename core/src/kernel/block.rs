//! Walking rows block by block, for the instruction sets that work on whole blocks.

use crate::digits::{BLOCK, BLOCK_UNITS, LaneView, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use crate::quant::Activations;

/// Lanes as const parameters.
pub(super) const TERNARY: u8 = 2;
pub(super) const BITS3: u8 = 3;
pub(super) const BITS5: u8 = 5;
pub(super) const BITS7: u8 = 7;

/// Where the parts of one block of up to four units and its activations lie.
///
/// Readable are, for each unit: 16 bytes of each digit plane that the lane reads, 2 of each of the
/// four masks of the high plane (not for ternary), which are 2·units apart, and 2 or 1 scales (not
/// for a group of the whole row). There are always 256 activations, zero beyond the units, and 4
/// multipliers.
#[derive(Clone, Copy)]
pub(super) struct BlockPtr {
    pub(super) digits: [*const u8; 3],
    pub(super) high: *const u8,
    pub(super) scales: *const u8,
    pub(super) q: *const i8,
    pub(super) multipliers: *const u32,
    /// Units in the block, 1..=4; less than four only in the last block of a row.
    pub(super) units: usize,
}

impl BlockPtr {
    /// The block `i` full blocks further on.
    #[inline(always)]
    pub(super) fn after<const GROUP: u8>(&self, i: usize) -> Self {
        let scales = match GROUP {
            0 => 0,
            32 => 2 * BLOCK_UNITS,
            _ => BLOCK_UNITS,
        };
        Self {
            digits: self.digits.map(|plane| plane.wrapping_add(BLOCK_UNITS * UNIT_DIGIT_BYTES * i)),
            high: self.high.wrapping_add(BLOCK_UNITS * UNIT_HIGH_BYTES * i),
            scales: self.scales.wrapping_add(scales * i),
            q: self.q.wrapping_add(BLOCK * i),
            ..*self
        }
    }
}

/// Blocks of ternary sums without group scales that fit: a 32-bit sum of the widest path takes
/// four products of at most 192·127 a block.
const TERNARY_LIMIT: usize = 1 << 14;

/// Blocks of scaled sums that fit: a pair of 32-bit sums takes 2·16 products of at most 127·127
/// times a scale of at most 255 a block, and 16 blocks of those stay below 2³¹.
const SCALED_LIMIT: usize = 16;
const _: () = assert!(SCALED_LIMIT * 2 * 16 * 127 * 127 * 255 < 1 << 31);
const _: () = assert!(TERNARY_LIMIT * 4 * 192 * 127 < 1 << 31);

/// Blocks whose sums fit into 32 bits.
pub(super) const fn limit<const LANE: u8, const GROUP: u8>() -> usize {
    if LANE == TERNARY && GROUP == 0 { TERNARY_LIMIT } else { SCALED_LIMIT }
}

/// The blocks of consecutive rows and the activations that meet them.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The first block of the first row.
    first: BlockPtr,
    /// Units of a row.
    units: usize,
    /// Scale bytes of a unit.
    scales: usize,
}

impl Run {
    /// The rows from `r` on.
    #[inline(always)]
    pub(super) fn new(w: &LaneView<'_>, x: &Activations<'_>, r: usize) -> Self {
        let (units, scales) = (units(w.cols()), w.group().scales_per_unit());
        let first = BlockPtr {
            digits: w.digits.map(|plane| plane.as_ptr()),
            high: w.high.as_ptr(),
            scales: w.group_scales.as_ptr(),
            q: x.q.as_ptr(),
            multipliers: x.multipliers.as_ptr(),
            units: BLOCK_UNITS,
        };
        let run = Self { first, units, scales };
        Self { first: run.weights(r * units), ..run }
    }

    /// The block whose weights begin `unit` units further on; the activations stay.
    #[inline(always)]
    fn weights(&self, unit: usize) -> BlockPtr {
        BlockPtr {
            digits: self.first.digits.map(|plane| plane.wrapping_add(unit * UNIT_DIGIT_BYTES)),
            high: self.first.high.wrapping_add(unit * UNIT_HIGH_BYTES),
            scales: self.first.scales.wrapping_add(unit * self.scales),
            ..self.first
        }
    }

    /// Calls `each` for every stretch of blocks, in order, with their number and where the first of
    /// them lies in each of `ROWS` rows, which share the loads of the activations. The blocks of a
    /// stretch have the same multipliers, and there are at most `limit`; a block that is not full
    /// is a stretch of its own.
    #[inline(always)]
    pub(super) fn stretches<const ROWS: usize>(
        &self,
        x: &Activations<'_>,
        limit: usize,
        mut each: impl FnMut(usize, [BlockPtr; ROWS]),
    ) {
        let (multipliers, _) = x.multipliers.as_chunks::<BLOCK_UNITS>();
        let full = self.units / BLOCK_UNITS;
        let mut b = 0;
        while let Some(first) = multipliers.get(b) {
            let most = full.saturating_sub(b).clamp(1, limit);
            let mut n = 1;
            while n < most && multipliers.get(b + n) == Some(first) {
                n += 1;
            }
            each(
                n,
                core::array::from_fn(|k| BlockPtr {
                    q: self.first.q.wrapping_add(BLOCK * b),
                    multipliers: first.as_ptr(),
                    units: (self.units - BLOCK_UNITS * b).min(BLOCK_UNITS),
                    ..self.weights(k * self.units + BLOCK_UNITS * b)
                }),
            );
            b += n;
        }
    }
}

/// Row loop and choice of lane and group, the same for every instruction set: expects a function
/// `dots::<LANE, GROUP, ROWS>(Run, &Activations) -> [i64; ROWS]` beside it, the sums with the codes,
/// which is called for as many rows at a time as are named for the lane, and for one, and `offset_dot`, the sum with 1 in their
/// place.
macro_rules! lane_matvec {
    ($features:literal, rows $ternary:literal $bit3:literal $bit5:literal $bit7:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn matvec<P: scalar::Product>(
            w: &LaneView<'_>,
            x: &Activations<'_>,
            first: usize,
            y: &mut [P],
        ) {
            use super::block::*;
            let rows = w.rows().saturating_sub(first).min(y.len());
            let (y, beyond) = y.split_at_mut(rows);
            beyond.fill(P::ZERO);
            // What every pointer rests on: the activations are as many as the weights of a row.
            if x.len() != w.cols() {
                return y.fill(P::ZERO);
            }
            macro_rules! rows {
                ($lane:expr, $group:expr, $rows:literal) => {{
                    let finish = |r: usize, dot: i64| {
                        let offset = offset_dot(w.group(), w.scales_of(r), x);
                        scalar::finish(w.lane(), dot, offset, w.row_scale(r) * x.step())
                    };
                    let mut r = first;
                    let (several, single) = y.as_chunks_mut::<$rows>();
                    for y in several {
                        let dots = dots::<{ $lane }, { $group }, $rows>(Run::new(w, x, r), x);
                        for (y, dot) in y.iter_mut().zip(dots) {
                            *y = finish(r, dot);
                            r += 1;
                        }
                    }
                    for y in single {
                        let [dot] = dots::<{ $lane }, { $group }, 1>(Run::new(w, x, r), x);
                        *y = finish(r, dot);
                        r += 1;
                    }
                }};
            }
            match (w.lane(), w.group()) {
                (PrecisionLane::Ternary, Group::Row) => rows!(TERNARY, 0, $ternary),
                (PrecisionLane::Ternary, Group::G32) => rows!(TERNARY, 32, $ternary),
                (PrecisionLane::Ternary, Group::G64) => rows!(TERNARY, 64, $ternary),
                (PrecisionLane::Bit3, Group::Row) => rows!(BITS3, 0, $bit3),
                (PrecisionLane::Bit3, Group::G32) => rows!(BITS3, 32, $bit3),
                (PrecisionLane::Bit3, Group::G64) => rows!(BITS3, 64, $bit3),
                (PrecisionLane::Bit5, Group::Row) => rows!(BITS5, 0, $bit5),
                (PrecisionLane::Bit5, Group::G32) => rows!(BITS5, 32, $bit5),
                (PrecisionLane::Bit5, Group::G64) => rows!(BITS5, 64, $bit5),
                (_, Group::Row) => rows!(BITS7, 0, $bit7),
                (_, Group::G32) => rows!(BITS7, 32, $bit7),
                (_, Group::G64) => rows!(BITS7, 64, $bit7),
            }
        }
    };
}
pub(super) use lane_matvec;
