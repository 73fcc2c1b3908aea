//! The specification: what every other instruction set must reproduce bit for bit.

use super::rows::{Rows, Terms};
use crate::digits::{BLOCK_UNITS, Group, LaneView, Row, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES};
use crate::lane::PrecisionLane;
use crate::quant::Activations;

/// `y[i] = row_scale · step · Σ_c group_scale · value(code) · multiplier · q` for each of the rows,
/// where `value` is the table of [`PrecisionLane`].
///
/// The sum is an exact integer, which fits an i64 because a row has at most
/// [`MAX_COLS`](crate::digits::MAX_COLS) weights; see [`finish`] for the one rounding to f32. Rows past the end give
/// zero, and so does every row when `x` is not as long as one.
pub(crate) fn matvec<P: Product>(
    w: &LaneView<'_>,
    x: &Activations<'_>,
    rows: Rows<'_>,
    y: &mut [P],
) {
    for (i, y) in y.iter_mut().enumerate() {
        let r = rows.at(i);
        *y = if r < w.rows() && x.len() == w.cols() {
            finish_codes(w, r, code_dot(w.row(r), x), x)
        } else {
            P::ZERO
        };
    }
}

/// `y[c − first] = Σ_parts Σ_t k(t, group of c) · value(code[rows[t], c])`, where
/// `k(t, g) = ⌊q[t] · group_scale / 256 + ½⌋`, or `q[t]` for a group of the whole row.
pub(crate) fn combine(parts: &[Terms<'_>], first: usize, y: &mut [i32]) {
    y.fill(0);
    for Terms { view, rows, q } in parts {
        for (&r, &q) in rows.iter().zip(*q) {
            let row = view.row(r as usize);
            let cols = if (r as usize) < view.rows() { view.cols() } else { 0 };
            for (c, y) in (first..cols).zip(y.iter_mut()) {
                let k = match view.group() {
                    Group::Row => i32::from(q),
                    _ => (i32::from(q) * i32::from(row.group_scale(c)) + 128) >> 8,
                };
                *y = y.wrapping_add(k.wrapping_mul(view.value(row.code(c))));
            }
        }
    }
}

/// What the product of a row is given as.
pub(crate) trait Product: Copy {
    /// The product of a row that is not there.
    const ZERO: Self;

    /// The product, from its integer and what one unit of that stands for.
    fn of(sum: i64, scale: f32) -> Self;
}

/// The number: the conversion rounds to nearest even, the multiplication rounds once more.
impl Product for f32 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn of(sum: i64, scale: f32) -> Self {
        // The same number either way; processors of 32 bits convert 32 several times faster.
        match i32::try_from(sum) {
            Ok(sum) if size_of::<usize>() < 8 => sum as Self * scale,
            _ => converted(sum) * scale,
        }
    }
}

/// Not inlined, so that it is not computed where the shorter conversion is taken.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn converted(sum: i64) -> f32 {
    sum as f32
}

/// The integer.
impl Product for i64 {
    const ZERO: Self = 0;

    #[inline(always)]
    fn of(sum: i64, _: f32) -> Self {
        sum
    }
}

/// The product of row `r` from the integer `Σ group_scale · value(code) · multiplier · q`.
///
/// `dot` is the sum with the code in place of the value, the code of a nested lane with all seven
/// bits, those that it does not read zero; `offset` is the sum with 1 in place of it.
#[inline(always)]
pub(crate) fn finish<P: Product>(
    w: &LaneView<'_>,
    r: usize,
    dot: i64,
    offset: i64,
    x: &Activations<'_>,
) -> P {
    let step = if w.lane() == PrecisionLane::Ternary { 1 } else { 2 };
    product(w, r, step * dot - i64::from(w.zero()) * offset, x)
}

/// The product of row `r` from `Σ group_scale · value(code) · multiplier · q`.
#[inline(always)]
pub(crate) fn product<P: Product>(w: &LaneView<'_>, r: usize, sum: i64, x: &Activations<'_>) -> P {
    P::of(sum, w.row_scale(r) * x.step())
}

/// [`finish`] with the offset that the activations' sums give.
#[inline(always)]
pub(crate) fn finish_codes<P: Product>(
    w: &LaneView<'_>,
    r: usize,
    dot: i64,
    x: &Activations<'_>,
) -> P {
    finish(w, r, dot, offset_dot(w.group(), w.scales_of(r), x), x)
}

/// `Σ group_scale · multiplier · Σ q`, from the sums that were made with the activations.
#[inline(always)]
pub(crate) fn offset_dot(group: Group, scales: &[u8], x: &Activations<'_>) -> i64 {
    let (halves, _) = x.sums.as_chunks::<2>();
    let units = halves.iter().zip(x.multipliers);
    // At most 2 · 255 · 4064 in a unit.
    let scaled = |scale: u8, sum: i16| i32::from(scale) * i32::from(sum);
    match group {
        Group::Row => x.total,
        Group::G32 => {
            let (scales, _) = scales.as_chunks::<2>();
            let units = scales.iter().zip(units);
            units
                .map(|(&[a, b], (&[low, high], &m))| {
                    i64::from(scaled(a, low) + scaled(b, high)) * i64::from(m)
                })
                .sum()
        }
        Group::G64 => {
            let units = scales.iter().zip(units);
            units
                .map(|(&a, (&[low, high], &m))| {
                    i64::from(scaled(a, low) + scaled(a, high)) * i64::from(m)
                })
                .sum()
        }
    }
}

/// `Σ group_scale · multiplier · Σ code · q`.
fn code_dot(row: Row<'_>, x: &Activations<'_>) -> i64 {
    (0..row.units)
        .map(|u| {
            let [low, high] = unit_dot(row, row.units, u, x);
            let scale = |i: usize| i64::from(row.scales.get(i).copied().unwrap_or(0));
            let sum = match row.group {
                Group::Row => low + high,
                Group::G64 => scale(u) * (low + high),
                Group::G32 => scale(2 * u) * low + scale(2 * u + 1) * high,
            };
            i64::from(x.multipliers.get(u).copied().unwrap_or(0)) * sum
        })
        .sum()
}

/// `Σ code · q` over the two halves of unit `u`: positions p ∈ {0, 1} and {2, 3}.
fn unit_dot(row: Row<'_>, units: usize, u: usize, x: &Activations<'_>) -> [i64; 2] {
    let s = u % BLOCK_UNITS;
    let block = u - s;
    let n = (units - block).min(BLOCK_UNITS);
    let bytes = |plane: &[u8]| -> [u8; 16] {
        plane
            .get(u * UNIT_DIGIT_BYTES..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .unwrap_or_default()
    };
    let digits = row.digits.map(bytes);
    let mut halves = [0; 2];
    for p in 0..4 {
        let at = block * UNIT_HIGH_BYTES + 2 * (p * n + s);
        let high =
            row.high.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        let high = u16::from_le_bytes(high);
        let at = 64 * (block + p) + 16 * s;
        let q: [i8; 16] =
            x.q.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        let sum: i32 = (0..16)
            .map(|j| {
                let digit = |tier: usize, rotation| {
                    let shift = crate::digits::digit_shift(p, rotation);
                    u32::from((digits[tier][j] >> shift) & 3)
                };
                let code = match row.lane {
                    PrecisionLane::Ternary => digit(0, 0),
                    _ => {
                        u32::from(high >> j & 1) << 6
                            | digit(0, 2) << 4
                            | digit(1, 1) << 2
                            | digit(2, 0)
                    }
                };
                code as i32 * i32::from(q[j])
            })
            .sum();
        halves[p / 2] += i64::from(sum);
    }
    halves
}
