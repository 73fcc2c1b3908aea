//! The nested quantiser: error bounds, the least-squares property, importance, edge cases.

use crate::planes::GROUPS;
use crate::random::Random;
use trilane_core::digits::{Group, units};
use trilane_core::lane::{PrecisionLane, quantize_nested_row};
use trilane_core::quant::QuantError;

/// A quantised row.
struct Quantized {
    codes: Vec<u8>,
    group_scales: Vec<u8>,
    row_scales: [f32; 3],
    group: Group,
}

fn quantize(w: &[f32], importance: Option<&[f32]>, group: Group) -> Quantized {
    let mut codes = vec![255; w.len()];
    let mut group_scales = vec![0; units(w.len()) * group.scales_per_unit()];
    let row_scales =
        quantize_nested_row(w, importance, group, &mut codes, &mut group_scales).unwrap();
    Quantized { codes, group_scales, row_scales, group }
}

impl Quantized {
    fn group_scale(&self, i: usize) -> f64 {
        self.group.weights().map_or(1.0, |weights| f64::from(self.group_scales[i / weights]))
    }

    /// Weight `i` in half steps of Bit7, group scale included, at the lane of `tier`.
    fn value(&self, i: usize, tier: usize) -> f64 {
        let code = f64::from(self.codes[i] >> [4, 2, 0][tier]);
        self.group_scale(i) * [32.0 * code - 113.0, 8.0 * code - 125.0, 2.0 * code - 128.0][tier]
    }

    /// `Σ p · (w − scale · v)²`.
    fn error(&self, w: &[f32], importance: &[f32], tier: usize, scale: f64) -> f64 {
        let square = |i: usize| (f64::from(w[i]) - scale * self.value(i, tier)).powi(2);
        (0..w.len()).map(|i| f64::from(importance[i]) * square(i)).sum()
    }
}

fn rows() -> impl Iterator<Item = Vec<f32>> {
    let mut random = Random(21);
    let lens = [1, 2, 31, 32, 33, 63, 64, 65, 96, 128, 200, 257, 500];
    lens.into_iter().flat_map(move |len| {
        let flat = random.floats(len);
        let mut uneven = random.floats(len);
        for group in uneven.chunks_mut(32) {
            let factor = (-(random.below(7) as f32)).exp2();
            group.iter_mut().for_each(|w| *w *= factor);
        }
        let mut spiked: Vec<f32> = random.floats(len).iter().map(|w| 0.01 * w).collect();
        spiked[len / 2] = 3.0;
        [flat, uneven, spiked]
    })
}

/// With the step that the codes were made with, a weight is at most half a step (Bit7), 1.5 + 0.5
/// (Bit5: the middle of four codes) or 7.5 + 0.5 steps (Bit3: of sixteen) away, and further only by
/// what the rounded group scale left outside the range of the codes. The row scale is fitted, so
/// the error of the row is at most that of this step.
#[test]
fn each_lane_is_within_the_bound_of_its_truncation() {
    for w in rows() {
        for group in GROUPS {
            let found = quantize(&w, None, group);
            let max = w.iter().fold(0.0f32, |max, w| max.max(w.abs()));
            let unit = f64::from(max) / 63.5 / if group == Group::Row { 1.0 } else { 255.0 };
            for (tier, steps) in [8.0, 2.0, 0.5].into_iter().enumerate() {
                let ones = vec![1.0; w.len()];
                let mut bound = 0.0;
                for (i, &w) in w.iter().enumerate() {
                    let step = unit * found.group_scale(i);
                    let outside = (f64::from(w.abs()) / step - 63.5).max(0.0);
                    // Divisions and scales in f32 move a weight by less than 1/1000 of a step.
                    let most = (steps + outside + 1e-3) * step;
                    let error = (f64::from(w) - 0.5 * unit * found.value(i, tier)).abs();
                    assert!(error <= most, "{group:?}, weight {i}: {error} > {most}");
                    bound += most * most;
                }
                let error = found.error(&w, &ones, tier, f64::from(found.row_scales[tier]));
                assert!(error <= bound, "{group:?}, tier {tier}: {error} > {bound}");
            }
        }
    }
}

/// The lower lanes read the same codes, so a finer lane is never worse over the row.
#[test]
fn more_digits_are_never_worse() {
    for w in rows().filter(|w| w.len() >= 32) {
        for group in GROUPS {
            let found = quantize(&w, None, group);
            let ones = vec![1.0; w.len()];
            let error = |tier| found.error(&w, &ones, tier, f64::from(found.row_scales[tier]));
            assert!(error(2) < error(1) && error(1) < error(0), "{group:?}, {}", w.len());
        }
    }
}

/// Least squares: no other row scale has a smaller weighted error. The scale is rounded to f32,
/// which moves it by less than 1e-7 of itself, so 0.1% to either side must be worse.
#[test]
fn row_scales_are_least_squares_fits() {
    let mut random = Random(8);
    for w in rows() {
        for group in GROUPS {
            let importance: Vec<f32> = w.iter().map(|_| random.signed().abs() + 0.01).collect();
            let ones = vec![1.0; w.len()];
            for (given, p) in [(None, &ones), (Some(&importance[..]), &importance)] {
                let found = quantize(&w, given, group);
                for tier in 0..3 {
                    let scale = f64::from(found.row_scales[tier]);
                    assert!(scale > 0.0);
                    let best = found.error(&w, p, tier, scale);
                    for factor in [0.9, 0.99, 0.999, 1.001, 1.01, 1.1] {
                        let other = found.error(&w, p, tier, factor * scale);
                        assert!(best < other, "{group:?}, tier {tier}, {factor}: {best} ≥ {other}");
                    }
                }
            }
        }
    }
}

