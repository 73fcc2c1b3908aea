//! Walking a row block by block, for the instruction sets that work on whole blocks.

use crate::digits::{BLOCK, BLOCK_UNITS, Row, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES};
use crate::quant::Activations;

/// Lanes and groups as const parameters.
pub(super) const TERNARY: u8 = 2;
pub(super) const BITS3: u8 = 3;
pub(super) const BITS5: u8 = 5;
pub(super) const BITS7: u8 = 7;

/// Where the parts of one block of 256 weights and activations lie.
///
/// All of them are readable in full: 64 bytes of each digit plane that the lane reads, 32 of the
/// high plane (not for ternary), 8 or 4 scales (not for a group of the whole row), 256 activations,
/// 4 multipliers, 8 sums.
#[derive(Clone, Copy)]
pub(super) struct BlockPtr {
    pub(super) digits: [*const u8; 3],
    pub(super) high: *const u8,
    pub(super) scales: *const u8,
    pub(super) q: *const i8,
    pub(super) multipliers: *const u32,
    #[cfg(target_arch = "x86_64")]
    pub(super) sums: *const i32,
}

/// The last block of a row when it is not full, copied to full size. The bytes that are added
/// meet activations of zero.
struct Tail {
    digits: [[u8; 64]; 3],
    high: [u8; 32],
    scales: [u8; 8],
}

impl Tail {
    #[inline(always)]
    fn copy(row: &Row<'_>, unit: usize, n: usize) -> Self {
        let mut tail = Self { digits: [[0; 64]; 3], high: [0; 32], scales: [0; 8] };
        for (to, from) in tail.digits.iter_mut().zip(row.digits) {
            if let Some(from) = from.get(unit * UNIT_DIGIT_BYTES..) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
        if let Some(from) = row.high.get(unit * UNIT_HIGH_BYTES..) {
            for (to, from) in tail.high.chunks_exact_mut(8).zip(from.chunks_exact(2 * n)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
        if let Some(from) = row.scales.get(unit * row.group.scales_per_unit()..) {
            tail.scales.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        tail
    }
}

/// Calls `each` for every block of the row, in order.
#[inline(always)]
pub(super) fn for_each_block(row: Row<'_>, x: &Activations<'_>, mut each: impl FnMut(BlockPtr)) {
    let units = row.digits[0].len() / UNIT_DIGIT_BYTES;
    let full = units / BLOCK_UNITS;
    let scales = BLOCK_UNITS * row.group.scales_per_unit();
    debug_assert!(x.q.len() >= units.div_ceil(BLOCK_UNITS) * BLOCK);
    let at = |b: usize| BlockPtr {
        digits: row.digits.map(|plane| plane.as_ptr().wrapping_add(64 * b)),
        high: row.high.as_ptr().wrapping_add(32 * b),
        scales: row.scales.as_ptr().wrapping_add(scales * b),
        q: x.q.as_ptr().wrapping_add(BLOCK * b),
        multipliers: x.multipliers.as_ptr().wrapping_add(4 * b),
        #[cfg(target_arch = "x86_64")]
        sums: x.sums.as_ptr().wrapping_add(8 * b),
    };
    for b in 0..full {
        each(at(b));
    }
    if units > full * BLOCK_UNITS {
        let tail = Tail::copy(&row, full * BLOCK_UNITS, units - full * BLOCK_UNITS);
        each(BlockPtr {
            digits: [0, 1, 2].map(|tier| tail.digits[tier].as_ptr()),
            high: tail.high.as_ptr(),
            scales: tail.scales.as_ptr(),
            ..at(full)
        });
    }
}

/// How many blocks of ternary sums without group scales fit into an i32 before they are widened:
/// sixteen products of at most 2·127·multiplier a block, so never fewer than 16 blocks.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn flush_interval(x: &Activations<'_>) -> u32 {
    i32::MAX as u32 / (16 * 2 * 127 * x.max_multiplier().clamp(1, 1 << 15))
}

/// Row loop and choice of lane and group, the same for every instruction set: expects a function
/// `dot::<LANE, GROUP>(row, x) -> (i64, i64)` beside it.
macro_rules! lane_matvec {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn matvec(w: &LaneView<'_>, x: &Activations<'_>, first: usize, y: &mut [f32]) {
            use super::block::*;
            macro_rules! rows {
                ($lane:expr, $group:expr) => {
                    for (r, y) in (first..).zip(y) {
                        let (dot, offset) = dot::<{ $lane }, { $group }>(w.row(r), x);
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
