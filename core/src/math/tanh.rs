//! The hyperbolic tangent.
//!
//! With m = e^(−2|x|) − 1, which lies in −1..=0, tanh|x| = −m / (2 + m). The reduction of the
//! exponential gives e^(−2|x|) = 2ⁿ·(1 + r + rest), hence m = 2ⁿ·(r + rest) + (2ⁿ − 1), where
//! 2ⁿ − 1 is exact down to n = −24. For small |x| n is 0 and m keeps its relative accuracy, so no
//! second formula is needed near zero.

use super::exp::{Reduced, power_of_two, reduce};

/// Beyond this tanh rounds to 1, and 2ⁿ in m stays normal.
const LARGEST: f32 = 20.0;

/// `tanh x`.
///
/// Ordered; error at most 2.6 ulp over all inputs.
/// Odd: tanh(−x) = −tanh(x) bit for bit. tanh(±0) = ±0, tanh(±∞) = ±1, never above 1 in
/// magnitude; subnormal x give x. NaN gives NaN.
#[inline(always)]
#[must_use]
pub fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    let magnitude = if magnitude > LARGEST { LARGEST } else { magnitude };
    let Reduced { n, r, rest } = reduce(-2.0 * magnitude);
    let power = power_of_two(n);
    let m = power * (r + rest) + (power - 1.0);
    let t = -m / (2.0 + m);
    t.copysign(x)
}
