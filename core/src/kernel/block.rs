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

/// Blocks of ternary sums without group scales that fit: a 32-bit sum of the widest path takes
/// four products of at most 192·127 a block and keeps them until it is flushed.
const TERNARY_LIMIT: usize = 1 << 14;

/// Blocks of scaled sums that fit: a pair of 32-bit sums takes 2·16 products of at most 127·127
/// times a scale of at most 255 a block, and 16 blocks of those stay below 2³¹.
const SCALED_LIMIT: usize = 16;
const _: () = assert!(SCALED_LIMIT * 2 * 16 * 127 * 127 * 255 < 1 << 31);
const _: () = assert!(TERNARY_LIMIT * 4 * 192 * 127 < 1 << 31);

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

    /// Calls `each` for every block, in order, with where it lies in each of `ROWS` rows, which
    /// share the loads of the activations. The flag says that the sums of the blocks before must
    /// be multiplied and widened first: the multipliers are others now, or an i32 could not take
    /// one block more.
    #[inline(always)]
    pub(super) fn blocks<const LANE: u8, const GROUP: u8, const ROWS: usize>(
        &self,
        x: &Activations<'_>,
        mut each: impl FnMut(bool, [BlockPtr; ROWS]),
    ) {
        let limit = if LANE == TERNARY && GROUP == 0 { TERNARY_LIMIT } else { SCALED_LIMIT };
        let (patterns, _) = x.multipliers.as_chunks::<BLOCK_UNITS>();
        let mut pattern = patterns.first();
        let mut held = 0;
        for (b, next) in patterns.iter().enumerate() {
            let flush = held == limit || Some(next) != pattern;
            if flush {
                held = 0;
                pattern = Some(next);
            }
            held += 1;
            each(
                flush,
                core::array::from_fn(|k| BlockPtr {
                    q: self.first.q.wrapping_add(BLOCK * b),
                    multipliers: next.as_ptr(),
                    units: (self.units - BLOCK_UNITS * b).min(BLOCK_UNITS),
                    ..self.weights(k * self.units + BLOCK_UNITS * b)
                }),
            );
        }
    }
}

/// Row loop and choice of lane and group, the same for every instruction set: expects a function
/// `dots::<LANE, GROUP, ROWS>(Run, &Activations) -> [i64; ROWS]` beside it, the sums with the codes,
/// which is called for `$rows` rows at a time and for one.
macro_rules! lane_matvec {
    ($features:literal, $rows:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn matvec(w: &LaneView<'_>, x: &Activations<'_>, first: usize, y: &mut [f32]) {
            use super::block::*;
            let rows = w.rows().saturating_sub(first).min(y.len());
            let (y, beyond) = y.split_at_mut(rows);
            beyond.fill(0.0);
            // What every pointer rests on: the activations are as many as the weights of a row.
            if x.len() != w.cols() {
                return y.fill(0.0);
            }
            macro_rules! rows {
                ($lane:expr, $group:expr) => {{
                    let finish = |r: usize, dot: i64| {
                        let offset = scalar::offset_dot(w.group(), w.scales_of(r), x);
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
                (PrecisionLane::Ternary, Group::Row) => rows!(TERNARY, 0),
                (PrecisionLane::Ternary, Group::G32) => rows!(TERNARY, 32),
                (PrecisionLane::Ternary, Group::G64) => rows!(TERNARY, 64),
                (PrecisionLane::Bit3, Group::Row) => rows!(BITS3, 0),
                (PrecisionLane::Bit3, Group::G32) => rows!(BITS3, 32),
                (PrecisionLane::Bit3, Group::G64) => rows!(BITS3, 64),
                (PrecisionLane::Bit5, Group::Row) => rows!(BITS5, 0),
                (PrecisionLane::Bit5, Group::G32) => rows!(BITS5, 32),
                (PrecisionLane::Bit5, Group::G64) => rows!(BITS5, 64),
                (_, Group::Row) => rows!(BITS7, 0),
                (_, Group::G32) => rows!(BITS7, 32),
                (_, Group::G64) => rows!(BITS7, 64),
            }
        }
    };
}
pub(super) use lane_matvec;
