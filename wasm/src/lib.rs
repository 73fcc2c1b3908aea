//! The engine of the npm package: core and std as JavaScript sees them.
//!
//! Types and errors are translated here and nothing else. Large memory is asked for with a way to
//! be refused, since a panic would end the instance; lanes are numbers in the order of
//! [`PrecisionLane::ALL`](trilane_core::lane::PrecisionLane::ALL).

pub mod bytes;
pub mod failure;
pub mod generation;
pub mod matrix;
pub mod model;
pub mod quantize;
pub mod sequence;

use wasm_bindgen::prelude::wasm_bindgen;

/// The instruction set that this build computes with.
#[wasm_bindgen(js_name = instructionSet)]
#[must_use]
pub fn instruction_set() -> String {
    trilane_core::kernel::Level::baseline().to_string()
}
