//! Accuracy, special values, golden bits and vectorisation of `trilane_core::math`.
//!
//! The accuracy tests walk over the bit patterns of f32: every 4,099th by default, all of them when
//! `TRILANE_FULL=1` is set (minutes; use `--release`).

use trilane_core::math::{exp, gelu, gelu_erf, round_half_even, rsqrt, sigmoid, silu, tanh};

/// The worst errors seen over one walk.
#[derive(Debug, Clone, Copy, Default)]
struct Worst {
    ulp: f64,
    ulp_at: f32,
    absolute: f64,
}

impl Worst {
    fn add(&mut self, x: f32, ulp: f64, absolute: f64) {
        if ulp > self.ulp {
            self.ulp = ulp;
            self.ulp_at = x;
        }
        self.absolute = self.absolute.max(absolute);
    }
}

fn bit_patterns(first: u32, last: u32) -> impl Iterator<Item = f32> {
    let step = if std::env::var_os("TRILANE_FULL").is_some_and(|v| v == "1") { 1 } else { 4_099 };
    (first..=last).step_by(step).map(f32::from_bits)
}

/// Distance of two f32 near `exact`, subnormals included.
fn ulp_of(exact: f64) -> f64 {
    let exponent = ((exact.abs().to_bits() >> 52) as i32 - 1023).clamp(-126, 127);
    2f64.powi(exponent - 23)
}

/// Walks over the patterns `first..=last` and compares `f` with `reference`.
/// Infinities and NaN must be where the reference, rounded to f32, has them.
fn worst(first: u32, last: u32, f: impl Fn(f32) -> f32, reference: impl Fn(f64) -> f64) -> Worst {
    let mut worst = Worst::default();
    for x in bit_patterns(first, last) {
        let exact = reference(f64::from(x));
        let actual = f(x);
        if exact.is_nan() {
            assert!(actual.is_nan(), "f({x:e}) = {actual:e}, expected NaN");
        } else if (exact as f32).is_infinite() {
            assert_eq!(actual, exact as f32, "f({x:e})");
        } else {
            assert!(actual.is_finite(), "f({x:e}) = {actual:e}, expected {exact:e}");
            let error = (f64::from(actual) - exact).abs();
            worst.add(x, error / ulp_of(exact), error);
        }
    }
    worst
}

const POSITIVE: (u32, u32) = (0, 0x7fff_ffff);
const NEGATIVE: (u32, u32) = (0x8000_0000, u32::MAX);

#[track_caller]
fn check(
    name: &str,
    (first, last): (u32, u32),
    bound_ulp: f64,
    f: impl Fn(f32) -> f32,
    reference: impl Fn(f64) -> f64,
) -> Worst {
    let w = worst(first, last, f, reference);
    println!("{name}: {:.4} ulp at {:e}, {:.3e} absolute", w.ulp, w.ulp_at, w.absolute);
    assert!(w.ulp <= bound_ulp, "{name}: {w:?}, bound {bound_ulp} ulp");
    w
}

