//! The 16-lane ordered reduction.
//!
//! Element i belongs to lane i mod 16. The 16 lanes start from the identity and take their
//! elements in ascending order; then lanes 8 apart are combined, then 4, 2 and 1:
//!
//! ```text
//! s[i] ← s[i] ∘ s[i+8]   i < 8
//! s[i] ← s[i] ∘ s[i+4]   i < 4
//! s[i] ← s[i] ∘ s[i+2]   i < 2
//! s[0] ∘ s[1]
//! ```
//!
//! This is what one 16-lane, two 8-lane or four 4-lane registers do naturally.
//!
//! *Tail.* A length that is no multiple of 16 is treated as if zeros (for the maximum: −∞)
//! followed. That is the same as leaving the other lanes alone: a sum's lane starts at +0, and
//! from there it can never become −0 (a sum rounded to nearest is −0 only when both terms are), so
//! adding +0 or −0 to it changes no bit. An implementation may pad or mask as it likes.
//!
//! A NaN among the elements makes a sum NaN, with sign and payload undefined; the maximum ignores it.

use crate::error::ShapeError;

/// Number of partial results: element i goes to lane i mod `LANES`.
pub const LANES: usize = 16;

/// The fixed tree over 16 lanes with + as the operation: 8 apart, then 4, 2 and 1. Ordered.
#[inline(always)]
#[must_use]
pub fn add_lanes(lanes: [f32; LANES]) -> f32 {
    fold_lanes(lanes, |a, b| a + b)
}

#[inline(always)]
fn fold_lanes(s: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let a: [f32; 8] = core::array::from_fn(|i| f(s[i], s[i + 8]));
    let b: [f32; 4] = core::array::from_fn(|i| f(a[i], a[i + 4]));
    let c: [f32; 2] = core::array::from_fn(|i| f(b[i], b[i + 2]));
    f(c[0], c[1])
}

/// Runs `step` over each lane and its elements, 16 elements at a time.
#[inline(always)]
fn accumulate(x: &[f32], identity: f32, step: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut lanes = [identity; LANES];
    let (rows, tail) = x.as_chunks::<LANES>();
    for row in rows {
        for (lane, &v) in lanes.iter_mut().zip(row) {
            *lane = step(*lane, v);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(tail) {
        *lane = step(*lane, v);
    }
    lanes
}

/// `Σ x[i]` by the 16-lane reduction. Ordered. Empty: +0.
#[inline(always)]
#[must_use]
pub fn sum(x: &[f32]) -> f32 {
    add_lanes(accumulate(x, 0.0, |s, v| s + v))
}

/// `Σ x[i]²` by the 16-lane reduction; each square is rounded before it is added. Ordered.
/// Empty: +0. Overflows to +∞ when a square or the sum does.
#[inline(always)]
#[must_use]
pub fn sum_of_squares(x: &[f32]) -> f32 {
    add_lanes(accumulate(x, 0.0, |s, v| s + v * v))
}

/// The greatest element by the 16-lane reduction, where `max(a, b)` is `b` if `b > a`, else `a`.
///
/// Ordered: of +0 and −0 the one met first in that order is returned. NaN is ignored.
/// Empty, or nothing but NaN: −∞.
#[inline(always)]
#[must_use]
pub fn max(x: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    fold_lanes(accumulate(x, f32::NEG_INFINITY, greater), greater)
}

/// `Σ a[i]·b[i]` by the 16-lane reduction; each product is rounded before it is added. Ordered.
/// Empty: +0.
///
/// # Errors
/// `ShapeError::Length` when `b` is not as long as `a`.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> Result<f32, ShapeError> {
    if a.len() != b.len() {
        return Err(ShapeError::Length { expected: a.len(), actual: b.len() });
    }
    let mut lanes = [0.0f32; LANES];
    let (a_rows, a_tail) = a.as_chunks::<LANES>();
    let (b_rows, b_tail) = b.as_chunks::<LANES>();
    for (row_a, row_b) in a_rows.iter().zip(b_rows) {
        for ((lane, &u), &v) in lanes.iter_mut().zip(row_a).zip(row_b) {
            *lane += u * v;
        }
    }
    for ((lane, &u), &v) in lanes.iter_mut().zip(a_tail).zip(b_tail) {
        *lane += u * v;
    }
    Ok(add_lanes(lanes))
}
