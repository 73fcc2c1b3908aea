//! trilane: low-bit neural networks with the same bits everywhere.
//!
//! This crate re-exports by feature and has no logic of its own: [`core`] is the `no_std`,
//! allocation-free engine, `std` (feature `std`, on by default) what needs an operating system:
//! CPU detection, mapped files, conversion, texts, and threads with the feature `parallel`; `cuda`
//! (feature `cuda`) computes on NVIDIA GPUs.
#![no_std]
pub use trilane_core as core;
#[cfg(feature = "cuda")]
pub use trilane_cuda as cuda;
#[cfg(feature = "std")]
pub use trilane_std as std;

/// The examples of the README are tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
