//! Table lookup, for processors without vector instructions (the method of T-MAC, Wei et al. 2024).
//!
//! A byte of a digit plane is four weights of a row. What each such byte adds to the products of
//! all rows with half a unit of activations is computed once, 256 sums for each of its eight
//! bytes; then four multiply-adds are one load and one addition. A byte of the high plane is eight
//! bits of one position, so it has tables of its own.
//!
//! ```text
//!   digit plane, byte j   T[byte]  =  Σ_p digit_p(byte) · x[16p + j]      p ∈ {0, 1}
//!                                  +  the same · 2¹⁶                      p ∈ {2, 3}
//!   high plane            T[byte]  =  Σ_j 4 · bit_j(byte) · x[16p + j]    of one p, · 2¹⁶ as above
//! ```
//!
//! So both halves of a unit are added in one word. The lower one is read as an i16, the upper one
//! is `(sum + 2¹⁵) >> 16`, which is exact while neither leaves that range.

use super::rows::Rows;
use super::scalar::{self, Product};
use crate::digits::{BLOCK, BLOCK_UNITS, Group, LaneView, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES};
use crate::digits::{NESTED_ROTATION, TERNARY_ROTATION, digit_shift, units};
use crate::lane::PrecisionLane;
use crate::quant::Activations;
use core::ops::Range;

/// Rows that share the tables at a time.
const ROWS: usize = 256;

/// Rows from which on the tables are worth making.
const FEWEST_ROWS: usize = 8;

/// Bytes of a unit in a digit plane that have tables at a time.
const BYTES: usize = UNIT_DIGIT_BYTES / 2;

/// The largest sum of half a unit, over all its bytes: codes of three bits.
const _: () = assert!(4 * UNIT_DIGIT_BYTES / 2 * 7 * 127 < 1 << 15);

/// The largest sum of a block with equal multipliers: values up to 128 half steps, scales up to 255.
const _: () = assert!(BLOCK * 128 * 127 * 255 < 1 << 31);

/// Rows of a matrix; a type for each way to name them, so that only what is used is compiled in.
pub(super) trait Source: Copy {
    /// As the specification takes them.
    fn rows(&self) -> Rows<'_>;

    /// Those after the first `n`.
    fn after(self, n: usize) -> Self;

    /// How many there are in the matrix, or, of a list, in the list.
    fn count(&self, w: &LaneView<'_>) -> usize;

    /// Each row of a plane that has `len` elements a row.
    fn of<'p, T>(&self, plane: &'p [T], len: usize) -> impl Iterator<Item = &'p [T]>;
}

/// Consecutive rows, from this one on.
impl Source for usize {
    fn rows(&self) -> Rows<'_> {
        Rows::From(*self)
    }

    fn after(self, n: usize) -> Self {
        self.saturating_add(n)
    }

    fn count(&self, w: &LaneView<'_>) -> usize {
        w.rows().saturating_sub(*self)
    }

    #[inline(always)]
    fn of<'p, T>(&self, plane: &'p [T], len: usize) -> impl Iterator<Item = &'p [T]> {
        match plane.get(self.saturating_mul(len)..) {
            Some(rest) if len > 0 => rest.chunks_exact(len),
            _ => [].chunks_exact(1),
        }
    }
}

/// Listed rows; one past the end is read as if it were empty.
impl Source for &[u32] {
    fn rows(&self) -> Rows<'_> {
        Rows::Listed(self)
    }

    fn after(self, n: usize) -> Self {
        self.get(n..).unwrap_or(&[])
    }

    fn count(&self, _: &LaneView<'_>) -> usize {
        self.len()
    }

    #[inline(always)]
    fn of<'p, T>(&self, plane: &'p [T], len: usize) -> impl Iterator<Item = &'p [T]> {
        self.iter().map(move |&row| {
            let rest = plane.get((row as usize).saturating_mul(len)..);
            rest.and_then(|rest| rest.get(..len)).unwrap_or(&[])
        })
    }
}

/// See [`scalar::matvec`]. `TIERS` are the tiers of nested tensors that are compiled in; a lane
/// that reads more gives zeros. Takes 15 KiB of stack for ternary and Bit3, 19 for Bit5, 23 for
/// Bit7; a refinement takes what a lane of as many digit planes does.
pub(super) fn matvec<P: Product, S: Source, const TIERS: usize>(
    w: &LaneView<'_>,
    x: &Activations<'_>,
    rows: S,
    y: &mut [P],
) {
    use PrecisionLane::{Bit3, Bit5, Bit7, Ternary};
    if y.len() < FEWEST_ROWS || x.len() != w.cols() {
        return scalar::matvec(w, x, rows.rows(), y);
    }
    match (w.above(), w.lane()) {
        (None, Ternary) => products::<P, S, true, 0, 1>(w, x, rows, y),
        (None, Bit3) if TIERS >= 1 => products::<P, S, false, 0, 1>(w, x, rows, y),
        (None, Bit5) if TIERS >= 2 => products::<P, S, false, 0, 2>(w, x, rows, y),
        (None, Bit7) if TIERS >= 3 => products::<P, S, false, 0, 3>(w, x, rows, y),
        (Some(Bit3), Bit5) if TIERS >= 2 => products::<P, S, false, 1, 1>(w, x, rows, y),
        (Some(Bit3), Bit7) if TIERS >= 3 => products::<P, S, false, 1, 2>(w, x, rows, y),
        (Some(Bit5), Bit7) if TIERS >= 3 => products::<P, S, false, 2, 1>(w, x, rows, y),
        _ => y.fill(P::ZERO),
    }
}

