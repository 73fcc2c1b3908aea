//! Kernels: one scalar specification, one file per instruction set.
//!
//! A [`Backend`] is a set of whole operations; [`Scalar`] is the specification and [`Level`]
//! chooses by what the processor has. Every backend gives the same bits. [`Pool`] is how rows are
//! spread over threads without the core knowing any.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads take pointers")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads take pointers")]
mod avx512;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads take pointers")]
mod avx512vnni;
mod backend;
mod bits;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
#[allow(unsafe_code, reason = "a prefetch takes a pointer")]
mod block;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
mod combine;
mod level;
mod lut;
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "vector loads take pointers")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neondot;
mod ordered;
mod pool;
mod rows;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[allow(unsafe_code, reason = "vector loads take pointers")]
mod simd128;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads take pointers")]
mod vnni;

pub use backend::{Backend, Baseline, Lut, Scalar};
pub use level::{Isa, Level};
pub(crate) use pool::spread_sums;
pub use pool::{Pool, Serial};
pub use rows::Terms;
