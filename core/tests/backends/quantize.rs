//! `quantize`: block floating point activations.

use crate::random::Random;
use crate::{floats, lengths};
use trilane_core::kernel::{Backend, Level, Scalar};
use trilane_core::quant::{ActivationsBuf, QuantError, activation_lens};

/// What the arrays hold and what the activations say.
type Result = (Vec<i8>, Vec<u32>, Vec<i16>, core::result::Result<Facts, QuantError>);
/// Length, largest multiplier, step, and every integer with some past the end.
type Facts = (usize, u32, u32, Vec<i32>);

/// Quantises into arrays that are `spare` longer than they must be.
fn quantize(b: impl Backend, x: &[f32], spare: usize) -> Result {
    let (q, m, s) = activation_lens(x.len());
    let (mut q, mut m, mut s) = (vec![77; q + spare], vec![77; m + spare], vec![77; s + spare]);
    let mut buf = ActivationsBuf::new(&mut q, &mut m, &mut s);
    let facts = b.quantize(x, &mut buf).map(|a| {
        let integers = (0..x.len() + 300).map(|i| a.integer(i)).collect();
        (a.len(), a.max_multiplier(), a.step().to_bits(), integers)
    });
    (q, m, s, facts)
}

fn same(level: Level, x: &[f32]) {
    for spare in [0, 5] {
        let quantized = quantize(level, x, spare);
        assert_eq!(quantized, quantize(Scalar, x, spare));
        let (q, m, s, _) = quantized;
        assert!(q.ends_with(&[77; 5][..spare]), "a guard was written");
        assert!(m.ends_with(&[77; 5][..spare]), "a guard was written");
        assert!(s.ends_with(&[77; 5][..spare]), "a guard was written");
    }
}

fn every_length_and_kind_of_value(level: Level) {
    same(level, &[]);
    for len in lengths().chain([4096, 16384 + 64]) {
        for kind in floats::KINDS {
            same(level, &floats::values(kind, len, len as u64));
        }
    }
}

fn units_of_different_magnitude(level: Level) {
    let mut random = Random(3);
    for len in lengths() {
        let mut x = random.floats(len);
        for unit in x.chunks_mut(64) {
            let factor = (random.below(40) as f32 - 30.0).exp2();
            unit.iter_mut().for_each(|x| *x *= factor);
        }
        same(level, &x);
    }
}

/// Halves between two integers go to the even one. Each unit holds 127, so a step is 1.
fn ties(level: Level) {
    let half = |i: i32| if i < 126 { i as f32 + 0.5 } else { 125.5 - i as f32 };
    let units = (0..4).flat_map(|u| [127.0].into_iter().chain((63 * u..63 * (u + 1)).map(half)));
    let x: Vec<f32> = units.collect();
    same(level, &x);
    let (.., facts) = quantize(level, &x, 0);
    let (_, _, step, integers) = facts.unwrap();
    assert_eq!(f32::from_bits(step), 1.0);
    for (x, q) in x.iter().zip(integers) {
        let even = q % 2 == 0 && (x - q as f32).abs() == 0.5;
        assert!(if *x == 127.0 { q == 127 } else { even }, "{x} became {q}");
    }
}

fn values_that_are_not_finite(level: Level) {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for index in [0, 1, 15, 16, 63, 64, 200, 298] {
            let mut x = vec![1.0; 300];
            x[index] = bad;
            x[299] = f32::NAN;
            let (.., facts) = quantize(level, &x, 0);
            assert_eq!(facts, Err(QuantError::NotFinite { index }));
        }
    }
}

fn arrays_that_are_too_short(level: Level) {
    let x = [1.0; 300];
    let (q, m, s) = activation_lens(300);
    for short in 0..3 {
        let less = |len: usize, which| if which == short { len - 1 } else { len };
        let (nq, nm, ns) = (less(q, 0), less(m, 1), less(s, 2));
        let (mut q, mut m, mut s) = (vec![0; nq], vec![0; nm], vec![0; ns]);
        let mut buf = ActivationsBuf::new(&mut q, &mut m, &mut s);
        let error = level.quantize(&x, &mut buf).map(|a| a.len());
        let expected = [512, 8, 16][short];
        assert_eq!(error, Err(QuantError::Length { expected, actual: expected - 1 }));
    }
}

every_backend!(
    every_length_and_kind_of_value,
    units_of_different_magnitude,
    ties,
    values_that_are_not_finite,
    arrays_that_are_too_short
);