/// Products of the rows at a lane that reads `PLANES` digit planes, the first of them that of tier
/// `FROM`. Not inlined: two lanes in one frame would take the stack of both.
#[inline(never)]
fn products<P: Product, S: Source, const TERNARY: bool, const FROM: usize, const PLANES: usize>(
    w: &LaneView<'_>,
    x: &Activations<'_>,
    rows: S,
    y: &mut [P],
) {
    let (y, beyond) = y.split_at_mut(rows.count(w).min(y.len()));
    beyond.fill(P::ZERO);
    let mut tables = [[0; 256]; BYTES];
    let mut packed = [[[0; ROWS]; BLOCK_UNITS]; PLANES];
    for (y, first) in y.chunks_mut(ROWS).zip((0..).step_by(ROWS)) {
        let rows = rows.after(first);
        let mut sums = [0; ROWS];
        let sums = sums.get_mut(..y.len()).unwrap_or(&mut []);
        for unit in 0..units(w.cols()) {
            let s = unit % BLOCK_UNITS;
            for (tier, packed) in packed.iter_mut().enumerate() {
                let packed = packed[s].get_mut(..y.len()).unwrap_or(&mut []);
                unit_sums::<S, TERNARY>(w, x, rows, FROM + tier, unit, &mut tables, packed);
            }
            if s + 1 == BLOCK_UNITS || unit + 1 == units(w.cols()) {
                let block = unit - s..unit + 1;
                add_block::<S, TERNARY, FROM, PLANES>(w, x, rows, block, &packed, sums);
            }
        }
        for (i, (y, &mut sum)) in y.iter_mut().zip(sums).enumerate() {
            let r = rows.rows().at(i);
            *y = if r < w.rows() { P::of(sum, w.row_scale(r) * x.step()) } else { P::ZERO };
        }
    }
}

/// The sums of a unit's halves, the upper one 16 bits up.
type Packed = i32;

/// `Σ code · q` over a unit of the rows, of one plane; of the first nested one together with the
/// high plane.
#[inline(never)]
fn unit_sums<S: Source, const TERNARY: bool>(
    w: &LaneView<'_>,
    x: &Activations<'_>,
    rows: S,
    tier: usize,
    unit: usize,
    tables: &mut [[Packed; 256]; BYTES],
    packed: &mut [Packed],
) {
    let (block, s) = (unit / BLOCK_UNITS, unit % BLOCK_UNITS);
    let units = units(w.cols());
    packed.fill(0);
    for half in 0..2 {
        let q = [0, 1, 2, 3].map(|p| -> &[i8; BYTES] {
            let at = BLOCK * block + 64 * p + 16 * s + BYTES * half;
            x.q.get(at..).and_then(|rest| rest.first_chunk()).unwrap_or(&[0; BYTES])
        });
        let rotation = if TERNARY { TERNARY_ROTATION } else { NESTED_ROTATION[tier] };
        fill_digits::<TERNARY>(tables, q, rotation);
        let cells: &[[u8; BYTES]] = w.digits[tier].as_chunks().0;
        for (packed, row) in packed.iter_mut().zip(rows.of(cells, 2 * units)) {
            *packed += looked_up(tables, row.get(2 * unit + half).unwrap_or(&[0; BYTES]));
        }
        if !TERNARY && tier == 0 {
            fill_high(tables, q);
            let n = (units - BLOCK_UNITS * block).min(BLOCK_UNITS);
            let at = BLOCK_UNITS * UNIT_HIGH_BYTES * block + 2 * s + half;
            let rows = packed.iter_mut().zip(rows.of(w.high, units * UNIT_HIGH_BYTES));
            if n == BLOCK_UNITS {
                for (packed, row) in rows {
                    let row: &[u8; 25] =
                        row.get(at..).and_then(|rest| rest.first_chunk()).unwrap_or(&[0; 25]);
                    *packed += looked_up(tables, &[row[0], row[8], row[16], row[24]]);
                }
            } else {
                for (packed, row) in rows {
                    let byte = |p: usize| row.get(at + 2 * n * p).copied().unwrap_or(0);
                    *packed += looked_up(tables, &[byte(0), byte(1), byte(2), byte(3)]);
                }
            }
        }
    }
}

