//! Gradients as short messages: plain slices, models of several tensors, and the workers that
//! send them.

mod model;
mod slices;
mod workers;

pub use model::{ModelCodec, TensorCodec};
pub use slices::{CompressedGradient, GradientCompressor};
pub use workers::Workers;
