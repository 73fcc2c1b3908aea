//! WebAssembly 128-bit SIMD: two words a register.

use core::arch::wasm32::*;

super::kernels!("simd128");

type V = v128;
const WORDS: usize = 2;

#[target_feature(enable = "simd128")]
#[inline]
fn zero() -> V {
    u64x2_splat(0)
}

#[target_feature(enable = "simd128")]
#[inline]
fn read(words: &[u64; WORDS]) -> V {
    // SAFETY: two words.
    unsafe { v128_load(words.as_ptr().cast()) }
}

#[target_feature(enable = "simd128")]
#[inline]
fn write(words: &mut [u64; WORDS], v: V) {
    // SAFETY: two words.
    unsafe { v128_store(words.as_mut_ptr().cast(), v) }
}

#[target_feature(enable = "simd128")]
#[inline]
fn read_some(words: &[u64]) -> V {
    words.first().map_or(zero(), |&word| u64x2(word, 0))
}

#[target_feature(enable = "simd128")]
#[inline]
fn write_some(words: &mut [u64], v: V) {
    if let Some(word) = words.first_mut() {
        *word = u64x2_extract_lane::<0>(v);
    }
}

#[target_feature(enable = "simd128")]
#[inline]
fn and(a: V, b: V) -> V {
    v128_and(a, b)
}

#[target_feature(enable = "simd128")]
#[inline]
fn or(a: V, b: V) -> V {
    v128_or(a, b)
}

#[target_feature(enable = "simd128")]
#[inline]
fn xor(a: V, b: V) -> V {
    v128_xor(a, b)
}

#[target_feature(enable = "simd128")]
#[inline]
fn not(a: V) -> V {
    v128_not(a)
}

/// Of signs and of the mask of products that are not zero: where the product is 1, and where it is
/// not −1.
#[target_feature(enable = "simd128")]
#[inline]
fn signs(a: V, b: V, nonzero: V) -> [V; 2] {
    let minus = and(nonzero, xor(a, b));
    [xor(nonzero, minus), not(minus)]
}

/// The sum and the carry of each bit.
#[target_feature(enable = "simd128")]
#[inline]
fn full_add(a: V, b: V, c: V) -> (V, V) {
    let sum = xor(a, b);
    (xor(sum, c), v128_bitselect(c, a, sum))
}

/// Ones of each word.
#[target_feature(enable = "simd128")]
#[inline]
fn count_ones(v: V) -> V {
    let quarters = u32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(i8x16_popcnt(v)));
    and(plus(quarters, u64x2_shr(quarters, 32)), u64x2_splat(u32::MAX.into()))
}

#[target_feature(enable = "simd128")]
#[inline]
fn plus(a: V, b: V) -> V {
    u64x2_add(a, b)
}

#[target_feature(enable = "simd128")]
#[inline]
fn double(v: V) -> V {
    u64x2_shl(v, 1)
}

#[target_feature(enable = "simd128")]
#[inline]
fn total(v: V) -> u64 {
    u64x2_extract_lane::<0>(v) + u64x2_extract_lane::<1>(v)
}

/// Whether every bit is one.
#[target_feature(enable = "simd128")]
#[inline]
fn all_ones(v: V) -> bool {
    !v128_any_true(v128_not(v))
}
