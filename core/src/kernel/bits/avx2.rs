//! AVX2: four words a register.

use core::arch::x86_64::*;

super::kernels!("avx2");

type V = __m256i;
const WORDS: usize = 4;

#[target_feature(enable = "avx2")]
#[inline]
fn zero() -> V {
    _mm256_setzero_si256()
}

#[target_feature(enable = "avx2")]
#[inline]
fn read(words: &[u64; WORDS]) -> V {
    // SAFETY: four words.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn write(words: &mut [u64; WORDS], v: V) {
    // SAFETY: four words.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), v) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn read_some(words: &[u64]) -> V {
    // SAFETY: the mask holds back what is past the words.
    unsafe { _mm256_maskload_epi64(words.as_ptr().cast(), first_words(words.len())) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn write_some(words: &mut [u64], v: V) {
    // SAFETY: the mask holds back what is past the words.
    unsafe { _mm256_maskstore_epi64(words.as_mut_ptr().cast(), first_words(words.len()), v) }
}

/// All ones in that many words, at most four.
#[target_feature(enable = "avx2")]
#[inline]
fn first_words(n: usize) -> V {
    _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3))
}

#[target_feature(enable = "avx2")]
#[inline]
fn and(a: V, b: V) -> V {
    _mm256_and_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn or(a: V, b: V) -> V {
    _mm256_or_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor(a: V, b: V) -> V {
    _mm256_xor_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn not(a: V) -> V {
    xor(a, _mm256_set1_epi64x(-1))
}

/// Of signs and of the mask of products that are not zero: where the product is 1, and where it is
/// not −1.
#[target_feature(enable = "avx2")]
#[inline]
fn signs(a: V, b: V, nonzero: V) -> [V; 2] {
    let minus = and(nonzero, xor(a, b));
    [xor(nonzero, minus), not(minus)]
}

/// The sum and the carry of each bit.
#[target_feature(enable = "avx2")]
#[inline]
fn full_add(a: V, b: V, c: V) -> (V, V) {
    let sum = xor(a, b);
    (xor(sum, c), or(and(a, b), and(sum, c)))
}

/// Ones of each word, by a table of the ones of half a byte.
#[target_feature(enable = "avx2")]
#[inline]
fn count_ones(v: V) -> V {
    let table =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let half = _mm256_set1_epi8(15);
    let low = _mm256_shuffle_epi8(table, and(v, half));
    let high = _mm256_shuffle_epi8(table, and(_mm256_srli_epi16::<4>(v), half));
    _mm256_sad_epu8(_mm256_add_epi8(low, high), zero())
}

#[target_feature(enable = "avx2")]
#[inline]
fn plus(a: V, b: V) -> V {
    _mm256_add_epi64(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn double(v: V) -> V {
    _mm256_slli_epi64::<1>(v)
}

#[target_feature(enable = "avx2")]
#[inline]
fn total(v: V) -> u64 {
    let pair = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    _mm_extract_epi64::<0>(pair).wrapping_add(_mm_extract_epi64::<1>(pair)) as u64
}

/// Whether every bit is one.
#[target_feature(enable = "avx2")]
#[inline]
fn all_ones(v: V) -> bool {
    _mm256_testc_si256(v, _mm256_set1_epi64x(-1)) != 0
}
