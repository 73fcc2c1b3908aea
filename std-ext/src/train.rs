//! What trains models with candle: a small decoder with fused operations and gradients written out, and
//! layers that are trained as they will be stored.
//!
//! | module | what it holds |
//! |---|---|
//! | [`decoder`] | the llama architecture: its sizes, parameters, and losses of a batch |
//! | [`attention`] | causal grouped-query attention with rotary positions, one operation |
//! | [`ops`] | RMS norm, gated activations, cross entropy for each row |
//! | [`TrainConfig`], [`Trainer`] | a decoder in training: what `trilane train` runs |
//! | [`DeterministicPhaseTrainer`], [`VSAAccelerator`] | steps without a backward pass, for a loop of your own |
//! | [`VSAGradientCompressor`], [`TernaryGradientAccumulator`] | gradients of tensors, compressed and accumulated |
//! | [`BitLinear`], [`fake_quantize`] | quantisation in the forward pass, straight-through gradients |
//! | [`random`] | random numbers by counter |
//!
//! Measured, not Ordered: matrix products come from candle's CPU backend, which chooses its kernels
//! by the instruction set. With one build on one kind of CPU results are the same to the last bit.

mod accelerator;
mod accumulator;
pub mod attention;
mod bit_linear;
mod checkpoint;
mod compressor;
mod config;
mod corpus;
pub mod decoder;
mod error;
mod fake_quantize;
mod gradient;
mod model_file;
pub mod ops;
mod optimizer;
mod phase_trainer;
pub mod random;
mod record;
mod selector;
mod tensors;
mod trainer;
mod vocabulary;

pub use accelerator::{VSAAccelerator, VSAAcceleratorConfig, VSAStats};
pub use accumulator::TernaryGradientAccumulator;
pub use bit_linear::{BitLinear, BitNetConfig};
pub use compressor::{CompressedGradients, CompressionStats, VSAGradientCompressor};
pub use config::{
    CodecName, CompressionConfig, DatasetConfig, ModelConfig, PredictionConfig, QuantizationConfig,
    SparsityTarget, Target, TrainConfig, WindowSelectionConfig,
};
pub use error::TrainError;
pub use fake_quantize::{fake_quantize, fake_quantize_activations};
pub use phase_trainer::DeterministicPhaseTrainer;
pub use record::{LaneLoss, Passes, Record, StepReport};
pub use tensors::{Gradients, ParameterShapes};
pub use trainer::Trainer;
