//! Benchmarks of trilane beside its published peers, measured against the machine's own limits.
//!
//! `cargo bench` in this folder runs them. Every contender answers the same [`Ternary`] problem,
//! its answer is checked before it is timed, and everything runs on one thread. Nothing is compiled
//! for the machine at hand: a library that has vector code must find it out at run time, as it must
//! for its users.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )
)]

pub mod contenders;
pub mod ffn;
pub mod machine;
pub mod ours;
pub mod peers;
mod problem;
mod table;

pub use problem::{Matvec, Ternary, checked};
pub use table::Table;

/// Whatever went wrong in a contender: the peers each have an error type of their own.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
