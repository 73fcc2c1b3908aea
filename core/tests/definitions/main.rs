//! Layout, quantisers and network blocks against their definitions, computed the plainest way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod attention;
mod blocks;
mod cache;
mod layout;
mod linear;
mod matrix;
mod nested;
mod norms;
#[path = "../backends/planes.rs"]
mod planes;
mod pools;
mod product;
#[path = "../backends/random.rs"]
mod random;
mod spread;
mod ternary;

/// Half a unit in the last place of 1: the relative error of one rounding to f32.
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;
