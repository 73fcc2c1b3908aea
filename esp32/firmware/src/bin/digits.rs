//! Classifies the test set of handwritten digits on the device, as
//! `trilane classify models/digits.gguf --data models/digits-test.bin` does elsewhere.
#![no_std]
#![no_main]

use firmware::{entry, eprintln, exit, instructions, or_exit, paint_stack, println, stack_bytes};
use static_cell::ConstStaticCell;
use trilane_esp32::footprint::STACK_BYTES;
use trilane_esp32::{Classifier, Line, Perceptron, include_model};

const MODEL: Perceptron = include_model!("../../../../models/digits.gguf");
const FEATURES: usize = MODEL.header().features;

/// Records of a label and the features of an input.
static SAMPLES: &[u8] = include_bytes!("../../../../models/digits-test.bin");

static ARENA: ConstStaticCell<[Line; MODEL.arena_lines()]> =
    ConstStaticCell::new([Line::ZERO; MODEL.arena_lines()]);

#[entry]
fn main() -> ! {
    paint_stack();
    let arena = ARENA.take();
    let start = instructions();
    let classifier = or_exit(Classifier::init(MODEL.bytes()));
    let loaded = instructions();
    let digest = or_exit(classifier.digest(arena));
    let (mut all, mut correct, mut spent) = (0, 0, 0);
    for record in SAMPLES.chunks_exact(1 + FEATURES) {
        let (label, features) = (usize::from(record[0]), &record[1..]);
        let features: [i8; FEATURES] = core::array::from_fn(|i| features[i].cast_signed());
        let start = instructions();
        let class = or_exit(classifier.infer(&features, arena));
        spent += instructions() - start;
        all += 1;
        correct += u64::from(class == label);
    }
    println!("{correct} of {all} correct");
    println!("digest {:016x}", digest.value());
    eprintln!("{} instructions to load the model", loaded - start);
    eprintln!("{} instructions an inference", spent / all);
    let stack = stack_bytes();
    eprintln!("{} bytes of arena, {stack} of stack", size_of_val(arena));
    if stack > STACK_BYTES {
        eprintln!("expected at most {STACK_BYTES} bytes of stack");
        exit(1);
    }
    exit(0)
}
