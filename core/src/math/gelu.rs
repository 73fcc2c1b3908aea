//! Gaussian error linear units: the tanh form and the exact one.
//!
//! *tanh form.* Since (1 + tanh v)/2 = σ(2v), it is x·σ(2v), which does not cancel for negative x.
//!
//! *Exact form.* Φ, the normal distribution function, is taken on its lower side:
//!
//! ```text
//! Φ(−t) = e^(−t²/2) · P(q) / (1 + t),  q = (t − 3)/(t + 3),  t = |x| ≤ 15
//! gelu(x) = x·Φ(−t)  x < 0,   x·(1 − Φ(−t))  x ≥ 0
//! ```
//!
//! P is the minimax (Remez) fit of degree 10, relative error as its weight, to
//! (1 + t)·e^(t²/2)·erfc(t/√2)/2, which is smooth in q on −1..=2/3. With the coefficients rounded to
//! binary32 the relative error is at most 2⁻²⁵·⁵. t²/2 is needed to more than 24 bits, since its
//! absolute error becomes a relative one of the exponential: t is cut into a 12-bit part h and
//! the rest l, h² is exact, and t² = h² + l·(t + h) is kept in two words. The low word, below 2⁻¹⁸,
//! enters as e^(−low) = 1 − low.

use super::exp::unscaled;
use super::sigmoid::times_sigmoid;

/// 2·√(2/π).
const LINEAR: f32 = 1.595_769_2;
/// 2·√(2/π)·0.044 715.
const CUBIC: f32 = 0.071_354_814;

/// `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`, the Gaussian error linear unit in its tanh form
/// (Hendrycks and Gimpel 2016; GPT-2).
///
/// Ordered. Error over all inputs: at most 2.0 ulp for x ≥ 0, 3.2 ulp for −1 ≤ x < 0,
/// and 6·10⁻⁸ in absolute terms for all x < 0.
/// gelu(±0) = ±0; gelu(+∞) = +∞, gelu(−∞) = −0, the limit. NaN gives NaN.
#[inline(always)]
#[must_use]
pub fn gelu(x: f32) -> f32 {
    // At −12 the result has been −0 for long.
    let x = if x < -12.0 { -12.0 } else { x };
    times_sigmoid(x, x * (LINEAR + CUBIC * (x * x)))
}

/// Beyond this x·Φ(−x) rounds to 0.
const LARGEST: f32 = 15.0;

const P: [f32; 11] = [
    f32::from_bits(0x3ef8_dc4e),
    f32::from_bits(0xbdc5_afd5),
    f32::from_bits(0xbc86_9d33),
    f32::from_bits(0x3d38_fe87),
    f32::from_bits(0xbcba_2cc5),
    f32::from_bits(0x3a97_7151),
    f32::from_bits(0x3b43_fa49),
    f32::from_bits(0xb9b3_165b),
    f32::from_bits(0xb9f6_012f),
    f32::from_bits(0x3765_bd6c),
    f32::from_bits(0x3845_fd1e),
];

/// Φ(−t) as two factors, the product of which rounds once.
#[inline(always)]
fn lower_tail(t: f32) -> (f32, f32) {
    let q = (t - 3.0) / (t + 3.0);
    let [p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10] = P;
    let high = p6 + q * (p7 + q * (p8 + q * (p9 + q * p10)));
    let p = p0 + q * (p1 + q * (p2 + q * (p3 + q * (p4 + q * (p5 + q * high)))));
    let h = f32::from_bits(t.to_bits() & 0xffff_f000);
    let l = t - h;
    let square = 0.5 * (h * h);
    let correction = 0.5 * (l * (t + h));
    let exponent = square + correction;
    let low = (square - exponent) + correction;
    let (a, b) = unscaled(-exponent);
    ((a - a * low) * (p / (1.0 + t)), b)
}

/// `x·Φ(x)` with Φ the normal distribution function: the exact Gaussian error linear unit
/// (Hendrycks and Gimpel 2016), `x/2·(1 + erf(x/√2))`.
///
/// Ordered; error over all inputs at most 5.4 ulp for x ≥ 0, at most 5.0 ulp for x < 0.
/// gelu_erf(±0) = ±0; gelu_erf(+∞) = +∞, gelu_erf(−∞) = −0, the limit. NaN gives NaN.
#[inline(always)]
#[must_use]
pub fn gelu_erf(x: f32) -> f32 {
    let negative = x < 0.0;
    let x = if x < -LARGEST { -LARGEST } else { x };
    let t = if x.abs() > LARGEST { LARGEST } else { x.abs() };
    let (a, b) = lower_tail(t);
    let upper = 1.0 - a * b;
    let a = if negative { a } else { upper };
    let b = if negative { b } else { 1.0 };
    x * a * b
}
