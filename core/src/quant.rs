//! Quantisers.
