//! Absmax, absmean and ternary rows against their formulas.

use crate::random::Random;
use crate::{ROUNDING, planes::GROUPS};
use trilane_core::digits::{Group, units};
use trilane_core::quant::{QuantError, quantize_absmax, quantize_absmean, quantize_ternary_row};

const LENS: [usize; 12] = [1, 2, 15, 16, 17, 31, 33, 64, 65, 127, 200, 1000];

#[test]
fn absmax_is_within_half_a_step() {
    let mut random = Random(1);
    for len in LENS {
        for magnitude in [1.0f32, 1e-20, 1e30] {
            let x: Vec<f32> = random.floats(len).iter().map(|x| x * magnitude).collect();
            let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
            let mut q = vec![99; len];
            let scale = quantize_absmax(&x, &mut q).unwrap();
            assert_eq!(scale, max / 127.0);
            assert_eq!(q.iter().map(|q| i32::from(*q).abs()).max(), Some(127));
            for (x, q) in x.iter().zip(q) {
                // The quotient has three roundings, of values up to 127.
                let steps = f64::from(*x) / (f64::from(max) / 127.0);
                let most = 0.5 + 127.0 * 3.0 * ROUNDING;
                assert!((steps - f64::from(q)).abs() <= most, "{x} became {q}");
            }
        }
    }
}

#[test]
fn absmax_rounds_ties_to_even_and_gives_zeros_for_tiny_vectors() {
    let mut q = [0; 5];
    let scale = quantize_absmax(&[127.0, 0.5, 1.5, -2.5, -3.5], &mut q).unwrap();
    assert_eq!((q, scale), ([127, 0, 2, -2, -4], 1.0));
    let smallest = 2.0f32.powi(-100);
    for (value, expected) in [(0.0, 0), (-0.0, 0), (smallest / 2.0, 0), (smallest, 127)] {
        let mut q = [99];
        let scale = quantize_absmax(&[value], &mut q).unwrap();
        assert_eq!((q, scale > 0.0), ([expected], expected != 0));
    }
    assert_eq!(quantize_absmax(&[], &mut []), Ok(0.0));
}

#[test]
fn absmean_codes_are_the_nearest_of_three() {
    let mut random = Random(2);
    for len in LENS {
        let w = random.floats(len);
        let mut codes = vec![99; len];
        let scale = f64::from(quantize_absmean(&w, &mut codes).unwrap());
        let mean = w.iter().map(|w| f64::from(w.abs())).sum::<f64>() / len as f64;
        // A term of the sum goes through len/16 + 4 additions, then there is one division.
        assert!((scale / mean - 1.0).abs() <= (len as f64 / 16.0 + 5.0) * ROUNDING);
        for (w, code) in w.iter().zip(codes) {
            let nearest = (f64::from(*w) / scale).round().clamp(-1.0, 1.0) + 1.0;
            assert_eq!(f64::from(code), nearest, "{w} with scale {scale}");
        }
    }
}

#[test]
fn absmean_ties_go_away_from_zero() {
    let mut codes = [99; 4];
    // Mean 1: halves are at ±0.5.
    let scale = quantize_absmean(&[0.5, -0.5, 0.499, 2.501], &mut codes).unwrap();
    assert_eq!((codes, scale), ([2, 0, 1, 2], 1.0));
    for w in [vec![0.0; 20], vec![]] {
        let mut codes = vec![99; w.len()];
        assert_eq!(quantize_absmean(&w, &mut codes), Ok(0.0));
        assert!(codes.iter().all(|&c| c == 1));
    }
}

/// Codes as absmean gives them for the group; the stored scale is the mean magnitude of those that
/// did not become zero, to half a step of 1/255 of the largest.
#[test]
fn ternary_groups_have_absmean_codes_and_fitted_scales() {
    let mut random = Random(3);
    for len in LENS {
        for group in GROUPS {
            let mut w = random.floats(len);
            for part in w.chunks_mut(32) {
                let factor = (-(random.below(4) as f32)).exp2();
                part.iter_mut().for_each(|w| *w *= factor);
            }
            let mut codes = vec![99; len];
            let mut scales = vec![99; units(len) * group.scales_per_unit()];
            let row_scale = quantize_ternary_row(&w, group, &mut codes, &mut scales).unwrap();
            let weights = group.weights().unwrap_or(len);
            for (g, (w, codes)) in w.chunks(weights).zip(codes.chunks(weights)).enumerate() {
                let mut expected = vec![99; w.len()];
                quantize_absmean(w, &mut expected).unwrap();
                assert_eq!(codes, expected);
                let kept = w.iter().zip(codes).filter(|(_, code)| **code != 1);
                let kept: Vec<f64> = kept.map(|(w, _)| f64::from(w.abs())).collect();
                let fit = kept.iter().sum::<f64>() / kept.len() as f64;
                let (scale, step) = match group {
                    Group::Row => (f64::from(row_scale), 0.0),
                    _ => (f64::from(row_scale) * f64::from(scales[g]), f64::from(row_scale)),
                };
                // A sum in order has as many roundings as weights.
                let most = 0.5001 * step + (w.len() as f64 + 2.0) * ROUNDING * fit;
                assert!((scale - fit).abs() <= most, "{group:?}, group {g}: {scale}, not {fit}");
            }
            if group != Group::Row {
                assert_eq!(scales.iter().max(), Some(&255));
            }
        }
    }
}

