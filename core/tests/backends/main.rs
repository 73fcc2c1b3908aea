//! One suite for every backend: each property is expanded for each instruction set and compares
//! with [`Scalar`](trilane_core::kernel::Scalar), the specification, bit for bit.
//!
//! An instruction set that the machine lacks is skipped, which standard error says. The environment
//! variable `TRILANE_REQUIRE=avx2,avx512` turns those skips into failures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use trilane_core::kernel::{Isa, Level};

/// A test of every property for every instruction set, each set a module of its own.
macro_rules! every_backend {
    ($($property:ident),+ $(,)?) => {
        every_backend!(scalar Scalar: $($property)+);
        every_backend!(lut Lut: $($property)+);
        every_backend!(avx2 Avx2: $($property)+);
        every_backend!(avx512vnni Avx512Vnni: $($property)+);
        every_backend!(avx512 Avx512: $($property)+);
        every_backend!(neon Neon: $($property)+);
        every_backend!(neondot NeonDot: $($property)+);
        every_backend!(simd128 Simd128: $($property)+);
    };
    ($module:ident $isa:ident: $($property:ident)+) => {
        mod $module {
            $(#[test]
            fn $property() {
                crate::run(trilane_core::kernel::Isa::$isa, super::$property);
            })+
        }
    };
}

mod attend;
mod combine;
mod extremes;
mod floats;
mod gather;
mod lanes;
mod levels;
mod planes;
mod quantize;
mod random;
mod sparse;
mod trits;

/// Checks a property on one instruction set, or skips it.
fn run(isa: Isa, property: fn(Level)) {
    if let Some(level) = levels::level(isa) {
        assert_eq!(level.isa(), isa);
        property(level);
    }
}

/// The bits of floats, every NaN as the same one: its sign and payload are not defined.
fn bits(values: &[f32]) -> Vec<u32> {
    let canonical = |v: &f32| if v.is_nan() { 0x7FC0_0000 } else { v.to_bits() };
    values.iter().map(canonical).collect()
}

/// Lengths on both sides of every boundary that a kernel has.
fn lengths() -> impl Iterator<Item = usize> {
    (1..=2 * 64 + 3).chain([191, 192, 193, 255, 256, 257, 319, 320, 321, 511, 512, 513, 1000])
}

#[test]
fn the_level_that_the_build_guarantees_is_one_that_the_machine_has() {
    let baseline = Level::baseline();
    assert_eq!(levels::level(baseline.isa()), Some(baseline));
    assert!(cfg!(not(target_arch = "aarch64")) || baseline != Level::SCALAR);
}
