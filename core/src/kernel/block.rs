//! Walking rows block by block, for the instruction sets that work on whole blocks.

use crate::digits::{BLOCK, BLOCK_UNITS, LaneView, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use crate::quant::Activations;

/// Lanes as const parameters: a bit for each tier of a nested tensor that is read.
pub(super) const TERNARY: u8 = 0;
pub(super) const BITS3: u8 = FIRST;
pub(super) const BITS5: u8 = FIRST | SECOND;
pub(super) const BITS7: u8 = FIRST | SECOND | THIRD;

/// The high plane and the first digit plane.
pub(super) const FIRST: u8 = 1;
/// The second digit plane.
pub(super) const SECOND: u8 = 2;
/// The third digit plane.
pub(super) const THIRD: u8 = 4;

/// Where the parts of one block of up to four units and its activations lie.
///
/// Readable are, for each unit: 16 bytes of each digit plane that the lane reads, 2 of each of the
/// four masks of the high plane (not without the first tier), which are 2·units apart, and 2 or 1 scales (not
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
            scales: self.scales.wrapping_add(scales * i),
            q: self.q.wrapping_add(BLOCK * i),
            ..self.planes_after(BLOCK_UNITS * i)
        }
    }

    /// With the planes of so many units further on.
    #[inline(always)]
    pub(super) fn planes_after(&self, units: usize) -> Self {
        // Not by `map`: what is called from functions for vector instructions has to be inlined,
        // and closures that it passes on are not always.
        let [first, second, third] = self.digits;
        let bytes = units * UNIT_DIGIT_BYTES;
        Self {
            digits: [
                first.wrapping_add(bytes),
                second.wrapping_add(bytes),
                third.wrapping_add(bytes),
            ],
            high: self.high.wrapping_add(units * UNIT_HIGH_BYTES),
            ..*self
        }
    }
}

/// Fetches the first lines of a row of a list: in a list rows are in no order, which no processor
/// foresees. What is further on in a long row it does.
#[inline(always)]
pub(super) fn prefetch_row(w: &LaneView<'_>, row: usize) {
    let unit = row * units(w.cols());
    // A plane that is not read has no place in memory, and looking for it takes long.
    for plane in w.digits {
        if !plane.is_empty() {
            let first = plane.as_ptr().wrapping_add(unit * UNIT_DIGIT_BYTES);
            prefetch(first);
            prefetch(first.wrapping_add(64));
        }
    }
    if !w.high.is_empty() {
        prefetch(w.high.as_ptr().wrapping_add(unit * UNIT_HIGH_BYTES));
    }
}