#[test]
fn ternary_tails_and_zeros() {
    let quantize = |w: &[f32], group: Group| {
        let mut codes = vec![99; w.len()];
        let mut scales = vec![99; units(w.len()) * group.scales_per_unit()];
        let row_scale = quantize_ternary_row(w, group, &mut codes, &mut scales).unwrap();
        (codes, scales, row_scale)
    };
    let mut w = vec![1.0; 65];
    w[64] = -0.6;
    let (codes, scales, row_scale) = quantize(&w, Group::G32);
    assert_eq!((codes[0], codes[64], row_scale), (2, 0, 1.0 / 255.0));
    assert_eq!(scales, [255, 255, 153, 0]);
    for group in GROUPS {
        let (codes, scales, row_scale) = quantize(&[0.0; 65], group);
        assert_eq!((codes, row_scale), (vec![1; 65], 0.0));
        assert!(scales.iter().all(|&s| s == 0));
    }
}

#[test]
fn lengths_and_values_that_are_refused() {
    let length = |expected, actual| Err(QuantError::Length { expected, actual });
    assert_eq!(quantize_absmax(&[1.0; 3], &mut [0; 2]), length(3, 2));
    assert_eq!(quantize_absmean(&[1.0; 3], &mut [0; 4]), length(3, 4));
    let row = quantize_ternary_row(&[1.0; 3], Group::Row, &mut [0; 4], &mut []);
    assert_eq!(row, length(3, 4));
    let row = quantize_ternary_row(&[1.0; 3], Group::G32, &mut [0; 3], &mut [0]);
    assert_eq!(row, length(2, 1));
    let row = quantize_ternary_row(&[1.0; 3], Group::Row, &mut [0; 3], &mut [0]);
    assert_eq!(row, length(0, 1));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let w = [1.0, 2.0, bad];
        let error = Err(QuantError::NotFinite { index: 2 });
        assert_eq!(quantize_absmax(&w, &mut [0; 3]), error);
        assert_eq!(quantize_absmean(&w, &mut [0; 3]), error);
        assert_eq!(quantize_ternary_row(&w, Group::G64, &mut [0; 3], &mut [0]), error);
    }
}

/// Where a sum of finite weights is beyond the floats, the mean is not.
#[test]
fn scales_of_huge_weights_are_finite() {
    for len in [2, 16, 17, 64, 257, 5000] {
        let alternating = |huge: f32| -> Vec<f32> {
            (0..len).map(|i| if i % 2 == 0 { huge } else { -huge }).collect()
        };
        for huge in [f32::MAX, f32::MAX / 2.0, 1e37] {
            let w = alternating(huge);
            let near = |scale: f32| {
                let ratio = f64::from(scale) / f64::from(huge);
                assert!((ratio - 1.0).abs() <= (len as f64 + 2.0) * ROUNDING, "{len}: {ratio}");
            };
            let expected: Vec<u8> = (0..len).map(|i| if i % 2 == 0 { 2 } else { 0 }).collect();
            let mut codes = vec![99; len];
            near(quantize_absmean(&w, &mut codes).unwrap());
            assert_eq!(codes, expected);
            for group in GROUPS {
                let mut scales = vec![99; units(len) * group.scales_per_unit()];
                let mut codes = vec![99; len];
                let scale = quantize_ternary_row(&w, group, &mut codes, &mut scales).unwrap();
                assert_eq!(codes, expected);
                assert!(scale.is_finite());
                let steps = if group == Group::Row { 1.0 } else { 255.0 };
                near((f64::from(scale) * steps).min(f64::from(f32::MAX)) as f32);
            }
        }
    }
}

/// The sum is taken of smaller weights only where it has to be, so the bits of all others stay.
#[test]
fn a_sum_that_just_fits_is_taken_as_it_is() {
    let w = [f32::MAX / 2.0, f32::MAX / 2.0];
    assert_eq!(quantize_absmean(&w, &mut [0; 2]), Ok(f32::MAX / 2.0));
    let tiny = [f32::from_bits(3), f32::from_bits(1)];
    assert_eq!(quantize_absmean(&tiny, &mut [0; 2]), Ok(f32::from_bits(2)));
}
