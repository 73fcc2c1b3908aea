//! Training on the device: [`trilane_core::train`], with its bits. Ordered.
//!
//! | type | of the host |
//! |---|---|
//! | [`TernaryGradientAccumulator`] | [`trilane_core::train::TernaryGradientAccumulator`] |
//! | [`feed`] | [`trilane_core::train::compress::feed`] |
//! | [`LinearSketch`] | [`trilane_core::train::compress::LinearSketch`] |
//! | [`TwoPhase`] | [`trilane_core::train::compress::TwoPhase`] |
//! | [`DeterministicPredictor`] | [`trilane_core::train::predict::DeterministicPredictor`] |
//!
//! Values that an operation refuses, such as gradients that are not finite, change nothing. To know,
//! the operation reads them once more and waits for the queue, so that it cannot be recorded in a
//! graph.

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

mod accumulate;
mod check;
mod compress;
mod predict;

pub use accumulate::TernaryGradientAccumulator;
pub use check::Check;
pub use compress::{LinearSketch, TwoPhase, feed};
pub use predict::DeterministicPredictor;
