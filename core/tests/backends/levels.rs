//! Which instruction sets this machine has.

use trilane_core::kernel::{Isa, Level};

/// Names of the instruction sets that must not be skipped, separated by commas.
const REQUIRE: &str = "TRILANE_REQUIRE";

/// Whether the processor and the build can run the kernels of an instruction set.
fn has(isa: Isa) -> bool {
    match isa {
        Isa::Scalar | Isa::Lut => true,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => is_x86_feature_detected!("avx2"),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            has(Isa::Avx512Vnni)
                && is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("gfni")
        }
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
        Isa::Simd128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
        _ => false,
    }
}

/// Whether a missing instruction set is a failure rather than a skip.
fn is_required(isa: Isa) -> bool {
    let names = std::env::var(REQUIRE).unwrap_or_default();
    names.split(',').filter(|name| !name.is_empty()).fold(false, |found, name| {
        let named = Isa::from_name(name.trim());
        found | (named.unwrap_or_else(|| panic!("{REQUIRE}: no instruction set {name:?}")) == isa)
    })
}

/// The level of an instruction set, or `None` after saying that it is skipped.
pub(crate) fn level(isa: Isa) -> Option<Level> {
    if has(isa) {
        // SAFETY: `has` asked the processor for every target feature that the kernels of this
        // instruction set are compiled with, and knows only those of this target's architecture.
        #[allow(unsafe_code, reason = "the one place where tests make levels")]
        return Some(unsafe { Level::assume(isa) });
    }
    assert!(!is_required(isa), "{REQUIRE} names {isa}, which this machine lacks");
    eprintln!("skipped: this machine lacks {isa}");
    None
}
