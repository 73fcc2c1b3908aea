//! The engine of the npm package: core and std as JavaScript sees them.
//!
//! Types and errors are translated here and nothing else. Large memory is asked for with a way to
//! be refused, since a panic would end the instance; lanes are numbers in the order of
//! [`PrecisionLane::ALL`](trilane_core::lane::PrecisionLane::ALL).
//!
//! Two features, each built into .wasm files of its own, so that a page downloads what its models
//! need: `decoder` (texts, and matrices by themselves) and `encoder` (vectors of texts).

mod argument;
pub mod bytes;
#[cfg(feature = "encoder")]
pub mod encoder;
pub mod failure;
pub mod file;
#[cfg(feature = "decoder")]
pub mod generation;
#[cfg(feature = "decoder")]
pub mod matrix;
#[cfg(feature = "decoder")]
pub mod model;
#[cfg(feature = "decoder")]
pub mod quantize;
#[cfg(feature = "decoder")]
pub mod sequence;

use wasm_bindgen::prelude::wasm_bindgen;

/// The instruction set that this build computes with.
#[wasm_bindgen(js_name = instructionSet)]
#[must_use]
pub fn instruction_set() -> String {
    trilane_core::kernel::Level::baseline().to_string()
}
