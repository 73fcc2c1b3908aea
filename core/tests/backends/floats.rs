//! Float kernels: the order of operations is part of their definition, so the bits must agree.

use crate::random::Random;
use crate::{bits, lengths};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use trilane_core::gguf::TensorType;
use trilane_core::gguf::blocks::{expand, is_supported};
use trilane_core::kernel::{Backend, Level, Scalar};

/// Kinds of input.
pub(crate) const KINDS: [&str; 7] =
    ["plain", "wide", "huge", "subnormal", "zeros", "negative", "tail"];

/// Values of a kind, all finite.
pub(crate) fn values(kind: &str, len: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    let mut one = |i: usize| match kind {
        "plain" => 4.0 * random.signed(),
        "wide" => random.signed() * (random.below(60) as f32 - 30.0).exp2(),
        "huge" => random.signed() * f32::MAX,
        "subnormal" => f32::from_bits(random.bits() as u32 & 0x807F_FFFF),
        "zeros" => [0.0, -0.0][random.below(2)],
        "negative" => -30.0 + random.signed(),
        // All but the last few are small, so a wrong tail shows.
        "tail" if i + 5 < len => 1e-3 * random.signed(),
        "tail" => 100.0 * random.signed(),
        _ => panic!("no kind {kind}"),
    };
    (0..len).map(&mut one).collect()
}

/// Calls `kernel` on a copy of `x` at an odd place between guards and returns what it holds then.
fn in_place(x: &[f32], kernel: impl FnOnce(&mut [f32])) -> Vec<u32> {
    const GUARD: f32 = 4321.0;
    let mut all = vec![GUARD; x.len() + 4];
    all[3..3 + x.len()].copy_from_slice(x);
    kernel(&mut all[3..3 + x.len()]);
    assert!(all[..3].iter().chain(&all[3 + x.len()..]).all(|&v| v == GUARD));
    bits(&all)
}

/// Asserts that a kernel gives the same bits on both backends, for every length and kind.
fn same(level: Level, kernel: impl Fn(&dyn Kernels, &[f32], u64) -> Vec<u32>) {
    for len in core::iter::once(0).chain(lengths()).chain([4096]) {
        for kind in KINDS {
            let x = values(kind, len, len as u64);
            let (y, expected) = (kernel(&level, &x, 9), kernel(&Scalar, &x, 9));
            assert_eq!(y, expected, "{kind}, {len} values");
        }
    }
    let cases = Config { cases: 64, failure_persistence: None, ..Config::default() };
    // Any bits but NaN and infinity.
    let value = any::<u32>().prop_map(|b| f32::from_bits(b & 0xBFFF_FFFF));
    TestRunner::new(cases)
        .run(&(proptest::collection::vec(value, 0..200), 0..u64::MAX), |(x, seed)| {
            prop_assert_eq!(kernel(&level, &x, seed), kernel(&Scalar, &x, seed));
            Ok(())
        })
        .unwrap();
}

/// The float kernels without generics, so that a property can be one closure.
trait Kernels {
    fn float_matvec(&self, w: &[f32], x: &[f32], y: &mut [f32]);
    fn rms_norm(&self, x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) -> f32;
    fn layer_norm(&self, x: &[f32], gain: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) -> f32;
    fn softmax(&self, x: &mut [f32]);
    fn silu_product(&self, gate: &mut [f32], up: &[f32]);
    fn gelu(&self, x: &mut [f32]);
    fn gelu_erf(&self, x: &mut [f32]);
    fn silu(&self, x: &mut [f32]);
}

impl<B: Backend> Kernels for B {
    fn float_matvec(&self, w: &[f32], x: &[f32], y: &mut [f32]) {
        Backend::float_matvec(*self, w, x, y);
    }
    fn rms_norm(&self, x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) -> f32 {
        Backend::rms_norm(*self, x, gain, eps, y)
    }
    fn layer_norm(&self, x: &[f32], gain: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) -> f32 {
        Backend::layer_norm(*self, x, gain, bias, eps, y)
    }
    fn softmax(&self, x: &mut [f32]) {
        Backend::softmax(*self, x);
    }
    fn silu_product(&self, gate: &mut [f32], up: &[f32]) {
        Backend::silu_product(*self, gate, up);
    }
    fn gelu(&self, x: &mut [f32]) {
        Backend::gelu(*self, x);
    }
    fn gelu_erf(&self, x: &mut [f32]) {
        Backend::gelu_erf(*self, x);
    }
    fn silu(&self, x: &mut [f32]) {
        Backend::silu(*self, x);
    }
}

