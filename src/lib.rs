//! trilane: low-bit neural networks with the same bits everywhere.
#![no_std]
pub use trilane_core as core;
#[cfg(feature = "std")]
pub use trilane_std as std;
