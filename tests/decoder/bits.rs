//! The same bits from every instruction set, every pool and every replay.

use crate::file::{File, float_file};
use crate::planes::{Digits, digit_file};
use crate::pools::{Threads, Uneven};
use crate::{PROMPT, levels, with_decoder};
use trilane::core::digits::Group;
use trilane::core::kernel::{Backend, Baseline, Isa, Lut, Pool, Scalar, Serial};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Digest, ModelError};

/// The digest of every layer's output and of the logits after each token.
fn digests(file: &File, backend: impl Backend, pool: &dyn Pool, lane: PrecisionLane) -> Vec<u64> {
    with_decoder(file, backend, PROMPT.len(), |decoder| {
        let mut all = vec![];
        for token in PROMPT {
            let mut seen = 0;
            let mut observe = |layer: usize, values: &[f32]| {
                assert_eq!((layer, values.len()), (seen, [64, 64, 40][layer]));
                seen += 1;
                let mut digest = Digest::default();
                digest.floats(values);
                all.push(digest.value());
            };
            decoder.forward_observed(pool, token, lane, &mut observe).unwrap();
            assert_eq!(seen, 3);
        }
        all
    })
}

/// Asserts the bits of the specification; returns them.
fn same(file: &File, lane: PrecisionLane) -> Vec<u64> {
    let expected = digests(file, Scalar, &Serial, lane);
    for pool in [&Uneven as &dyn Pool, &Threads(5)] {
        assert_eq!(digests(file, Scalar, pool, lane), expected, "{lane}");
    }
    for level in Isa::ALL.into_iter().filter_map(levels::level) {
        for pool in [&Serial as &dyn Pool, &Uneven] {
            assert_eq!(digests(file, level, pool, lane), expected, "{lane} on {level}");
        }
    }
    // One level with threads: an emulator keeps some memory of every thread that ever ran.
    assert_eq!(digests(file, Baseline, &Threads(3), lane), expected, "{lane}");
    expected
}

#[test]
fn float_models_have_the_same_bits_everywhere() {
    let file = float_file(1);
    let expected = same(&file, PrecisionLane::Float32);
    assert_ne!(digests(&float_file(2), Scalar, &Serial, PrecisionLane::Float32), expected);
}

#[test]
fn digit_models_have_the_same_bits_everywhere() {
    for group in [Group::Row, Group::G32, Group::G64] {
        let nested = digit_file(1, Digits::Nested(3), group);
        let [three, five, seven] = PrecisionLane::NESTED.map(|lane| same(&nested, lane));
        assert!(three != five && five != seven);
        same(&digit_file(1, Digits::Ternary, group), PrecisionLane::Ternary);
        // Leaving lower tiers out changes nothing for the lanes that are left.
        let shorter = digit_file(1, Digits::Nested(1), group);
        assert_eq!(digests(&shorter, Scalar, &Serial, PrecisionLane::Bit3), three);
        let shorter = digit_file(1, Digits::Nested(2), group);
        assert_eq!(digests(&shorter, Scalar, &Serial, PrecisionLane::Bit3), three);
        assert_eq!(digests(&shorter, Scalar, &Serial, PrecisionLane::Bit5), five);
    }
}

/// A build of the first tier alone computes Bit3 as every other, and refuses the lanes above.
#[test]
fn lanes_that_are_not_compiled_in_are_refused() {
    let file = digit_file(1, Digits::Nested(3), Group::G32);
    let bit3 = digests(&file, Scalar, &Serial, PrecisionLane::Bit3);
    assert_eq!(digests(&file, Lut::<1>, &Serial, PrecisionLane::Bit3), bit3);
    with_decoder(&file, Lut::<1>, 1, |decoder| {
        for lane in [PrecisionLane::Bit5, PrecisionLane::Bit7] {
            let refused = decoder.forward(&Serial, 1, lane).map(|_| ());
            assert!(matches!(refused, Err(ModelError::Backend { lane: l, .. }) if l == lane));
        }
    });
    with_decoder(&file, Lut::<2>, 1, |decoder| {
        assert!(decoder.forward(&Serial, 1, PrecisionLane::Bit5).is_ok());
    });
}
