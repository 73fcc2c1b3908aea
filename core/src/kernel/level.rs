//! Instruction sets and the proof that the processor has one.

use core::fmt;

/// An instruction set that kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Portable Rust: the specification.
    Scalar,
    /// Portable Rust: table lookup.
    Lut,
    /// x86-64 AVX2.
    Avx2,
    /// x86-64 AVX-512 F, BW, VL with VNNI (Cascade Lake).
    Avx512Vnni,
    /// x86-64 AVX-512 F, BW, VL with VBMI, VNNI and GFNI (Ice Lake, Zen 4 and later).
    Avx512,
    /// aarch64 Advanced SIMD.
    Neon,
    /// aarch64 Advanced SIMD with the dot product instructions (Armv8.4, optional from 8.2).
    NeonDot,
    /// WebAssembly 128-bit SIMD.
    Simd128,
}

impl Isa {
    /// Every instruction set, of all platforms.
    pub const ALL: [Self; 8] = [
        Self::Scalar,
        Self::Lut,
        Self::Avx2,
        Self::Avx512Vnni,
        Self::Avx512,
        Self::Neon,
        Self::NeonDot,
        Self::Simd128,
    ];

    /// The name used on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Lut => "lut",
            Self::Avx2 => "avx2",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
            Self::NeonDot => "neondot",
            Self::Simd128 => "simd128",
        }
    }

    /// The instruction set of that [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|isa| isa.name() == name)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An instruction set that the processor is known to have. Made once, passed down, one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level(Isa);

impl Level {
    /// The portable level.
    pub const SCALAR: Self = Self(Isa::Scalar);
    /// The fastest level that every processor has.
    pub const LUT: Self = Self(Isa::Lut);

    /// The best level that the build itself guarantees: what the target or `-C target-feature`
    /// promises, without asking the processor.
    pub const fn baseline() -> Self {
        if cfg!(all(
            target_arch = "x86_64",
            target_feature = "avx512f",
            target_feature = "avx512bw",
            target_feature = "avx512vl",
            target_feature = "avx512vbmi",
            target_feature = "avx512vnni",
            target_feature = "gfni"
        )) {
            Self(Isa::Avx512)
        } else if cfg!(all(
            target_arch = "x86_64",
            target_feature = "avx512f",
            target_feature = "avx512bw",
            target_feature = "avx512vl",
            target_feature = "avx512vnni"
        )) {
            Self(Isa::Avx512Vnni)
        } else if cfg!(all(target_arch = "x86_64", target_feature = "avx2")) {
            Self(Isa::Avx2)
        } else if cfg!(all(target_arch = "aarch64", target_feature = "dotprod")) {
            Self(Isa::NeonDot)
        } else if cfg!(all(target_arch = "aarch64", target_feature = "neon")) {
            Self(Isa::Neon)
        } else if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) {
            Self(Isa::Simd128)
        } else {
            Self::LUT
        }
    }

    /// The level of an instruction set that the caller has found on the processor.
    ///
    /// # Safety
    /// The processor and the operating system support the instruction set, which belongs to this
    /// target's architecture.
    #[allow(unsafe_code, reason = "the caller's promise is what every kernel call rests on")]
    pub const unsafe fn assume(isa: Isa) -> Self {
        Self(isa)
    }

    /// The instruction set.
    pub const fn isa(self) -> Isa {
        self.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