fn float_matvec(level: Level) {
    same(level, |b, x, seed| {
        // Some rows past those that are computed together.
        let rows = 7;
        let w = values("wide", rows * x.len(), seed);
        in_place(&vec![8.0; rows], |y| b.float_matvec(&w, x, y))
    });
}

fn rms_norm(level: Level) {
    same(level, |b, x, seed| {
        let gain = values("plain", x.len(), seed);
        // The mean square, which is returned, after the outputs.
        in_place(&vec![8.0; x.len() + 1], |y| {
            let (mean, y) = y.split_last_mut().unwrap();
            *mean = b.rms_norm(x, &gain, 1e-5, y);
        })
    });
}

fn layer_norm(level: Level) {
    same(level, |b, x, seed| {
        let (gain, bias) = (values("plain", x.len(), seed), values("wide", x.len(), seed + 1));
        // The variance, which is returned, after the outputs; one NaN is as good as another.
        let mut y = vec![8.0; x.len() + 1];
        let (variance, rest) = y.split_last_mut().unwrap();
        *variance = b.layer_norm(x, &gain, &bias, 1e-5, rest);
        y.iter_mut().filter(|y| y.is_nan()).for_each(|y| *y = f32::NAN);
        in_place(&y, |_| {})
    });
}

fn softmax(level: Level) {
    same(level, |b, x, _| in_place(x, |x| b.softmax(x)));
}

fn silu_product(level: Level) {
    same(level, |b, x, seed| {
        let up = values("wide", x.len(), seed);
        in_place(x, |x| b.silu_product(x, &up))
    });
}

fn gelu(level: Level) {
    same(level, |b, x, _| in_place(x, |x| b.gelu(x)));
}

fn gelu_erf(level: Level) {
    same(level, |b, x, _| in_place(x, |x| b.gelu_erf(x)));
}

fn silu(level: Level) {
    same(level, |b, x, _| in_place(x, |x| b.silu(x)));
}

/// Every block type against the specification, and against the product with the expanded floats.
fn block_matvec(level: Level) {
    let kinds = TensorType::ALL.iter().copied().filter(|&kind| is_supported(kind));
    for kind in kinds {
        let whole = lengths().chain([288, 4096]).filter(|len| len % kind.block_len() == 0);
        for len in whole {
            let (rows, row_bytes) = (3, len / kind.block_len() * kind.block_bytes());
            let bytes = rows * row_bytes + kind.trailer_bytes();
            let mut random = Random(len as u64);
            let mut w: Vec<u8> = (0..bytes + 1).map(|_| random.bits() as u8).collect();
            // Every scale is finite: all stand at even places, and the top bits of the exponents
            // are cleared.
            w[1..].iter_mut().skip(1).step_by(2).for_each(|byte| *byte &= 0xBF);
            let w = &w[1..];
            let mut floats = vec![0.0; rows * len];
            expand(kind, w, &mut floats).unwrap();
            assert!(floats.iter().all(|v| v.is_finite()));
            for values_kind in ["plain", "wide", "subnormal", "zeros"] {
                let x = values(values_kind, len, 7);
                let start = vec![8.0; rows];
                let expected = in_place(&start, |y| Scalar.float_matvec(&floats, &x, y));
                let y = in_place(&start, |y| level.block_matvec(kind, w, &x, y));
                assert_eq!(y, expected, "{kind}, {len} values");
                let y = in_place(&start, |y| Scalar.block_matvec(kind, w, &x, y));
                assert_eq!(y, expected, "{kind}, {len} values");
            }
        }
    }
}

every_backend!(
    float_matvec,
    block_matvec,
    rms_norm,
    layer_norm,
    softmax,
    silu_product,
    gelu,
    gelu_erf,
    silu
);