fn sigmoid_exact(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn gelu_exact(x: f64) -> f64 {
    let v = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    if x == f64::NEG_INFINITY { -0.0 } else { x * sigmoid_exact(2.0 * v) }
}

fn gelu_erf_exact(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        return -0.0;
    }
    x * 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

fn silu_exact(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { -0.0 } else { x * sigmoid_exact(x) }
}

#[test]
fn exp_is_accurate() {
    check("exp +", POSITIVE, 0.7, exp, f64::exp);
    let least_normal = (-87.336_54f32).to_bits();
    check("exp -", (NEGATIVE.0, least_normal), 0.7, exp, f64::exp);
    check("exp subnormal", (least_normal + 1, NEGATIVE.1), 1.0, exp, f64::exp);
}

#[test]
fn sigmoid_is_accurate() {
    check("sigmoid +", POSITIVE, 2.5, sigmoid, sigmoid_exact);
    check("sigmoid -", NEGATIVE, 2.5, sigmoid, sigmoid_exact);
}

#[test]
fn silu_is_accurate() {
    check("silu +", POSITIVE, 3.2, silu, silu_exact);
    check("silu -", NEGATIVE, 3.2, silu, silu_exact);
}

#[test]
fn tanh_is_accurate() {
    check("tanh +", POSITIVE, 2.6, tanh, f64::tanh);
}

#[test]
fn gelu_is_accurate() {
    check("gelu +", POSITIVE, 2.0, gelu, gelu_exact);
    let near = check("gelu -1..0", (0x8000_0000, (-1f32).to_bits()), 6.0, gelu, gelu_exact);
    let below = worst((-1f32).to_bits(), u32::MAX, gelu, gelu_exact);
    println!("gelu below -1: {:.3e} absolute", below.absolute);
    assert!(near.absolute.max(below.absolute) <= 1e-7, "{near:?} {below:?}");
}

#[test]
fn gelu_erf_is_accurate() {
    check("gelu_erf +", POSITIVE, 5.4, gelu_erf, gelu_erf_exact);
    check("gelu_erf -", NEGATIVE, 5.0, gelu_erf, gelu_erf_exact);
}

#[test]
fn rsqrt_is_accurate() {
    check("rsqrt +", POSITIVE, 1.5, rsqrt, |x| 1.0 / x.sqrt());
    check("rsqrt -", NEGATIVE, 1.5, rsqrt, |x| 1.0 / x.sqrt());
}

#[test]
fn tanh_is_odd_and_at_most_one() {
    for x in bit_patterns(0, f32::INFINITY.to_bits()) {
        assert_eq!(tanh(-x).to_bits(), (-tanh(x)).to_bits(), "{x:e}");
        assert!(tanh(x) <= 1.0, "{x:e}");
    }
}

#[test]
fn exp_never_decreases() {
    let negative = (NEGATIVE.0, f32::NEG_INFINITY.to_bits());
    let positive = (POSITIVE.0, f32::INFINITY.to_bits());
    let mut previous = 1.0;
    for x in bit_patterns(negative.0, negative.1) {
        assert!(exp(x) <= previous, "{x:e}");
        previous = exp(x);
    }
    previous = 1.0;
    for x in bit_patterns(positive.0, positive.1) {
        assert!(exp(x) >= previous, "{x:e}");
        previous = exp(x);
    }
}

#[test]
fn rounding_takes_halves_to_even() {
    let limit = 1 << 22;
    for v in [0, 1, 2, 3, 126, 127, 128, 1_000_001, limit - 1] {
        for v in [v, -v] {
            assert_eq!(round_half_even(v as f32), v);
            let even_above = if v % 2 == 0 { v } else { v + 1 };
            assert_eq!(round_half_even(v as f32 + 0.5), even_above, "{v} + ½");
        }
    }
    assert_eq!(round_half_even(limit as f32), limit);
    assert_eq!(round_half_even(-limit as f32), -limit);
    assert_eq!(round_half_even(-0.0), 0);
    let top = (limit as f32).to_bits();
    for x in bit_patterns(0, top).chain(bit_patterns(0x8000_0000, 0x8000_0000 + top)) {
        assert_eq!(round_half_even(x), x.round_ties_even() as i32, "{x:e}");
    }
}

#[test]
fn special_values() {
    let inf = f32::INFINITY;
    let same = |a: f32, b: f32| assert_eq!(a.to_bits(), b.to_bits(), "{a:e} {b:e}");
    for f in [exp, sigmoid, silu, tanh, gelu, gelu_erf, rsqrt] {
        assert!(f(f32::NAN).is_nan());
        assert!(f(-f32::NAN).is_nan());
    }
    same(exp(0.0), 1.0);
    same(exp(-0.0), 1.0);
    same(exp(inf), inf);
    same(exp(-inf), 0.0);
    same(exp(88.722_83), f32::from_bits(0x7f7f_ff84));
    same(exp(88.722_84), inf);
    same(exp(-103.972_09), 0.0);
    same(exp(-103.97), f32::from_bits(1));
    same(sigmoid(0.0), 0.5);
    same(sigmoid(-0.0), 0.5);
    same(sigmoid(inf), 1.0);
    same(sigmoid(-inf), 0.0);
    for f in [silu, tanh, gelu, gelu_erf] {
        same(f(0.0), 0.0);
        same(f(-0.0), -0.0);
    }
    for f in [silu, gelu, gelu_erf] {
        same(f(inf), inf);
        same(f(-inf), -0.0);
        same(f(f32::MAX), f32::MAX);
        same(f(f32::MIN), -0.0);
    }
    same(tanh(inf), 1.0);
    same(tanh(-inf), -1.0);
    same(tanh(1e-45), 1e-45);
    same(rsqrt(0.0), inf);
    same(rsqrt(-0.0), -inf);
    same(rsqrt(inf), 0.0);
    assert!(rsqrt(-1.0).is_nan());
}

/// The order of operations is the definition, so the bits may never change.
#[test]
fn golden_bits() {
    let inputs = [-90.5f32, -10.0, -1.5, -0.3, 1e-3, 0.7, 2.25, 9.0, 80.0];
    let bits = |f: fn(f32) -> f32| inputs.map(|x| f(x).to_bits());
    type Row = (&'static str, fn(f32) -> f32, [u32; 9]);
    let table: [Row; 6] = [
        (
            "exp",
            exp,
            [
                0x0005_6969,
                0x383e_6bce,
                0x3e64_7c3c,
                0x3f3d_a643,
                0x3f80_20c9,
                0x4000_e153,
                0x4117_cdc4,
                0x45fd_38ac,
                0x792a_bbce,
            ],
        ),
        (
            "sigmoid",
            sigmoid,
            [
                0x0005_6969,
                0x383e_6997,
                0x3e3a_cdc1,
                0x3ed9_e2ab,
                0x3f00_1062,
                0x3f2b_0e5a,
                0x3f67_972d,
                0x3f7f_f7ea,
                0x3f80_0000,
            ],
        ),
        (
            "silu",
            silu,
            [
                0x8174_e1df,
                0xb9ee_03fe,
                0xbe8c_1a51,
                0xbe02_bb34,
                0x3a03_2336,
                0x3eef_7a7e,
                0x4002_4509,
                0x410f_fb74,
                0x42a0_0000,
            ],
        ),
        (
            "tanh",
            tanh,
            [
                0xbf80_0000,
                0xbf80_0000,
                0xbf67_b7cc,
                0xbe95_26ed,
                0x3a83_126c,
                0x3f1a_b7d8,
                0x3f7a_5feb,
                0x3f80_0000,
                0x3f80_0000,
            ],
        ),
        (
            "gelu",
            gelu,
            [
                0x8000_0000,
                0x8223_e47d,
                0xbdcd_ad6b,
                0xbdea_c2a8,
                0x3a03_2d35,
                0x3f07_d372,
                0x400e_4255,
                0x4110_0000,
                0x42a0_0000,
            ],
        ),
        (
            "gelu_erf",
            gelu_erf,
            [
                0x8000_0000,
                0x9ab8_3c9b,
                0xbdcd_3b52,
                0xbdea_c155,
                0x3a03_2d36,
                0x3f07_d712,
                0x400e_3d5b,
                0x4110_0000,
                0x42a0_0000,
            ],
        ),
    ];
    for (name, f, expected) in table {
        assert_eq!(bits(f), expected, "{name}: {:#010x?}", bits(f));
    }
}

/// A loop that the compiler vectorises gives the bits of single calls.
#[test]
fn slices_match_single_calls() {
    const N: usize = 1 << 12;
    #[inline(never)]
    fn all(f: impl Fn(f32) -> f32, x: &[f32; N], y: &mut [f32; N]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = f(x);
        }
    }
    let canonical = |v: f32| if v.is_nan() { 0x7fc0_0000 } else { v.to_bits() };
    let x: [f32; N] =
        core::array::from_fn(|i| f32::from_bits((i as u32).wrapping_mul(0x9e37_79b9)));
    let mut y = [0.0; N];
    macro_rules! check {
        ($($f:ident)*) => {$(
            all($f, &x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let single = $f(std::hint::black_box(x));
                assert_eq!(canonical(y), canonical(single), "{}({x:e})", stringify!($f));
            }
        )*};
    }
    check!(exp sigmoid silu tanh gelu gelu_erf rsqrt);
}