/// `sums[r] += Σ group_scale · value · multiplier · q` over the units of a block.
#[inline(never)]
fn add_block<S: Source, const TERNARY: bool, const FROM: usize, const PLANES: usize>(
    w: &LaneView<'_>,
    x: &Activations<'_>,
    rows: S,
    block: Range<usize>,
    packed: &[[[Packed; ROWS]; BLOCK_UNITS]; PLANES],
    sums: &mut [i64],
) {
    // What a unit of codes 0 comes to: in steps for ternary, in half steps for the nested lanes.
    let zero = -w.zero();
    let half_sums = x.sums.get(2 * block.start..).unwrap_or(&[]).as_chunks().0;
    let mut zeros = [[0; 2]; BLOCK_UNITS];
    for (zeros, halves) in zeros.iter_mut().zip(half_sums) {
        *zeros = halves.map(|sum| zero * i32::from(sum));
    }
    let multipliers = x.multipliers.get(block.clone()).unwrap_or(&[]);
    let &common = multipliers.first().unwrap_or(&0);
    let equal = multipliers.iter().all(|&m| m == common);
    let units = units(w.cols());
    // Bounds that the compiler sees: nothing below is checked, and nothing can panic.
    let block_units = block.len().min(BLOCK_UNITS);
    let count = sums.len().min(ROWS);
    for (r, total) in (0..count).zip(sums) {
        let first = rows.rows().at(r).wrapping_mul(units).wrapping_add(block.start);
        let value = |s: usize| {
            let [mut low, mut high] = zeros[s];
            for (tier, packed) in packed.iter().enumerate() {
                let shift = if TERNARY { 0 } else { 5 - 2 * (FROM + tier) };
                low += i32::from(packed[s][r] as i16) << shift;
                high += (packed[s][r].wrapping_add(1 << 15) >> 16) << shift;
            }
            let scale = |i: usize| w.group_scales.get(i).map_or(0, |&scale| i32::from(scale));
            let unit = first.wrapping_add(s);
            match w.group() {
                Group::Row => low + high,
                Group::G64 => (low + high) * scale(unit),
                Group::G32 => {
                    let at = unit.wrapping_mul(2);
                    low * scale(at) + high * scale(at.wrapping_add(1))
                }
            }
        };
        *total += if equal {
            i64::from((0..block_units).map(value).sum::<i32>()) * i64::from(common)
        } else {
            let units = (0..block_units).zip(multipliers);
            units.map(|(s, &m)| i64::from(value(s)) * i64::from(m)).sum()
        };
    }
}

/// The tables of a digit plane with that rotation.
fn fill_digits<const TERNARY: bool>(
    tables: &mut [[Packed; 256]; BYTES],
    x: [&[i8; BYTES]; 4],
    rotation: usize,
) {
    for (j, table) in tables.iter_mut().enumerate() {
        let mut fields = [[0; 3]; 4];
        for (p, x) in x.iter().enumerate() {
            let x = Packed::from(x[j]) << (16 * (p / 2));
            fields[digit_shift(p, rotation) as usize / 2] = [x, 2 * x, 3 * x];
        }
        fill::<TERNARY>(table, &fields);
    }
}

/// The tables of the high plane, one for each position, whose bits are worth four digits.
fn fill_high(tables: &mut [[Packed; 256]; BYTES], x: [&[i8; BYTES]; 4]) {
    for (p, (table, x)) in tables.iter_mut().zip(x).enumerate() {
        let mut fields = [[0; 3]; 4];
        for (field, &[a, b]) in fields.iter_mut().zip(x.as_chunks().0) {
            let worth = |x| Packed::from(x) << (2 + 16 * (p / 2));
            *field = [worth(a), worth(b), worth(a) + worth(b)];
        }
        fill::<false>(table, &fields);
    }
}

/// The table of a byte whose four 2-bit fields add nothing for 0 and else these values; of ternary
/// digits the last one is not possible.
#[inline(never)]
fn fill<const TERNARY: bool>(table: &mut [Packed; 256], fields: &[[Packed; 3]; 4]) {
    let [first, second, third, fourth] = fields;
    let values = if TERNARY { 3 } else { 4 };
    for (table, fourth) in table.chunks_exact_mut(64).zip([0].iter().chain(fourth)).take(values) {
        for (table, third) in
            table.as_chunks_mut::<16>().0.iter_mut().zip([0].iter().chain(third)).take(values)
        {
            let upper = third + fourth;
            let (entries, _) = table.as_chunks_mut::<4>();
            for (entries, second) in
                entries.iter_mut().zip([0, second[0], second[1], second[2]]).take(values)
            {
                let sum = upper + second;
                *entries = [sum, sum + first[0], sum + first[1], sum + first[2]];
            }
        }
    }
}

/// `Σ table[byte]`, each byte in its own table.
#[inline(always)]
fn looked_up<const N: usize>(tables: &[[Packed; 256]; BYTES], bytes: &[u8; N]) -> Packed {
    tables.iter().zip(bytes).map(|(table, &byte)| table[usize::from(byte)]).sum()
}
