//! AVX-512 F and BW: eight words a register, and any function of three bits in one instruction.

use core::arch::x86_64::*;

super::kernels!("avx512f,avx512bw,avx512vl");

type V = __m512i;
const WORDS: usize = 8;

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn zero() -> V {
    _mm512_setzero_si512()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn read(words: &[u64; WORDS]) -> V {
    // SAFETY: eight words.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn write(words: &mut [u64; WORDS], v: V) {
    // SAFETY: eight words.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), v) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn read_some(words: &[u64]) -> V {
    // SAFETY: the mask holds back what is past the words.
    unsafe { _mm512_maskz_loadu_epi64(first_words(words.len()), words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn write_some(words: &mut [u64], v: V) {
    // SAFETY: the mask holds back what is past the words.
    unsafe { _mm512_mask_storeu_epi64(words.as_mut_ptr().cast(), first_words(words.len()), v) }
}

/// The mask of that many words.
const fn first_words(n: usize) -> u8 {
    if n < WORDS { (1 << n) - 1 } else { u8::MAX }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn and(a: V, b: V) -> V {
    _mm512_and_si512(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn or(a: V, b: V) -> V {
    _mm512_or_si512(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn xor(a: V, b: V) -> V {
    _mm512_xor_si512(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn not(a: V) -> V {
    xor(a, _mm512_set1_epi64(-1))
}

/// Of signs and of the mask of products that are not zero: where the product is 1, and where it is
/// not −1.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn signs(a: V, b: V, nonzero: V) -> [V; 2] {
    let plus = _mm512_ternarylogic_epi64::<0x90>(nonzero, a, b);
    // From the first, so that each may overwrite what it came from.
    [plus, _mm512_ternarylogic_epi64::<0xCF>(nonzero, plus, plus)]
}

/// The sum and the carry of each bit.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn full_add(a: V, b: V, c: V) -> (V, V) {
    let sum = _mm512_ternarylogic_epi64::<0x96>(a, b, c);
    // From the sum, so that each may overwrite what it came from.
    (sum, _mm512_ternarylogic_epi64::<0xD4>(b, c, sum))
}

/// Ones of each word, by a table of the ones of half a byte.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn count_ones(v: V) -> V {
    let table =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let half = _mm512_set1_epi8(15);
    let low = _mm512_shuffle_epi8(table, and(v, half));
    let high = _mm512_shuffle_epi8(table, and(_mm512_srli_epi16::<4>(v), half));
    _mm512_sad_epu8(_mm512_add_epi8(low, high), zero())
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn plus(a: V, b: V) -> V {
    _mm512_add_epi64(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn double(v: V) -> V {
    _mm512_slli_epi64::<1>(v)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn total(v: V) -> u64 {
    _mm512_reduce_add_epi64(v) as u64
}

/// Whether every bit is one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn all_ones(v: V) -> bool {
    _mm512_cmpeq_epi64_mask(v, _mm512_set1_epi64(-1)) == u8::MAX
}
