//! What trains models with candle: a small decoder with fused operations and gradients written out.
//!
//! | module | what it holds |
//! |---|---|
//! | [`decoder`] | the llama architecture: its sizes, parameters, and losses of a batch |
//! | [`attention`] | causal grouped-query attention with rotary positions, one operation |
//! | [`ops`] | RMS norm, gated activations, cross entropy for each row |
//! | [`random`] | random numbers by counter |
//!
//! Measured, not Ordered: matrix products come from candle's CPU backend, which chooses its kernels
//! by the instruction set. With one build on one kind of CPU results are the same to the last bit.

pub mod attention;
pub mod decoder;
pub mod ops;
pub mod random;
