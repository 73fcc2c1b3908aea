//! What trilane needs an operating system for.

pub mod gguf_writer;
