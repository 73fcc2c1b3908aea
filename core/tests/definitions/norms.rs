//! Norms, gates and rotations against double precision.

use crate::ROUNDING;
use crate::random::Random;
use trilane_core::error::ShapeError;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::math;
use trilane_core::nn::{Activation, NormError, Rope, gate, layer_norm, rms_norm, softmax};

const LENS: [usize; 13] = [1, 2, 7, 15, 16, 17, 33, 64, 100, 256, 257, 1000, 4096];

/// A square goes through one rounding and len/16 + 4 additions; mean, epsilon, root, reciprocal and
/// two products are six more.
#[test]
fn rms_norm_is_the_formula() {
    let mut random = Random(1);
    for len in LENS {
        for (magnitude, eps) in [(1.0f32, 1e-5f32), (1e-4, 1e-5), (1e12, 1e-6), (1.0, 10.0)] {
            let x: Vec<f32> = random.floats(len).iter().map(|x| x * magnitude).collect();
            let gain = random.floats(len);
            let mut y = vec![9.0; len];
            rms_norm(Scalar, &x, &gain, eps, &mut y).unwrap();
            let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / len as f64;
            let root = (mean + f64::from(eps)).sqrt();
            let most = (len as f64 / 16.0 + 11.0) * ROUNDING;
            for ((x, gain), y) in x.iter().zip(&gain).zip(y) {
                let expected = f64::from(*x) / root * f64::from(*gain);
                assert!((f64::from(y) - expected).abs() <= most * expected.abs());
            }
        }
    }
}

/// The mean is off by len/16 + 5 roundings of the largest value, a difference by as much and one
/// more, relative to the largest value; the root has the relative error of its squares, which is
/// that of the differences twice.
#[test]
fn layer_norm_is_the_formula() {
    let mut random = Random(11);
    for len in LENS {
        for (offset, eps) in [(0.0f32, 1e-12f32), (3.0, 1e-5), (-0.5, 10.0)] {
            let x: Vec<f32> = random.floats(len).iter().map(|x| x + offset).collect();
            let (gain, bias) = (random.floats(len), random.floats(len));
            let mut y = vec![9.0; len];
            layer_norm(Scalar, &x, &gain, &bias, eps, &mut y).unwrap();
            let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / len as f64;
            let squares = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>();
            let root = (squares / len as f64 + f64::from(eps)).sqrt();
            let largest = f64::from(offset.abs()) + 1.0;
            for ((x, y), (gain, bias)) in x.iter().zip(y).zip(gain.iter().zip(&bias)) {
                let expected = (f64::from(*x) - mean) / root * f64::from(*gain) + f64::from(*bias);
                let most = (len as f64 / 16.0 + 12.0) * ROUNDING * (1.0 + 3.0 * largest / root);
                assert!((f64::from(y) - expected).abs() <= most, "{len}: {y}, {expected}");
            }
        }
    }
}

#[test]
fn layer_norm_refuses_other_lengths_and_what_overflows() {
    let (x, mut y) = ([1.0; 4], [0.0; 4]);
    let length = |actual| Err(NormError::Shape(ShapeError::Length { expected: 4, actual }));
    assert_eq!(layer_norm(Scalar, &x, &[1.0; 3], &x, 0.1, &mut y), length(3));
    assert_eq!(layer_norm(Scalar, &x, &x, &[1.0; 5], 0.1, &mut y), length(5));
    assert_eq!(layer_norm(Scalar, &x, &x, &x, 0.1, &mut y[..2]), length(2));
    for huge in [f32::MAX, f32::INFINITY, f32::NAN] {
        let refused = layer_norm(Scalar, &[0.0, 0.0, huge, 0.0], &x, &x, 0.1, &mut y);
        assert!(matches!(refused, Err(NormError::NotFinite { len: 4, .. })), "{huge}");
    }
}

#[test]
fn rms_norm_refuses_other_lengths() {
    let (x, mut y) = ([1.0; 4], [0.0; 4]);
    let length = |actual| Err(NormError::Shape(ShapeError::Length { expected: 4, actual }));
    assert_eq!(rms_norm(Scalar, &x, &[1.0; 3], 0.1, &mut y), length(3));
    assert_eq!(rms_norm(Scalar, &x, &[1.0; 4], 0.1, &mut y[..2]), length(2));
    assert_eq!(y, [0.0; 4]);
}

/// A root of infinity would make zeros of values that are finite.
#[test]
fn rms_norm_refuses_squares_that_overflow() {
    for len in LENS {
        let norm = |x: &[f32]| rms_norm(Scalar, x, &vec![1.0; len], 1e-5, &mut vec![0.0; len]);
        for at in [0, len / 2, len - 1] {
            let mut x = vec![0.5f32; len];
            x[at] = 1.8e19;
            assert_eq!(norm(&x), Ok(()));
            for huge in [1.9e19, -f32::MAX, f32::INFINITY] {
                x[at] = huge;
                let error = NormError::NotFinite { len, mean_square: f32::INFINITY };
                assert_eq!(norm(&x), Err(error));
            }
            x[at] = f32::NAN;
            let nan = norm(&x);
            assert!(
                matches!(nan, Err(NormError::NotFinite { mean_square, .. }) if mean_square.is_nan())
            );
        }
    }
    assert_eq!(rms_norm(Scalar, &[], &[], 1e-5, &mut []), Ok(()));
    let error = NormError::NotFinite { len: 3, mean_square: f32::INFINITY };
    assert_eq!(error.to_string(), "norm of 3 values: their mean square is inf");
}

