//! What trilane needs an operating system for: the processor's level, threads, mapped files, the
//! GGUF writer, conversion, embeddings, texts as tokens and texts that go on, the memory of decoders,
//! hypervectors, layers that compute only the neurons that matter, models larger than memory, and
//! measuring models.

#[cfg(feature = "sparse")]
pub mod calibrate;
pub mod classify;
pub mod compress;
pub mod convert;
pub mod device;
#[cfg(feature = "mapped")]
pub mod embedding;
pub mod eval;
pub mod generation;
pub mod gguf_writer;
pub mod hyper;
pub mod layer_errors;
pub mod level;
#[cfg(feature = "mapped")]
pub mod mapped;
pub mod memory;
#[cfg(feature = "stored")]
pub mod neuron_cache;
pub mod packed_matrix;
mod rows;
#[cfg(feature = "sparse")]
pub mod sparse;
#[cfg(feature = "stored")]
pub mod stored_model;
pub mod strip;
pub mod text;
#[cfg(feature = "parallel")]
pub mod threads;
#[cfg(feature = "candle")]
pub mod train;
