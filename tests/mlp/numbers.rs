//! Scores against the definition in plain integers.

use crate::every_level;
use crate::network::{Digits, Network};
use crate::random::Random;
use trilane::core::digits::Group;
use trilane::core::error::ShapeError;
use trilane::core::gguf::Gguf;
use trilane::core::kernel::Scalar;
use trilane::core::model::{Digest, Line, MLP_MAX_LAYERS, Mlp, ModelError, Scores, VERIFY_INPUTS};
use trilane::core::nn::LinearError;
use trilane::core::quant::QuantError;

/// Loads a network and hands it over with an arena that is not zero: no buffer may count on it.
fn with_model<R>(network: &Network, each: impl FnOnce(&Mlp<'_>, &mut [Line]) -> R) -> R {
    let lines = network.file().lines();
    let model = Mlp::load(&Gguf::parse(bytemuck::cast_slice(&lines)).unwrap()).unwrap();
    let mut arena = vec![Line::ZERO; model.header().arena_lines()];
    bytemuck::cast_slice_mut::<Line, u8>(&mut arena).fill(0x7F);
    each(&model, &mut arena)
}

/// Features of every size; the first inputs are all small, all largest, all zero.
fn features(len: usize, index: usize, random: &mut Random) -> Vec<i8> {
    let value = |range: usize| random.below(2 * range + 1) as i32 - range as i32;
    match index {
        0 => vec![1; len],
        1 => vec![127; len],
        2 => vec![-127; len],
        3 => vec![0; len],
        _ => std::iter::repeat_with(value_in(value, index)).take(len).collect(),
    }
}

fn value_in(mut value: impl FnMut(usize) -> i32, index: usize) -> impl FnMut() -> i8 {
    let range = [3, 16, 127][index % 3];
    move || value(range) as i8
}

fn check(widths: &[usize], digits: Digits, group: Group) {
    let seed = (widths.iter().sum::<usize>() * 31 + group.scales_per_unit()) as u64;
    let network = Network::random(widths, digits, group, seed);
    let mut random = Random(seed + 1);
    with_model(&network, |model, arena| {
        for index in 0..8 {
            let x = features(widths[0], index, &mut random);
            let (sums, scale) = network.sums(&x);
            for level in every_level() {
                let scores = model.scores(level, &x, arena).unwrap();
                assert_eq!(scores.values, sums.last().unwrap(), "{widths:?} {digits:?} {level}");
                let found = model.scale(&scores);
                assert_eq!(found.to_bits(), scale.to_bits(), "{widths:?} {digits:?}");
            }
        }
    });
}

#[test]
fn scores_are_those_of_plain_integers() {
    let shapes: [&[usize]; 6] =
        [&[64, 192, 10], &[1, 1], &[70, 130, 130, 3], &[300, 5], &[17, 2, 2, 2, 2], &[64, 257, 2]];
    for widths in shapes {
        for group in [Group::Row, Group::G32, Group::G64] {
            check(widths, Digits::Ternary, group);
            (1..=3).for_each(|tiers| check(widths, Digits::Nested(tiers), group));
        }
    }
}

#[test]
fn the_class_is_the_first_of_the_largest_scores() {
    let class = |values: &[i64]| Scores { values, shifts: [0; MLP_MAX_LAYERS] }.class();
    assert_eq!(class(&[3]), 0);
    assert_eq!(class(&[-5, -3, -4]), 1);
    assert_eq!(class(&[1, 9, 9, 2]), 1);
    assert_eq!(class(&[i64::MIN, i64::MIN]), 0);
    assert_eq!(class(&[0, i64::MIN, i64::MAX]), 2);
}

#[test]
fn matrices_of_one_network_may_be_stored_in_different_ways() {
    let mut network = Network::random(&[40, 66, 4], Digits::Ternary, Group::Row, 5);
    let other = Network::random(&[40, 66, 4], Digits::Nested(2), Group::G32, 6);
    network.0[1] = other.0.into_iter().nth(1).unwrap();
    let x: Vec<i8> = (0..40).map(|i| i * 3 - 50).collect();
    let (sums, scale) = network.sums(&x);
    with_model(&network, |model, arena| {
        let scores = model.scores(Scalar, &x, arena).unwrap();
        assert_eq!((scores.values, model.scale(&scores)), (&sums[1][..], scale));
    });
}

#[test]
fn features_and_memory_that_do_not_fit_are_refused() {
    let network = Network::random(&[64, 192, 10], Digits::Nested(1), Group::Row, 1);
    with_model(&network, |model, arena| {
        for actual in [0, 63, 65] {
            let found = model.scores(Scalar, &vec![1; actual], arena);
            let error = ShapeError::Length { expected: 64, actual };
            assert_eq!(found, Err(ModelError::Compute(error.into())));
        }
        let mut x = [5; 64];
        x[40] = -128;
        let error = LinearError::Quant(QuantError::Range { index: 40 });
        assert_eq!(model.scores(Scalar, &x, arena), Err(ModelError::Compute(error)));
        let (expected, actual) = (arena.len(), arena.len() - 1);
        let what = "the arena (in lines of 64 bytes)";
        let found = model.scores(Scalar, &[5; 64], &mut arena[..actual]);
        assert_eq!(found, Err(ModelError::Memory { what, expected, actual }));
        let found = model.verify(Scalar, &mut [Digest::default()], arena);
        let what = "layer digests";
        assert_eq!(found, Err(ModelError::Memory { what, expected: 2, actual: 1 }));
    });
}

/// The fixed run, from the definition in plain integers.
#[test]
fn the_digest_is_that_of_the_fixed_inputs_sums() {
    let network = Network::random(&[70, 9, 9, 3], Digits::Nested(3), Group::G64, 2);
    let mut expected = [Digest::default(); 3];
    for i in 0..VERIFY_INPUTS {
        let x: Vec<i8> = (0..70).map(|j| ((1 + 37 * i + 101 * j) % 128) as i8).collect();
        let (sums, scale) = network.sums(&x);
        expected.iter_mut().zip(&sums).for_each(|(digest, sums)| digest.integers(sums));
        expected[2].floats(&[scale]);
    }
    let mut all = Digest::default();
    expected.iter().for_each(|digest| all.bytes(&digest.value().to_le_bytes()));
    with_model(&network, |model, arena| {
        for level in every_level() {
            let mut digests = [Digest::default(); 3];
            assert_eq!(model.verify(level, &mut digests, arena), Ok(all), "{level}");
            assert_eq!(digests, expected);
        }
    });
}
