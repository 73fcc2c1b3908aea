//! The perceptron from file to scores: numbers, bits, and everything that it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod digits;
#[allow(dead_code, reason = "the decoder's model is in it too")]
#[path = "../decoder/file.rs"]
mod file;
#[path = "../../core/tests/backends/levels.rs"]
mod levels;
mod network;
mod numbers;
#[path = "../../core/tests/backends/random.rs"]
mod random;
mod spoiled;

use trilane::core::kernel::{Isa, Level};

/// Every level that the machine has.
fn every_level() -> impl Iterator<Item = Level> {
    Isa::ALL.into_iter().filter_map(levels::level)
}
