//! The transform under which original and quantised signal are compared.

use core::f32::consts::PI;

/// `T(v) = v + sin(πv)/2π`, with v in steps. Ordered (`libm::sinf` on v reduced to one period,
/// exactly).
///
/// `T′(v) = 1 + ½·cos(πv)` lies between ½ and 3/2, so T is one to one and keeps every difference to
/// within a factor: `½·|u − v| ≤ |T(u) − T(v)| ≤ 3/2·|u − v|` (up to rounding), and
/// `T(v + 2) − T(v) = 2`. The published transform, sin πx + ½·cos πx, repeats after 2 and so cannot
/// see an error of exactly 2.
///
/// ```
/// use trilane_core::pi::drift_transform;
/// let published = |x: f32| libm::sinf(core::f32::consts::PI * x);
/// assert!((published(0.3 + 2.0) - published(0.3)).abs() < 1e-5);
/// assert!((drift_transform(0.3 + 2.0) - drift_transform(0.3) - 2.0).abs() < 1e-5);
/// ```
#[must_use]
pub fn drift_transform(v: f32) -> f32 {
    let period = v - 2.0 * libm::floorf(v / 2.0);
    v + libm::sinf(PI * period) / (2.0 * PI)
}

/// The root mean square of `T(v + e) − T(v)` where e is uniform over a step and v anywhere:
/// `√(1/12 + 1/8π²)`, for rounded values `v + e` are integers, where T is the identity.
pub(super) const EXPECTED: f32 = 0.309_834_77;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_monotone_and_keeps_differences_within_a_factor() {
        let mut last = drift_transform(-70.0);
        for i in -70 * 256 + 1..=70 * 256 {
            let next = drift_transform(i as f32 / 256.0);
            let slope = (next - last) * 256.0;
            assert!((0.49..=1.51).contains(&slope), "slope {slope} at {i}/256");
            last = next;
        }
    }

    #[test]
    fn the_expected_error_is_the_integral() {
        let n = 100_000;
        let mean = |whole: f32| {
            let square = |i| {
                let e = (i as f32 + 0.5) / n as f32 - 0.5;
                f64::from(drift_transform(whole + e) - drift_transform(whole)).powi(2)
            };
            (0..n).map(square).sum::<f64>() / f64::from(n)
        };
        let both = (mean(0.0) + mean(1.0)) / 2.0;
        assert!((both.sqrt() - f64::from(EXPECTED)).abs() < 1e-5, "{}", both.sqrt());
    }
}
