//! From the bytes of a file to logits or scores nothing is allocated: the caller owns all memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "decoder/file.rs"]
mod file;
#[path = "../core/tests/backends/levels.rs"]
mod levels;
#[path = "decoder/planes.rs"]
mod planes;
#[path = "../core/tests/backends/random.rs"]
mod random;

use file::{File, LAYERS, float_file};
use planes::{Digits, digit_file};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use trilane::core::digits::Group;
use trilane::core::gguf::Gguf;
use trilane::core::kernel::{Isa, Serial};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Decoder, Layer, Line, Mlp, Weights};

thread_local! {
    /// Allocations of this thread; the test runner has threads of its own.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator unchanged; the counter is a thread
// local without a destructor, which takes no allocation itself.
#[allow(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `work` gives, and how often it allocated.
fn allocations<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = ALLOCATIONS.get();
    let result = work();
    (result, ALLOCATIONS.get() - before)
}

fn check(file: &File, lane: PrecisionLane) {
    let lines = file.lines();
    let mut arena = vec![Line::ZERO; 1000];
    for level in Isa::ALL.into_iter().filter_map(levels::level) {
        let (sum, count) = allocations(|| {
            let gguf = Gguf::parse(bytemuck::cast_slice(&lines)).unwrap();
            let mut layers = [Layer::EMPTY; LAYERS];
            let weights = Weights::load(&gguf, &mut layers).unwrap();
            weights.check_lane(lane).unwrap();
            let mut decoder = Decoder::new(weights, level, 16, &mut arena).unwrap();
            let mut sum = 0.0;
            for token in [1, 5, 9, 39, 0, 5] {
                sum += decoder.forward(&Serial, token, lane).unwrap()[3];
            }
            decoder.truncate(2);
            decoder.forward(&Serial, 40, lane).unwrap_err();
            sum + decoder.forward(&Serial, 7, lane).unwrap()[3]
        });
        assert_eq!(count, 0, "{lane} on {level}");
        assert!(sum != 0.0);
    }
}

#[test]
fn the_counter_counts() {
    let (boxed, count) = allocations(|| (Box::new(1), vec![2; 3], String::from("4")));
    assert_eq!((boxed.1.len(), count), (3, 3));
}

#[test]
fn loading_and_decoding_floats_allocate_nothing() {
    check(&float_file(1), PrecisionLane::Float32);
}

#[test]
fn loading_a_perceptron_and_scoring_allocate_nothing() {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits.gguf")).unwrap();
    let mut lines = vec![Line::ZERO; bytes.len().div_ceil(64)];
    bytemuck::cast_slice_mut(&mut lines)[..bytes.len()].copy_from_slice(&bytes);
    let file = &bytemuck::cast_slice(&lines)[..bytes.len()];
    let mut arena = [Line::ZERO; 30];
    for level in Isa::ALL.into_iter().filter_map(levels::level) {
        let (class, count) = allocations(|| {
            let model = Mlp::load(&Gguf::parse(file).unwrap()).unwrap();
            model.scores(level, &[-128; 64], &mut arena).unwrap_err();
            model.scores(level, &[3; 64], &mut arena).unwrap().class()
        });
        assert_eq!(count, 0, "{level}");
        assert!(class < 10);
    }
}

#[test]
fn loading_and_decoding_digit_planes_allocate_nothing() {
    for group in [Group::Row, Group::G32, Group::G64] {
        let nested = digit_file(1, Digits::Nested(3), group);
        PrecisionLane::NESTED.into_iter().for_each(|lane| check(&nested, lane));
        check(&digit_file(1, Digits::Ternary, group), PrecisionLane::Ternary);
    }
}
