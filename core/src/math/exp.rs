//! The exponential function, and the pieces of it that the other functions share.
//!
//! ```text
//! n = round(x · log₂e)           by the magic-number addition
//! r = x − n·ln 2                  |r| ≤ ln 2 / 2, two words: high and low
//! eˣ = 2ⁿ · eʳ,  eʳ = 1 + r + r²·q(r)
//! ```
//!
//! *Reduction* (Cody and Waite). ln 2 is split into `LN2_HI`, which has 15 significant bits, and
//! `LN2_LO`. |n| ≤ 174 has 8 bits, so `n·LN2_HI` is exact, and so is its difference from x. The
//! rounding error of the second subtraction is kept in `r_low`.
//!
//! *Polynomial.* q is the minimax (Remez) fit of degree 5 to (eʳ − 1 − r)/r² on
//! |r| ≤ 1.0005·ln 2/2, with the relative error of eʳ as its weight. With the coefficients rounded
//! to binary32 the relative error of 1 + r + r²·q(r) is at most 2⁻²⁹·⁷.
//!
//! *Sum.* `1 + r` is rounded to s; what was lost, (1 − s) + r, is exact because 1 ≥ |r|. It joins
//! the small terms, so the last addition is the only one whose rounding is felt: 0.5 ulp, and a
//! few hundredths from the small terms.
//!
//! *Scale.* 2ⁿ is applied as two powers of two, each in the normal range. The first product is
//! exact, the second rounds only when the result is subnormal.

/// 1.5·2²³: adding it to |v| ≤ 2²² leaves round-half-even(v) in the low bits of the sum.
pub(super) const MAGIC: f32 = 12_582_912.0;

const LOG2_E: f32 = f32::from_bits(0x3fb8_aa3b);
const LN2_HI: f32 = 0.693_145_75;
const LN2_LO: f32 = 1.428_606_8e-6;

const Q0: f32 = 0.5;
const Q1: f32 = f32::from_bits(0x3e2a_aaaa);
const Q2: f32 = f32::from_bits(0x3d2a_aa47);
const Q3: f32 = f32::from_bits(0x3c08_8939);
const Q4: f32 = f32::from_bits(0x3ab6_c6a8);
const Q5: f32 = f32::from_bits(0x394f_8441);

/// Arguments below are raised to this: e⁻¹²⁰ is far below half the least subnormal.
const LOWEST: f32 = -120.0;
/// Arguments above are lowered to this: e⁹⁰ is above the greatest finite number.
const HIGHEST: f32 = 90.0;

/// eˣ split as 2ⁿ·(1 + m), with m in two words.
pub(super) struct Reduced {
    /// n, an integer in −174..=130.
    pub(super) n: i32,
    /// r, the leading word of m.
    pub(super) r: f32,
    /// m − r.
    pub(super) rest: f32,
}

/// Reduces `x`, which must be in −120..=90 or NaN.
#[inline(always)]
pub(super) fn reduce(x: f32) -> Reduced {
    let shifted = x * LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let high = x - n * LN2_HI;
    let step = n * LN2_LO;
    let r = high - step;
    let r_low = (high - r) - step;
    let q = Q0 + r * (Q1 + r * (Q2 + r * (Q3 + r * (Q4 + r * Q5))));
    Reduced {
        n: shifted.to_bits().wrapping_sub(MAGIC.to_bits()) as i32,
        r,
        rest: r * r * q + r_low,
    }
}

/// 2ⁿ for −126 ≤ n ≤ 127; other n (reached only from NaN) give an unspecified value.
#[inline(always)]
pub(super) fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// eˣ as (p·2ᵃ, 2ᵇ) with the product not yet taken: multiplying rounds once.
/// `x` must be in −120..=90 or NaN.
#[inline(always)]
pub(super) fn unscaled(x: f32) -> (f32, f32) {
    let Reduced { n, r, rest } = reduce(x);
    let s = 1.0 + r;
    let lost = (1.0 - s) + r;
    let p = s + (lost + rest);
    let half = n >> 1;
    (p * power_of_two(half), power_of_two(n.wrapping_sub(half)))
}

/// `x` limited to the domain of [`unscaled`]; NaN stays NaN.
#[inline(always)]
pub(super) fn limit(x: f32) -> f32 {
    let x = if x < LOWEST { LOWEST } else { x };
    if x > HIGHEST { HIGHEST } else { x }
}

/// `eˣ`.
///
/// Ordered; error at most 0.7 ulp, or 0.85 ulp where the result is subnormal.
/// e⁰ = e⁻⁰ = 1 exactly. Above 88.722 83 the result is +∞; below −87.336 54 it is subnormal, and
/// below −103.972 08 it is +0. exp(+∞) = +∞, exp(−∞) = +0, exp(NaN) is NaN.
/// Never decreasing over all inputs.
#[inline(always)]
#[must_use]
pub fn exp(x: f32) -> f32 {
    let (scaled, power) = unscaled(limit(x));
    scaled * power
}