/// Rounding x − max changes the exponential by |x − max| half units; the sum has len/16 + 4
/// additions; the exponential itself and the quotient add a few more.
#[test]
fn softmax_is_the_formula() {
    let mut random = Random(2);
    for len in LENS {
        for magnitude in [0.01f32, 1.0, 30.0, 1000.0] {
            let x: Vec<f32> = random.floats(len).iter().map(|x| x * magnitude).collect();
            let mut y = x.clone();
            softmax(Scalar, &mut y);
            let max = x.iter().fold(f64::NEG_INFINITY, |max, x| max.max(f64::from(*x)));
            let sum: f64 = x.iter().map(|x| (f64::from(*x) - max).exp()).sum();
            for (x, y) in x.iter().zip(&y) {
                let below = max - f64::from(*x);
                let expected = (-below).exp() / sum;
                let most = (below + len as f64 / 16.0 + 12.0) * ROUNDING * expected;
                // Results below the least normal number have fewer bits.
                let most = most + f64::from(f32::MIN_POSITIVE) * 4.0 * ROUNDING;
                assert!((f64::from(*y) - expected).abs() <= most, "{y}, not {expected}");
            }
            let total: f64 = y.iter().map(|y| f64::from(*y)).sum();
            assert!((total - 1.0).abs() <= (len as f64 / 16.0 + 12.0) * ROUNDING, "{total}");
        }
    }
}

#[test]
fn softmax_of_extremes() {
    let softmax = |x: &[f32]| {
        let mut x = x.to_vec();
        softmax(Scalar, &mut x);
        x
    };
    assert_eq!(softmax(&[]), []);
    assert_eq!(softmax(&[-5e30]), [1.0]);
    assert_eq!(softmax(&[f32::MAX, f32::MIN, f32::MAX, 0.0]), [0.5, 0.0, 0.5, 0.0]);
    assert_eq!(softmax(&[f32::NEG_INFINITY, 3.0]), [0.0, 1.0]);
}

/// The functions to a few units in the last place, then a product.
#[test]
fn gate_is_the_formula() {
    let mut random = Random(3);
    for len in LENS {
        let x: Vec<f32> = random.floats(len).iter().map(|x| 20.0 * x).collect();
        let up = random.floats(len);
        let mut y = x.clone();
        gate(Scalar, &Serial, Activation::Silu, &mut y, &up).unwrap();
        for ((x, up), y) in x.iter().zip(&up).zip(y) {
            let x = f64::from(*x);
            let expected = x / (1.0 + (-x).exp()) * f64::from(*up);
            assert!((f64::from(y) - expected).abs() <= 8.0 * ROUNDING * expected.abs());
        }
        type Function = fn(f32) -> f32;
        let functions: [(Activation, Function); 4] = [
            (Activation::Identity, |x| x),
            (Activation::Relu, |x| x.max(0.0)),
            (Activation::Relu2, |x| x.max(0.0).powi(2)),
            (Activation::Gelu, math::gelu),
        ];
        for (activation, function) in functions {
            let mut y = x.clone();
            gate(Scalar, &Serial, activation, &mut y, &up).unwrap();
            for ((x, up), y) in x.iter().zip(&up).zip(y) {
                assert_eq!(y, function(*x) * up, "{activation:?} of {x}");
            }
        }
    }
    let error = gate(Scalar, &Serial, Activation::Silu, &mut [1.0; 3], &[1.0; 4]);
    assert_eq!(error, Err(ShapeError::Length { expected: 3, actual: 4 }));
}

/// The angle is a product of two rounded numbers, so its error grows with the position: four
/// roundings of it, and a few of the sine, cosine and the sum.
#[test]
fn rotations_turn_pairs_by_the_angle_of_their_index() {
    let mut random = Random(4);
    for (dim, rotated) in [(2, 2), (16, 16), (64, 64), (64, 32), (80, 20)] {
        for position in [0, 1, 2, 17, 1000, 5000] {
            for base in [10_000.0f32, 500_000.0] {
                let x = random.floats(3 * dim);
                let mut y = x.clone();
                let (mut cos, mut sin) = (vec![0.0; rotated / 2], vec![0.0; rotated / 2]);
                Rope::new(position, base, &mut cos, &mut sin).rotate(&mut y, dim);
                for (x, y) in x.chunks(dim).zip(y.chunks(dim)) {
                    assert_eq!(x[rotated..], y[rotated..]);
                    for i in 0..rotated / 2 {
                        let power = -2.0 * i as f64 / rotated as f64;
                        let angle = position as f64 * f64::from(base).powf(power);
                        let (a, b) = (f64::from(x[2 * i]), f64::from(x[2 * i + 1]));
                        let expected =
                            [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()];
                        // The exponent's rounding is enlarged by ln base, at most 14.
                        let most = (18.0 * angle + 8.0) * ROUNDING * (a.abs() + b.abs());
                        for (y, expected) in y[2 * i..].iter().zip(expected) {
                            assert!((f64::from(*y) - expected).abs() <= most, "{y}, {expected}");
                        }
                    }
                }
            }
        }
    }
}
