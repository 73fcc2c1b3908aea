//! The model of handwritten digits that is in the repository: the same constants everywhere.

use crate::every_level;
use trilane::core::gguf::Gguf;
use trilane::core::model::{Digest, Line, Mlp};
use trilane::std::classify::{Samples, confusion};

/// Aligned as firmware has it in flash.
#[repr(align(64))]
struct Flash<T: ?Sized>(T);
static MODEL: &Flash<[u8]> =
    &Flash(*include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits.gguf")));
static TEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits-test.bin"));

/// Samples of each digit that were held out, and of these the ones classified correctly.
const SAMPLES: [usize; 10] = [36, 37, 36, 37, 37, 37, 37, 36, 35, 36];
const CORRECT: [usize; 10] = [36, 35, 36, 37, 37, 37, 36, 36, 35, 35];
/// `trilane verify models/digits.gguf`: both layers, all.
const GOLDEN: [u64; 3] = [0xc415_f78a_4ffb_28fa, 0x1ba7_99cc_db48_1094, 0xfaac_70d1_51d7_ea63];

fn model() -> Mlp<'static> {
    Mlp::load(&Gguf::parse(&MODEL.0).unwrap()).unwrap()
}

#[test]
fn the_held_out_digits_are_classified_as_in_training_at_every_level() {
    let model = model();
    let samples = Samples::new(TEST, model.header()).unwrap();
    assert_eq!(samples.len(), SAMPLES.iter().sum());
    for level in every_level() {
        let all = confusion(&model, level, &samples, &mut || {}).unwrap();
        let of =
            |digit: usize| all.counts().filter(move |(label, ..)| usize::from(*label) == digit);
        let count = |digit| of(digit).map(|(_, _, times)| times).sum::<usize>();
        let right = |digit| of(digit).filter(|c| c.1 == digit).map(|c| c.2).sum::<usize>();
        assert_eq!(std::array::from_fn(count), SAMPLES, "{level}");
        assert_eq!(std::array::from_fn(right), CORRECT, "{level}");
        assert_eq!(all.correct(), CORRECT.iter().sum());
    }
}

#[test]
fn the_digits_model_has_its_digest_at_every_level() {
    let model = model();
    let mut arena = vec![Line::ZERO; model.header().arena_lines()];
    for level in every_level() {
        let mut layers = [Digest::default(); 2];
        let all = model.verify(level, &mut layers, &mut arena).unwrap();
        let found = [layers[0].value(), layers[1].value(), all.value()];
        assert_eq!(found, GOLDEN, "{level}: {found:x?}");
    }
}
