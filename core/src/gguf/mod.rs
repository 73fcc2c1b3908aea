//! GGUF, read in place.
