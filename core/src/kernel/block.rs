//! Walking rows block by block, for the instruction sets that work on whole blocks.

use crate::digits::{BLOCK, BLOCK_UNITS, LaneView, Row, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use crate::quant::Activations;

/// Lanes as const parameters.
pub(super) const TERNARY: u8 = 2;
pub(super) const BITS3: u8 = 3;
pub(super) const BITS5: u8 = 5;
pub(super) const BITS7: u8 = 7;

/// Where the parts of one block of 256 weights and activations lie.
///
/// All of them are readable in full: 64 bytes of each digit plane that the lane reads, 32 of the
/// high plane (not for ternary), 8 or 4 scales (not for a group of the whole row), 256 activations,
/// 4 multipliers, 8 sums of half units.
#[derive(Clone, Copy)]
pub(super) struct BlockPtr {
    pub(super) digits: [*const u8; 3],
    pub(super) high: *const u8,
    pub(super) scales: *const u8,
    pub(super) q: *const i8,
    pub(super) multipliers: *const u32,
    #[cfg(target_arch = "x86_64")]
    pub(super) sums: *const i16,
    /// Whether the sums of the blocks before must be multiplied and widened first: the multipliers
    /// are others, or an i32 could not take one block more.
    pub(super) flush: bool,
}

/// The last block of a row when it is not full, copied to full size. The bytes that are added
/// meet activations of zero.
struct Tail {
    digits: [[u8; 64]; 3],
    high: [u8; 32],
    scales: [u8; 8],
}

impl Tail {
    #[inline(never)]
    fn copy(row: Row<'_>, unit: usize, n: usize) -> Self {
        let mut tail = Self { digits: [[0; 64]; 3], high: [0; 32], scales: [0; 8] };
        for (to, from) in tail.digits.iter_mut().zip(row.digits) {
            copy(to, from.get(unit * UNIT_DIGIT_BYTES..));
        }
        let masks = row.high.get(unit * UNIT_HIGH_BYTES..).unwrap_or(&[]);
        for (to, from) in tail.high.chunks_exact_mut(8).zip(masks.chunks_exact(2 * n)) {
            copy(to, Some(from));
        }
        copy(&mut tail.scales, row.scales.get(unit * row.group.scales_per_unit()..));
        tail
    }
}

/// Copies as much as both have.
#[inline(always)]
fn copy(to: &mut [u8], from: Option<&[u8]>) {
    to.iter_mut().zip(from.unwrap_or(&[])).for_each(|(to, from)| *to = *from);
}

/// Blocks of ternary sums without group scales that fit: a 32-bit sum of the widest path takes
/// four products of at most 192·127 a block and keeps them until it is flushed.
const TERNARY_LIMIT: usize = 1 << 14;

/// Blocks of scaled sums that fit: a pair of 32-bit sums takes 2·16 products of at most 127·127
/// times a scale of at most 255 a block, and 16 blocks of those stay below 2³¹.
const SCALED_LIMIT: usize = 16;
const _: () = assert!(SCALED_LIMIT * 2 * 16 * 127 * 127 * 255 < 1 << 31);
const _: () = assert!(TERNARY_LIMIT * 4 * 192 * 127 < 1 << 31);

/// A matrix and activations that fit together, as the block kernels walk them.
pub(super) struct Walk<'a> {
    w: &'a LaneView<'a>,
    x: &'a Activations<'a>,
    units: usize,
}

impl<'a> Walk<'a> {
    /// Checks what every pointer below rests on: `x` is as long as a row.
    #[inline(always)]
    pub(super) fn new(w: &'a LaneView<'a>, x: &'a Activations<'a>) -> Option<Self> {
        (x.len() == w.cols()).then(|| Self { w, x, units: units(w.cols()) })
    }

    /// The planes of row `r`.
    pub(super) fn row(&self, r: usize) -> Row<'a> {
        self.w.row(r)
    }

    /// Calls `each` for every block of row `r`, in order; `r` is a row of the matrix.
    #[inline(always)]
    pub(super) fn blocks<const LANE: u8, const GROUP: u8>(
        &self,
        r: usize,
        mut each: impl FnMut(BlockPtr),
    ) {
        debug_assert!(r < self.w.rows());
        let (w, x, units) = (self.w, self.x, self.units);
        let full = units / BLOCK_UNITS;
        let limit = if LANE == TERNARY && GROUP == 0 { TERNARY_LIMIT } else { SCALED_LIMIT };
        let scales = w.group().scales_per_unit();
        let unit = r * units;
        let mut block = BlockPtr {
            digits: w.digits.map(|plane| plane.as_ptr().wrapping_add(unit * UNIT_DIGIT_BYTES)),
            high: w.high.as_ptr().wrapping_add(unit * UNIT_HIGH_BYTES),
            scales: w.group_scales.as_ptr().wrapping_add(unit * scales),
            q: x.q.as_ptr(),
            multipliers: x.multipliers.as_ptr(),
            #[cfg(target_arch = "x86_64")]
            sums: x.sums.as_ptr(),
            flush: false,
        };
        let (patterns, _) = x.multipliers.as_chunks::<BLOCK_UNITS>();
        let mut pattern = patterns.first();
        let mut held = 0;
        for (b, next) in patterns.iter().enumerate() {
            block.flush = held == limit || Some(next) != pattern;
            if block.flush {
                held = 0;
                pattern = Some(next);
            }
            held += 1;
            if b == full {
                let tail = Tail::copy(w.row(r), b * BLOCK_UNITS, units - b * BLOCK_UNITS);
                return each(BlockPtr {
                    digits: tail.digits.each_ref().map(|plane| plane.as_ptr()),
                    high: tail.high.as_ptr(),
                    scales: tail.scales.as_ptr(),
                    ..block
                });
            }
            each(block);
            block = BlockPtr {
                digits: block.digits.map(|plane| plane.wrapping_add(64)),
                high: block.high.wrapping_add(32),
                scales: block.scales.wrapping_add(BLOCK_UNITS * scales),
                q: block.q.wrapping_add(BLOCK),
                multipliers: block.multipliers.wrapping_add(BLOCK_UNITS),
                #[cfg(target_arch = "x86_64")]
                sums: block.sums.wrapping_add(2 * BLOCK_UNITS),
                flush: false,
            };
        }
    }
}

/// Row loop and choice of lane and group, the same for every instruction set: expects a function
/// `dot::<LANE, GROUP>(&Walk, r, x) -> (i64, i64)` beside it.
macro_rules! lane_matvec {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn matvec(w: &LaneView<'_>, x: &Activations<'_>, first: usize, y: &mut [f32]) {
            use super::block::*;
            let Some(walk) = Walk::new(w, x) else { return y.fill(0.0) };
            let rows = w.rows().saturating_sub(first).min(y.len());
            let (y, beyond) = y.split_at_mut(rows);
            beyond.fill(0.0);
            macro_rules! rows {
                ($lane:expr, $group:expr) => {
                    for (r, y) in (first..).zip(y) {
                        let (dot, offset) = dot::<{ $lane }, { $group }>(&walk, r, x);
                        *y = scalar::finish(w.lane(), dot, offset, w.row_scale(r) * x.step());
                    }
                };
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
