//! The `no_std`, allocation-free heart of trilane.
#![no_std]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )
)]

#[cfg(test)]
extern crate std;

pub mod digits;
pub mod error;
pub mod gguf;
pub mod kernel;
pub mod lane;
pub mod math;
pub mod model;
pub mod nn;
pub mod quant;
