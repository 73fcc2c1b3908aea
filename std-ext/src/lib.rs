//! What trilane needs an operating system for: the processor's level, threads, mapped files, the
//! GGUF writer, conversion, texts as tokens, the memory of decoders, and measuring models.

pub mod classify;
pub mod convert;
pub mod eval;
pub mod gguf_writer;
pub mod level;
pub mod mapped;
pub mod memory;
mod rows;
pub mod text;
#[cfg(feature = "parallel")]
pub mod threads;
