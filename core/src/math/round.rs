//! Rounding to integers.

use super::exp::MAGIC;

/// The integer nearest to `x`, halves to the even one.
///
/// Domain: |x| ≤ 2²²; other arguments (NaN and ±∞ too) give an unspecified integer, the same on
/// every platform for arguments other than NaN. Ordered, and exact on the domain.
///
/// Between 2²³ and 2²⁴ consecutive f32 are 1 apart, so the addition of 1.5·2²³ rounds to an
/// integer, by the mode that f32 addition has, and leaves it in the low bits of the sum.
#[inline(always)]
#[must_use]
pub fn round_half_even(x: f32) -> i32 {
    (x + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i32
}