/// Fetches a line of memory, where the architecture has an instruction for it.
#[inline(always)]
pub(super) fn prefetch(at: *const u8) {
    // SAFETY: a prefetch reads nothing.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
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

/// The blocks of several rows and the activations that meet them.
#[derive(Clone, Copy)]
pub(super) struct Run<const ROWS: usize> {
    /// The first block of the first row of the matrix.
    first: BlockPtr,
    /// The units before each row.
    before: [usize; ROWS],
    /// Units of a row.
    units: usize,
    /// Scale bytes of a unit.
    scales: usize,
    /// What is taken off the steps of a code.
    zero: i32,
}

impl<const ROWS: usize> Run<ROWS> {
    /// Those rows; in place of one past the end, the last.
    #[inline(always)]
    pub(super) fn new(w: &LaneView<'_>, x: &Activations<'_>, rows: [usize; ROWS]) -> Self {
        let (units, scales) = (units(w.cols()), w.group().scales_per_unit());
        let [d0, d1, d2] = w.digits;
        let first = BlockPtr {
            digits: [d0.as_ptr(), d1.as_ptr(), d2.as_ptr()],
            high: w.high.as_ptr(),
            scales: w.group_scales.as_ptr(),
            q: x.q.as_ptr(),
            multipliers: x.multipliers.as_ptr(),
            units: BLOCK_UNITS,
        };
        let mut before = rows;
        before.iter_mut().for_each(|row| *row = (*row).min(w.rows() - 1) * units);
        Self { first, before, units, scales, zero: w.zero() }
    }

    /// Blocks of a row that have four units.
    #[inline(always)]
    pub(super) fn full_blocks(&self) -> usize {
        self.units / BLOCK_UNITS
    }

    /// Calls `each` for every stretch of blocks, in order, with their number and where the first of
    /// them lies in each of the rows, which share the loads of the activations. The blocks of a
    /// stretch have the same multipliers, and there are at most `limit`; a block that is not full
    /// is a stretch of its own.
    #[inline(always)]
    pub(super) fn stretches(
        &self,
        x: &Activations<'_>,
        limit: usize,
        mut each: impl FnMut(usize, [BlockPtr; ROWS]),
    ) {
        let (multipliers, _) = x.multipliers.as_chunks::<BLOCK_UNITS>();
        let full = self.full_blocks();
        let mut b = 0;
        while let Some(first) = multipliers.get(b) {
            let most = full.saturating_sub(b).clamp(1, limit);
            let mut n = 1;
            while n < most && multipliers.get(b + n) == Some(first) {
                n += 1;
            }
            each(n, self.blocks(b, first.as_ptr()));
            b += n;
        }
    }

    /// Block `b` of each row, whose multipliers those are.
    #[inline(always)]
    fn blocks(&self, b: usize, multipliers: *const u32) -> [BlockPtr; ROWS] {
        let mut blocks = [self.first; ROWS];
        for (block, before) in blocks.iter_mut().zip(self.before) {
            let unit = before + BLOCK_UNITS * b;
            *block = BlockPtr {
                scales: self.first.scales.wrapping_add(unit * self.scales),
                q: self.first.q.wrapping_add(BLOCK * b),
                multipliers,
                units: (self.units - BLOCK_UNITS * b).min(BLOCK_UNITS),
                ..self.first.planes_after(unit)
            };
        }
        blocks
    }
}

/// For instruction sets that walk the blocks of several rows themselves.
#[allow(dead_code, reason = "not every architecture has such a set")]
impl<const ROWS: usize> Run<ROWS> {
    /// The first block of each row.
    #[inline(always)]
    pub(super) fn rows(&self) -> [BlockPtr; ROWS] {
        self.blocks(0, self.first.multipliers)
    }

    /// Units of a row after its full blocks.
    #[inline(always)]
    pub(super) fn units_left(&self) -> usize {
        self.units % BLOCK_UNITS
    }

    /// What is taken off the steps of a code to give its value.
    #[inline(always)]
    pub(super) fn zero(&self) -> i32 {
        self.zero
    }
}

/// Calls a macro with the lane and the group of a view as constants, after `$arguments`. `$lanes`
/// names what the macro is given besides for ternary, for lanes that read one, two or three digit
/// planes.
macro_rules! for_lane {
    ($w:expr, $call:ident, $ternary:tt $one:tt $two:tt $three:tt) => {{
        use super::block::{BITS3, BITS5, BITS7, SECOND, TERNARY, THIRD};
        use crate::digits::Group;
        use crate::lane::PrecisionLane::{Bit3, Bit5, Ternary};
        macro_rules! groups {
            ($lane:expr, $with:tt) => {
                match $w.group() {
                    Group::Row => $call!($lane, 0, $with),
                    Group::G32 => $call!($lane, 32, $with),
                    Group::G64 => $call!($lane, 64, $with),
                }
            };
        }
        match ($w.above(), $w.lane()) {
            (None, Ternary) => groups!(TERNARY, $ternary),
            (None, Bit3) => groups!(BITS3, $one),
            (None, Bit5) => groups!(BITS5, $two),
            (None, _) => groups!(BITS7, $three),
            (Some(Bit5), _) => groups!(THIRD, $one),
            (Some(_), Bit5) => groups!(SECOND, $one),
            (Some(_), _) => groups!(SECOND | THIRD, $two),
        }
    }};
}
pub(super) use for_lane;

/// Row loop and choice of lane and group, the same for every instruction set: expects a function
/// `dots::<LANE, GROUP, ROWS>(Run<ROWS>, &Activations) -> [i64; ROWS]` beside it, the sums with the
/// codes, which is called for as many rows at a time as are named for ternary and for one, two and
/// three digit planes, and `finish(&LaneView, row, dot, &Activations)`, the product from such a sum.
macro_rules! lane_matvec {
    ($features:literal, rows $ternary:literal $one:literal $two:literal $three:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn matvec<P: scalar::Product>(
            w: &LaneView<'_>,
            x: &Activations<'_>,
            rows: super::rows::Rows<'_>,
            y: &mut [P],
        ) {
            use super::block::for_lane;
            // What every pointer rests on: the activations are as many as the weights of a row.
            if x.len() != w.cols() {
                return y.fill(P::ZERO);
            }
            macro_rules! rows {
                ($lane:expr, $group:expr, $rows:literal) => {{
                    let product = |r: usize, dot: i64| {
                        if r >= w.rows() {
                            return P::ZERO;
                        }
                        finish(w, r, dot, x)
                    };
                    let mut i = 0;
                    for y in y.chunks_mut($rows) {
                        let mut together = [0; $rows];
                        together.iter_mut().enumerate().for_each(|(k, r)| *r = rows.at(i + k));
                        if let super::rows::Rows::Listed(rows) = rows {
                            for &row in rows.iter().skip(i + $rows).take($rows) {
                                super::block::prefetch_row(w, row as usize);
                            }
                        }
                        let dots = dots::<{ $lane }, { $group }, $rows>(Run::new(w, x, together), x);
                        for (y, (r, dot)) in y.iter_mut().zip(together.into_iter().zip(dots)) {
                            *y = product(r, dot);
                        }
                        i += $rows;
                    }
                }};
            }
            for_lane!(w, rows, $ternary $one $two $three);
        }
    };
}
pub(super) use lane_matvec;
