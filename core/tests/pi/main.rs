//! Every property that `docs/pi.md` states, measured: each test prints its figures (`--nocapture`)
//! and asserts them.
//!
//! `TRILANE_FULL=1` adds what takes minutes (use `--release`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod angular;
mod calibration;
mod chaos;
mod digits;
mod dither;
mod drift;
mod random;
mod weyl;

/// Whether the run is exhaustive.
fn full() -> bool {
    std::env::var_os("TRILANE_FULL").is_some_and(|v| v == "1")
}
