//! The kernels as a trait: whole operations, chosen once, with scalar bodies as the default.

use super::level::Level;
use super::rows::{Rows, Terms};
use super::{ordered, scalar};
use crate::digits::LaneView;
use crate::gguf::TensorType;
use crate::hyper::TritPlanes;
use crate::lane::PrecisionLane;
use crate::quant::{Activations, ActivationsBuf, QuantError};

/// Calls a macro with the signature of every kernel. Shapes are the caller's promise here and are
/// checked by the functions of [`nn`](crate::nn); a broken promise gives wrong numbers or leaves
/// part of the output as it was, never undefined behaviour.
macro_rules! kernels {
    ($with:ident $($arguments:tt)*) => {
        $with! { $($arguments)*
            /// `y[i] = Σ_c w[first + i, c] · x[c]` at the view's lane. Exact up to one conversion
            /// to f32 and one multiplication.
            fn lane_matvec(w: &LaneView<'_>, x: &Activations<'_>, first: usize, y: &mut [f32]);
            /// The integers that `lane_matvec` scales by `row_scale · step`:
            /// `y[i] = Σ_c group_scale · value(code) · multiplier · q`, see
            /// [`PrecisionLane`](crate::lane::PrecisionLane) for the values. Exact.
            fn lane_sums(w: &LaneView<'_>, x: &Activations<'_>, first: usize, y: &mut [i64]);
            /// As `lane_matvec`, of the listed rows: `y[i]` is the product of row `rows[i]`; 0 for a
            /// row past the end, and past the end of the list.
            fn lane_matvec_of(w: &LaneView<'_>, x: &Activations<'_>, rows: &[u32], y: &mut [f32]);
            /// As `lane_sums`, of the listed rows. Exact.
            fn lane_sums_of(w: &LaneView<'_>, x: &Activations<'_>, rows: &[u32], y: &mut [i64]);
            /// The sum of rows of matrices, each times an integer: for the columns from `first` on,
            /// which is a multiple of 64,
            /// `y[c − first] = Σ_parts Σ_t k(t, group of c) · value(code[rows[t], c])`
            /// where `k(t, g) = ⌊q[t] · group_scale[rows[t], g] / 256 + ½⌋`, or `q[t]` for a group
            /// of the whole row. Parts may be views of different matrices, lanes and groups. A row
            /// past the end of its matrix adds nothing, nor does a matrix past its columns.
            /// `Σ |q| · 128` below 2³¹ over all parts is the caller's promise; beyond, the sums are
            /// those modulo 2³². Exact.
            fn combine(parts: &[Terms<'_>], first: usize, y: &mut [i32]);
            /// `Σ a[i] · b[i]` of hypervectors of the same dimension. Exact.
            fn trit_dot(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> i64;
            /// The positions where hypervectors of the same dimension differ. Exact.
            fn trit_distance(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> u64;
            /// The positions that are not zero. Exact.
            fn trit_nonzeros(a: &TritPlanes<'_>) -> u64;
            /// `a · b`, and the positions of each that are not zero, `a · a` and `b · b`: of
            /// hypervectors of the same dimension. Exact.
            fn trit_gram(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> (i64, u64, u64);
            /// Adds `2^first · Σ_v (1 + v[i])` to the counter of each position, for hypervectors of
            /// the same dimension, modulo 2 to the number of planes. Bit `i` of plane `k`, which
            /// has as many words as a vector, weighs `2^k` in counter `i`; counters of the padding
            /// are of no meaning. Exact.
            fn trit_sums(vectors: &[TritPlanes<'_>], first: usize, counters: &mut [u64]);
            /// `y[r] = Σ_c w[r,c] · x[c]`, row-major floats. Ordered.
            fn float_matvec(w: &[f32], x: &[f32], y: &mut [f32]);
            /// As `float_matvec`, for a block type, expanded on the way. Ordered.
            fn block_matvec(kind: TensorType, w: &[u8], x: &[f32], y: &mut [f32]);
            /// `y = x / √(mean(x²) + eps) · gain`; returns mean(x²), which is infinite where it
            /// overflows, and NaN for an empty `x`. Ordered.
            fn rms_norm(x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) -> f32;
            /// `y = (x − mean) / √(variance + eps) · gain + bias`; returns the variance, which is
            /// infinite or NaN where it overflows, and NaN for an empty `x`. Ordered.
            fn layer_norm(x: &[f32], gain: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) -> f32;
            /// `x = softmax(x)`. Ordered.
            fn softmax(x: &mut [f32]);
            /// `gate = silu(gate) · up`. Ordered.
            fn silu_product(gate: &mut [f32], up: &[f32]);
            /// `x = gelu(x)`, tanh form. Ordered.
            fn gelu(x: &mut [f32]);
            /// `x = gelu(x)`, exact form. Ordered.
            fn gelu_erf(x: &mut [f32]);
            /// `x = silu(x)`. Ordered.
            fn silu(x: &mut [f32]);
            /// One attention head over the first `scores.len()` cached tokens, `stride` floats
            /// apart. Ordered.
            fn attend(
                q: &[f32], keys: &[f32], values: &[f32], stride: usize, scale: f32,
                scores: &mut [f32], y: &mut [f32],
            );
            /// Block floating point activations, see [`ActivationsBuf::quantize`]. Ordered.
            fn quantize<'b>(x: &[f32], buf: &'b mut ActivationsBuf<'_>)
                -> Result<Activations<'b>, QuantError>;
        }
    };
}

macro_rules! backend_trait {
    ($($(#[$doc:meta])* fn $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),* $(,)?)
        $(-> $ret:ty)?;)*) => {
        /// The kernels of one instruction set. Every implementation gives the same bits.
        #[allow(clippy::too_many_arguments, reason = "a head of attention has seven parts")]
        pub trait Backend: Copy + Send + Sync {
            /// Whether products at that lane are compiled in; a model that needs another is refused
            /// when it is loaded.
            #[inline]
            fn computes(self, lane: PrecisionLane) -> bool {
                let _ = lane;
                true
            }
            $($(#[$doc])*
            #[inline]
            #[allow(clippy::missing_errors_doc, reason = "stated where the doc points to")]
            fn $name $(<$life>)? (self, $($arg: $type),*) $(-> $ret)? {
                portable::$name($($arg),*)
            })*
        }
    };
}
kernels!(backend_trait);

/// The products with consecutive and with listed rows, all by one function `matvec`.
macro_rules! products {
    ($(#[$features:meta])?) => {
        $(#[$features])?
        pub(super) fn lane_matvec(
            w: &LaneView<'_>,
            x: &Activations<'_>,
            first: usize,
            y: &mut [f32],
        ) {
            matvec(w, x, Rows::From(first), y);
        }

        $(#[$features])?
        pub(super) fn lane_sums(
            w: &LaneView<'_>,
            x: &Activations<'_>,
            first: usize,
            y: &mut [i64],
        ) {
            matvec(w, x, Rows::From(first), y);
        }

        $(#[$features])?
        pub(super) fn lane_matvec_of(
            w: &LaneView<'_>,
            x: &Activations<'_>,
            rows: &[u32],
            y: &mut [f32],
        ) {
            matvec(w, x, Rows::Listed(rows), y);
        }

        $(#[$features])?
        pub(super) fn lane_sums_of(
            w: &LaneView<'_>,
            x: &Activations<'_>,
            rows: &[u32],
            y: &mut [i64],
        ) {
            matvec(w, x, Rows::Listed(rows), y);
        }
    };
}

/// The specification under the names of the trait.
mod portable {
    use super::scalar::matvec;
    use super::*;
    pub(super) use super::{ordered::*, scalar::combine};
    pub(super) use crate::kernel::bits::scalar::*;

    products!();
}

/// The portable backend: every kernel is its specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scalar;

impl Backend for Scalar {}

/// Table lookup, for processors without vector instructions; 15 KiB of stack.
///
/// `TIERS` are the tiers of nested tensors that are compiled in: `Lut<1>` computes ternary and
/// Bit3, and is small; `Lut` computes every lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lut<const TIERS: usize = 3>;

impl<const TIERS: usize> Backend for Lut<TIERS> {
    fn computes(self, lane: PrecisionLane) -> bool {
        lane.tiers().is_none_or(|tiers| tiers <= TIERS)
    }

    fn lane_matvec(self, w: &LaneView<'_>, x: &Activations<'_>, first: usize, y: &mut [f32]) {
        super::lut::matvec::<_, _, TIERS>(w, x, first, y);
    }

    fn lane_sums(self, w: &LaneView<'_>, x: &Activations<'_>, first: usize, y: &mut [i64]) {
        super::lut::matvec::<_, _, TIERS>(w, x, first, y);
    }

    fn lane_matvec_of(self, w: &LaneView<'_>, x: &Activations<'_>, rows: &[u32], y: &mut [f32]) {
        super::lut::matvec::<_, _, TIERS>(w, x, rows, y);
    }

    fn lane_sums_of(self, w: &LaneView<'_>, x: &Activations<'_>, rows: &[u32], y: &mut [i64]) {
        super::lut::matvec::<_, _, TIERS>(w, x, rows, y);
    }
}

/// Compiles every kernel for a set of target features, in a module of its own. The kernels of digit
/// planes are written by hand; the float kernels are the ordered bodies.
#[allow(unused_macros, reason = "not every architecture has vector kernels")]
macro_rules! compiled_for {
    ($module:ident, $bits:ident, $features:literal;
        $(#[$d:meta])* fn lane_matvec($($a:ident: $t:ty),* $(,)?);
        $(#[$e:meta])* fn lane_sums($($b:ident: $u:ty),* $(,)?);
        $(#[$f:meta])* fn lane_matvec_of($($c:ident: $v:ty),* $(,)?);
        $(#[$g:meta])* fn lane_sums_of($($h:ident: $w:ty),* $(,)?);
        $(#[$i:meta])* fn combine($($j:ident: $z:ty),* $(,)?);
        $(#[$k:meta])* fn trit_dot($($l:ident: $o:ty),* $(,)?) -> i64;
        $(#[$m:meta])* fn trit_distance($($n:ident: $p:ty),* $(,)?) -> u64;
        $(#[$q:meta])* fn trit_nonzeros($($r:ident: $s:ty),* $(,)?) -> u64;
        $(#[$ad:meta])* fn trit_gram($($ae:ident: $af:ty),* $(,)?) -> (i64, u64, u64);
        $(#[$aa:meta])* fn trit_sums($($ab:ident: $ac:ty),* $(,)?);
        $($(#[$doc:meta])* fn $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),* $(,)?)
        $(-> $ret:ty)?;)*) => {
        #[allow(clippy::too_many_arguments, reason = "a head of attention has seven parts")]
        mod $module {
            use super::*;
            pub(super) use crate::kernel::bits::$bits::*;
            pub(super) use crate::kernel::$module::combine;
            use crate::kernel::$module::matvec;

            products!(#[target_feature(enable = $features)]);


            $(#[target_feature(enable = $features)]
            pub(super) fn $name $(<$life>)? ($($arg: $type),*) $(-> $ret)? {
                ordered::$name($($arg),*)
            })*
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(compiled_for avx2, avx2, "avx2";);
#[cfg(target_arch = "x86_64")]
kernels!(compiled_for avx512vnni, avx512, "avx512f,avx512bw,avx512vl,avx512vnni";);
#[cfg(target_arch = "x86_64")]
kernels!(compiled_for avx512, avx512, "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni";);
#[cfg(target_arch = "aarch64")]
kernels!(compiled_for neon, neon, "neon";);
#[cfg(target_arch = "aarch64")]
kernels!(compiled_for neondot, neon, "neon,dotprod";);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
kernels!(compiled_for simd128, simd128, "simd128";);

macro_rules! level_backend {
    ($($(#[$doc:meta])* fn $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),* $(,)?)
        $(-> $ret:ty)?;)*) => {
        // SAFETY of every arm: a `Level` exists only for an instruction set that the processor has.
        #[allow(unsafe_code, reason = "the level is the proof that the processor can")]
        #[allow(clippy::undocumented_unsafe_blocks, reason = "one argument for all, above")]
        impl Backend for Level {
            $(#[inline]
            fn $name $(<$life>)? (self, $($arg: $type),*) $(-> $ret)? {
                match self.isa() {
                    #[cfg(target_arch = "x86_64")]
                    super::Isa::Avx2 => unsafe { avx2::$name($($arg),*) },
                    #[cfg(target_arch = "x86_64")]
                    super::Isa::Avx512Vnni => unsafe { avx512vnni::$name($($arg),*) },
                    #[cfg(target_arch = "x86_64")]
                    super::Isa::Avx512 => unsafe { avx512::$name($($arg),*) },
                    #[cfg(target_arch = "aarch64")]
                    super::Isa::Neon => unsafe { neon::$name($($arg),*) },
                    #[cfg(target_arch = "aarch64")]
                    super::Isa::NeonDot => unsafe { neondot::$name($($arg),*) },
                    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                    super::Isa::Simd128 => simd128::$name($($arg),*),
                    super::Isa::Lut => Lut::<3>.$name($($arg),*),
                    _ => portable::$name($($arg),*),
                }
            })*
        }
    };
}
kernels!(level_backend);

/// The level that the build guarantees ([`Level::baseline`]), chosen when it is compiled: no other
/// kernel comes into the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Baseline;

macro_rules! baseline_backend {
    ($($(#[$doc:meta])* fn $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),* $(,)?)
        $(-> $ret:ty)?;)*) => {
        impl Backend for Baseline {
            // Not inlined: other crates may be compiled for size.
            $(#[inline(never)]
            fn $name $(<$life>)? (self, $($arg: $type),*) $(-> $ret)? {
                Level::baseline().$name($($arg),*)
            })*
        }
    };
}
kernels!(baseline_backend);
