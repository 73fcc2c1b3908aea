//! aarch64 Advanced SIMD: two words a register.

use core::arch::aarch64::*;

super::kernels!("neon");

type V = uint64x2_t;
const WORDS: usize = 2;

#[target_feature(enable = "neon")]
#[inline]
fn zero() -> V {
    vdupq_n_u64(0)
}

#[target_feature(enable = "neon")]
#[inline]
fn read(words: &[u64; WORDS]) -> V {
    // SAFETY: two words.
    unsafe { vld1q_u64(words.as_ptr()) }
}

#[target_feature(enable = "neon")]
#[inline]
fn write(words: &mut [u64; WORDS], v: V) {
    // SAFETY: two words.
    unsafe { vst1q_u64(words.as_mut_ptr(), v) }
}

#[target_feature(enable = "neon")]
#[inline]
fn read_some(words: &[u64]) -> V {
    words.first().map_or(zero(), |&word| vsetq_lane_u64::<0>(word, zero()))
}

#[target_feature(enable = "neon")]
#[inline]
fn write_some(words: &mut [u64], v: V) {
    if let Some(word) = words.first_mut() {
        *word = vgetq_lane_u64::<0>(v);
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn and(a: V, b: V) -> V {
    vandq_u64(a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn or(a: V, b: V) -> V {
    vorrq_u64(a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn xor(a: V, b: V) -> V {
    veorq_u64(a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn not(a: V) -> V {
    xor(a, vdupq_n_u64(u64::MAX))
}

/// Of signs and of the mask of products that are not zero: where the product is 1, and where it is
/// not −1.
#[target_feature(enable = "neon")]
#[inline]
fn signs(a: V, b: V, nonzero: V) -> [V; 2] {
    let minus = and(nonzero, xor(a, b));
    [xor(nonzero, minus), not(minus)]
}

/// The sum and the carry of each bit.
#[target_feature(enable = "neon")]
#[inline]
fn full_add(a: V, b: V, c: V) -> (V, V) {
    let sum = xor(a, b);
    (xor(sum, c), vbslq_u64(sum, c, a))
}

/// Ones of each word.
#[target_feature(enable = "neon")]
#[inline]
fn count_ones(v: V) -> V {
    let bytes = vcntq_u8(vreinterpretq_u8_u64(v));
    vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(bytes)))
}

#[target_feature(enable = "neon")]
#[inline]
fn plus(a: V, b: V) -> V {
    vaddq_u64(a, b)
}

#[target_feature(enable = "neon")]
#[inline]
fn double(v: V) -> V {
    vshlq_n_u64::<1>(v)
}

#[target_feature(enable = "neon")]
#[inline]
fn total(v: V) -> u64 {
    vaddvq_u64(v)
}

/// Whether every bit is one.
#[target_feature(enable = "neon")]
#[inline]
fn all_ones(v: V) -> bool {
    vminvq_u32(vreinterpretq_u32_u64(v)) == u32::MAX
}
