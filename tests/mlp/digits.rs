//! The model of handwritten digits that is in the repository: the same constants everywhere.

use crate::every_level;
use trilane::core::gguf::Gguf;
use trilane::core::kernel::{Lut, Scalar};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Digest, Line, Mlp, ModelError};
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
    assert_eq!(samples.len(), SAMPLES.iter().sum::<usize>());
    for level in every_level() {
        let all = confusion(&model, level, &samples, &mut || {}).unwrap();
        let of =
            |digit: usize| all.counts().filter(move |(label, ..)| usize::from(*label) == digit);
        let count = |digit| of(digit).map(|(_, _, times)| times).sum::<usize>();
        let right = |digit| of(digit).filter(|c| c.1 == digit).map(|c| c.2).sum::<usize>();
        assert_eq!(std::array::from_fn(count), SAMPLES, "{level}");
        assert_eq!(std::array::from_fn(right), CORRECT, "{level}");
        assert_eq!(all.correct(), CORRECT.iter().sum::<usize>());
    }
}

/// Whatever is wrong with a file, it is refused or it computes; nothing panics.
#[test]
fn a_damaged_file_is_refused_or_runs() {
    let mut file =
        Flash(*include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits.gguf")));
    let mut arena = vec![Line::ZERO; 1 << 16];
    let mut run = |bytes: &[u8]| {
        let Ok(gguf) = Gguf::parse(bytes) else { return false };
        let Ok(model) = Mlp::load(&gguf) else { return false };
        let features = vec![9; model.header().features];
        model.scores(Scalar, &features, &mut arena).unwrap().class() < model.header().classes
    };
    assert!(run(&file.0));
    // The padding after the last tensor may be missing.
    let last = Gguf::parse(&MODEL.0).unwrap().tensors().last().unwrap();
    let end = last.file_offset() + last.data().len();
    let mut ran = 0;
    for at in 0..file.0.len() {
        assert_eq!(run(&file.0[..at]), at >= end, "cut after {at} bytes");
        for damage in [0xFF, 1 << (at % 8)] {
            file.0[at] ^= damage;
            ran += usize::from(run(&file.0));
            file.0[at] ^= damage;
        }
    }
    // Other weights are weights too.
    assert!(ran > 5000, "{ran}");
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

/// The model is Bit3: a build of the first tier scores it, one of ternary alone says that it cannot.
#[test]
fn a_lane_that_is_not_compiled_in_is_refused() {
    let model = model();
    let mut arena = vec![Line::ZERO; model.header().arena_lines()];
    let (features, _) = TEST.split_at(65);
    let features: Vec<i8> = features[1..].iter().map(|&v| v as i8).collect();
    let expected = model.scores(Scalar, &features, &mut arena).unwrap().values.to_vec();
    assert_eq!(model.scores(Lut::<1>, &features, &mut arena).unwrap().values, expected);
    let refused = model.scores(Lut::<0>, &features, &mut arena);
    assert!(matches!(refused, Err(ModelError::Backend { lane: PrecisionLane::Bit3, .. })));
}
