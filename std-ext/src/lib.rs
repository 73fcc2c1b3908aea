//! What trilane needs an operating system for: the processor's level, threads, mapped files, the
//! GGUF writer, conversion, texts as tokens, and the memory of decoders.

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
