//! Gradients as short messages: plain slices, and models of several tensors.

mod model;
mod slices;

pub use model::{ModelCodec, TensorCodec};
pub use slices::{CompressedGradient, GradientCompressor};
