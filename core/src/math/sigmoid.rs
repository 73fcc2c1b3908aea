//! The logistic function and the sigmoid-weighted linear unit.
//!
//! With e = e^(−|x|) ≤ 1 nothing overflows and nothing cancels:
//!
//! ```text
//! σ(x) = 1 / (1 + e)   x ≥ 0
//! σ(x) = e / (1 + e)   x < 0
//! ```
//!
//! In x·σ(u) with u very negative, e is subnormal and has lost bits before x enlarges it again. So
//! e is kept as two factors, a·b with b a power of two: x meets a first, and b comes last, which
//! rounds only when the result itself is subnormal.

use super::exp::{limit, unscaled};

/// `x·σ(u)`.
/// The caller keeps |x| small where u < −120, since u is limited there.
#[inline(always)]
pub(super) fn times_sigmoid(x: f32, u: f32) -> f32 {
    let negative = u < 0.0;
    let (a, b) = unscaled(limit(if negative { u } else { -u }));
    let denominator = 1.0 + a * b;
    let a = if negative { a } else { 1.0 };
    let b = if negative { b } else { 1.0 };
    x * a / denominator * b
}

/// `σ(x) = 1 / (1 + e⁻ˣ)`, the logistic function.
///
/// Ordered; error at most 2.5 ulp over all inputs, subnormal results included.
/// σ(±0) = 0.5 exactly; σ(+∞) = 1, σ(−∞) = +0; below −103.972 08 the result is +0. NaN gives NaN.
#[inline(always)]
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    times_sigmoid(1.0, x)
}

/// `x·σ(x)`, the sigmoid-weighted linear unit ("swish"; Elfwing et al. 2017).
///
/// Ordered; error at most 3.2 ulp over all inputs, subnormal results included.
/// silu(±0) = ±0; silu(+∞) = +∞, silu(−∞) = −0, the limit. NaN gives NaN.
#[inline(always)]
#[must_use]
pub fn silu(x: f32) -> f32 {
    // At −120 the result has been −0 for long.
    let x = if x < -120.0 { -120.0 } else { x };
    times_sigmoid(x, x)
}
