//! Finding out what the processor has, once.

use std::sync::OnceLock;
use trilane_core::kernel::{Isa, Level};

/// Whether the processor and the operating system support an instruction set.
///
/// A set of another architecture is never supported.
pub fn is_supported(isa: Isa) -> bool {
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
            is_supported(Isa::Avx512Vnni)
                && is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("gfni")
        }
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
        _ => Level::baseline().isa() == isa,
    }
}

/// The level of an instruction set, if it is supported here.
pub fn level(isa: Isa) -> Option<Level> {
    #[allow(unsafe_code, reason = "detection is what the level has to rest on")]
    is_supported(isa).then(|| {
        // SAFETY: the instruction set was detected on this processor just now.
        unsafe { Level::assume(isa) }
    })
}

/// Every level supported here, the scalar one first, the best last.
pub fn levels() -> impl Iterator<Item = Level> {
    Isa::ALL.into_iter().filter_map(level)
}

/// The best level supported here; asked of the processor once.
pub fn detect() -> Level {
    static BEST: OnceLock<Level> = OnceLock::new();
    *BEST.get_or_init(|| levels().last().unwrap_or(Level::LUT))
}
