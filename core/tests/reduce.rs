//! The 16-lane reduction against its definition, at every length around the lane count.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use trilane_core::error::ShapeError;
use trilane_core::math::reduce::{LANES, add_lanes, dot, max, sum, sum_of_squares};

/// The definition: explicit padding to whole rows, then lanes, then the tree.
fn reduce(x: &[f32], pad: f32, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut padded = x.to_vec();
    padded.resize(x.len().div_ceil(LANES) * LANES, pad);
    let start = if pad.is_infinite() { pad } else { 0.0 };
    let mut lanes = [start; LANES];
    for (i, &v) in padded.iter().enumerate() {
        lanes[i % LANES] = f(lanes[i % LANES], v);
    }
    for apart in [8, 4, 2, 1] {
        for i in 0..apart {
            lanes[i] = f(lanes[i], lanes[i + apart]);
        }
    }
    lanes[0]
}

fn greater(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// Compares all four reductions with the definition, padded with both zeros.
fn check(x: &[f32], y: &[f32]) {
    let products: Vec<f32> = x.iter().zip(y).map(|(a, b)| a * b).collect();
    let squares: Vec<f32> = x.iter().map(|a| a * a).collect();
    for pad in [0.0, -0.0] {
        let total = |v: &[f32]| reduce(v, pad, |a, b| a + b).to_bits();
        assert_eq!(sum(x).to_bits(), total(x), "{x:?}");
        assert_eq!(sum_of_squares(x).to_bits(), total(&squares), "{x:?}");
        assert_eq!(dot(x, y).unwrap().to_bits(), total(&products), "{x:?} {y:?}");
    }
    assert_eq!(max(x).to_bits(), reduce(x, f32::NEG_INFINITY, greater).to_bits(), "{x:?}");
}

#[test]
fn every_length_matches_the_definition() {
    let value = |i: usize| ((i * 7_919 + 13) % 2_003) as f32 * 0.37 - 370.0;
    for n in (0..=67).chain([127, 128, 129, 1_000]) {
        let x: Vec<f32> = (0..n).map(value).collect();
        let y: Vec<f32> = (0..n).map(|i| value(i + 5) * 1e-3).collect();
        check(&x, &y);
    }
}

#[test]
fn negative_zeros_sum_to_positive_zero() {
    for n in 0..40 {
        let x = vec![-0.0; n];
        assert_eq!(sum(&x).to_bits(), 0);
        assert_eq!(dot(&x, &vec![1.0; n]).unwrap().to_bits(), 0);
    }
}

#[test]
fn empty_and_nan() {
    assert_eq!(sum(&[]).to_bits(), 0);
    assert_eq!(max(&[]), f32::NEG_INFINITY);
    assert_eq!(max(&[f32::NAN]), f32::NEG_INFINITY);
    assert_eq!(max(&[1.0, f32::NAN, 2.0]), 2.0);
    assert_eq!(max(&[0.0, -0.0]).to_bits(), 0);
    assert!(sum(&[1.0, f32::NAN]).is_nan());
    assert_eq!(add_lanes([0.25; LANES]), 4.0);
}

#[test]
fn lengths_must_agree() {
    let error = dot(&[1.0; 3], &[1.0; 4]).unwrap_err();
    assert_eq!(error, ShapeError::Length { expected: 3, actual: 4 });
    assert_eq!(error.to_string(), "expected a length of 3 elements, got 4");
}

/// The order of operations is the definition, so the bits may never change.
#[test]
fn golden_bits() {
    let x: Vec<f32> = (0..50).map(|i| 1.0 / (i as f32 + 1.0)).collect();
    let y: Vec<f32> = (0..50).map(|i| (i as f32 - 20.0) * 0.3).collect();
    let bits = [sum(&x), sum_of_squares(&x), dot(&x, &y).unwrap(), max(&y)].map(f32::to_bits);
    assert_eq!(bits, [0x408f_f97e, 0x3fd0_0459, 0xc155_8518, 0x410b_3334], "{bits:#010x?}");
}

proptest! {
    #[test]
    fn any_values_match_the_definition(
        pairs in prop::collection::vec((-1e15f32..1e15, -1e15f32..1e15), 0..100)
    ) {
        let (x, y): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        check(&x, &y);
    }
}
