//! What trilane needs an operating system for: the processor's level, threads, mapped files, the
//! GGUF writer and conversion.

pub mod convert;
pub mod eval;
pub mod gguf_writer;
pub mod level;
pub mod mapped;
mod rows;
#[cfg(feature = "parallel")]
pub mod threads;
