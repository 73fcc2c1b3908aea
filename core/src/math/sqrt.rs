//! The reciprocal square root.

/// `1/√x`: the correctly rounded square root, then one division.
///
/// Ordered; error at most 1.5 ulp over all inputs. Meant to be called once a vector, as
/// norms do: unlike the rest of this module it need not vectorise.
/// rsqrt(+0) = +∞, rsqrt(−0) = −∞, rsqrt(+∞) = +0; negative x and NaN give NaN.
#[inline(always)]
#[must_use]
pub fn rsqrt(x: f32) -> f32 {
    1.0 / libm::sqrtf(x)
}