/// Importance changes the row scales alone, towards the columns that matter.
#[test]
fn importance_moves_the_fit_and_not_the_codes() {
    let w = Random(4).floats(128);
    let plain = quantize(&w, None, Group::G64);
    let mut importance = vec![1e-6; 128];
    importance[7] = 1.0;
    let fitted = quantize(&w, Some(&importance), Group::G64);
    assert_eq!((&fitted.codes, &fitted.group_scales), (&plain.codes, &plain.group_scales));
    for tier in 0..3 {
        let error = |q: &Quantized| q.error(&w, &importance, tier, f64::from(q.row_scales[tier]));
        assert!(error(&fitted) < error(&plain));
    }
    let same = quantize(&w, Some(&[2.5; 128]), Group::G64);
    assert_eq!(same.row_scales, plain.row_scales);
}

/// One value only: every lane has it exactly, up to the roundings of the fit and of the product.
#[test]
fn constant_rows_and_rows_of_one() {
    for value in [1.0f32, -1.0, 0.3, -7e20, 2e-30] {
        for len in [1, 32, 64, 65, 100] {
            for group in GROUPS {
                let found = quantize(&vec![value; len], None, group);
                // −63.5 steps may come out a little smaller and round to −63.
                let most = if value > 0.0 { 127..=127 } else { 0..=1 };
                assert!(found.codes.iter().all(|c| most.contains(c)));
                for tier in 0..3 {
                    let back = f64::from(found.row_scales[tier]) * found.value(len - 1, tier);
                    let error = (back / f64::from(value) - 1.0).abs();
                    assert!(error < 2.0 * crate::ROUNDING, "{value}, {len}: {back}");
                }
            }
        }
    }
}

#[test]
fn rows_of_zeros_and_rows_of_nothing() {
    for group in GROUPS {
        for w in [vec![0.0; 70], vec![-0.0; 70], vec![]] {
            let found = quantize(&w, None, group);
            assert!(found.codes.iter().all(|&c| c == 64));
            assert!(found.group_scales.iter().all(|&s| s == 1));
            assert_eq!(found.row_scales, [0.0; 3]);
        }
    }
}

/// The largest group has scale 255, a group of zeros 1, and so have groups of padding.
#[test]
fn group_scales_follow_the_largest_weight_of_the_group() {
    let mut w = vec![0.0; 65];
    w[3] = -2.0;
    w[40] = 1.2;
    assert_eq!(quantize(&w, None, Group::G64).group_scales, [255, 1]);
    assert_eq!(quantize(&w, None, Group::G32).group_scales, [255, 153, 1, 1]);
    w[64] = 0.5;
    assert_eq!(quantize(&w, None, Group::G64).group_scales, [255, 64]);
    let found = quantize(&w, None, Group::G32);
    assert_eq!(found.group_scales, [255, 153, 64, 1]);
    // A tail weight takes the scale of its own group.
    let back = f64::from(found.row_scales[2]) * found.value(64, 2);
    assert!((back - 0.5).abs() < 0.01, "{back}");
}

#[test]
fn lengths_and_values_that_are_refused() {
    let quantize = |w: &[f32], p: Option<&[f32]>, codes: usize, scales: usize| {
        let (mut codes, mut scales) = (vec![0; codes], vec![0; scales]);
        quantize_nested_row(w, p, Group::G32, &mut codes, &mut scales)
    };
    let length = |expected, actual| Err(QuantError::Length { expected, actual });
    assert_eq!(quantize(&[1.0; 65], None, 64, 4), length(65, 64));
    assert_eq!(quantize(&[1.0; 65], Some(&[1.0; 66]), 65, 4), length(65, 66));
    assert_eq!(quantize(&[1.0; 65], None, 65, 3), length(4, 3));
    for bad in [f32::NAN, f32::INFINITY] {
        let mut w = [1.0; 65];
        w[64] = bad;
        assert_eq!(quantize(&w, None, 65, 4), Err(QuantError::NotFinite { index: 64 }));
        let p = Some(&w[..]);
        assert_eq!(quantize(&[1.0; 65], p, 65, 4), Err(QuantError::NotFinite { index: 64 }));
    }
}

#[test]
fn lanes_have_names_order_and_tiers() {
    for pair in PrecisionLane::ALL.windows(2) {
        assert!(pair[0] < pair[1] && pair[0].code_bits() < pair[1].code_bits());
    }
    for lane in PrecisionLane::ALL {
        assert_eq!(PrecisionLane::from_name(lane.name()), Some(lane));
        assert_eq!(lane.to_string(), lane.name());
        let tiers = lane.tiers().map(|tiers| 1 + 2 * tiers as u32);
        assert!(tiers.is_none_or(|bits| bits == lane.code_bits()));
        assert_eq!(tiers.is_some(), PrecisionLane::NESTED.contains(&lane));
    }
    assert_eq!(PrecisionLane::from_name("Bit7"), None);
}
