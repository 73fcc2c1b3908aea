//! The `no_std`, allocation-free heart of trilane: low-bit neural networks with the same bits
//! everywhere.
//!
//! | module | what it holds |
//! |---|---|
//! | [`digits`] | matrices stored digit by digit: ternary, and nested Bit3/Bit5/Bit7 |
//! | [`lane`] | precision lanes and the nested quantiser |
//! | [`quant`] | int8 activations with an exponent for each unit, ternary weights, requantised sums |
//! | [`kernel`] | the kernels: a scalar specification and one file for each instruction set |
//! | [`math`] | elementary functions and reductions with a defined order of operations |
//! | [`nn`] | linear layers, norms, rotary positions, attention with a cache, short convolutions, gated blocks |
//! | [`gguf`] | GGUF files, read in place |
//! | [`model`] | the decoder of llama and LFM2, the perceptron, tokenizer, sampler and digests |
//! | [`trit`] | balanced ternary: trits, words of them, integers of any width |
//! | [`hyper`] | hypervectors on two bit planes: bind, bundle, permute, search, encoders |
//! | [`train`] | predicted gradients, selected samples, compression, accumulation, loss scaling, bfloat16 |
//! | [`pi`] | calibration, dither, drift, angles and schedules from π, each with its figure |
//!
//! **Memory** is the caller's: types borrow, and say how much scratch they need in a `const fn` or
//! from a file's header. **Numerics**: every public function is *Exact* (integers), *Ordered* (IEEE
//! f32 whose order of operations is its definition, never fused) or *Measured* (a stated error
//! bound), and its documentation says which; the inference path is Exact or Ordered, so every
//! backend and every number of threads gives the same bits. **Errors** are small `Copy` enums with
//! numbers; nothing on a public path panics on bad input.
//!
//! Little-endian targets; floats must be computed in IEEE binary32 without flushing denormals.
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
pub mod hyper;
pub mod kernel;
pub mod lane;
pub mod math;
pub mod model;
pub mod nn;
pub mod pi;
pub mod quant;
pub mod train;
pub mod trit;
