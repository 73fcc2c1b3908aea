//! The read loops and dot product loops of x86-64.

use super::{Dot, Line, Reader};
use core::arch::x86_64::*;
use std::is_x86_feature_detected;

/// The activation that every code is multiplied with.
const X: i8 = 3;

/// The widest read loop, if there is one beyond the portable.
pub(super) fn reader() -> Option<Reader> {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512F, checked just above.
        return Some(("512-bit loads", |lines| unsafe { read_avx512(lines) }));
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, checked just above.
        return Some(("256-bit loads", |lines| unsafe { read_avx2(lines) }));
    }
    None
}

/// The dot product loops this processor can run.
pub(super) fn dots() -> Vec<Dot> {
    let mut found: Vec<Dot> = Vec::new();
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
        // SAFETY: the processor has AVX-512F and AVX-512 VNNI, checked just above.
        found.push(("vpdpbusd 512-bit", |codes| unsafe { dot_avx512(codes) }));
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, checked just above.
        found.push(("AVX2 maddubs+madd+add", |codes| unsafe { dot_avx2(codes) }));
    }
    found
}

#[target_feature(enable = "avx512f")]
fn read_avx512(lines: &[Line]) -> u64 {
    let mut sums = [_mm512_setzero_si512(); 8];
    let (blocks, rest) = lines.as_chunks::<8>();
    for block in blocks {
        for (sum, line) in sums.iter_mut().zip(block) {
            *sum = _mm512_xor_si512(*sum, load_512(line));
        }
    }
    for line in rest {
        sums[0] = _mm512_xor_si512(sums[0], load_512(line));
    }
    let total = sums.into_iter().fold(_mm512_setzero_si512(), |a, b| _mm512_xor_si512(a, b));
    _mm512_reduce_add_epi64(total) as u64
}

#[target_feature(enable = "avx2")]
fn read_avx2(lines: &[Line]) -> u64 {
    let mut sums = [_mm256_setzero_si256(); 8];
    let (blocks, rest) = lines.as_chunks::<4>();
    for block in blocks {
        for (pair, line) in sums.as_chunks_mut::<2>().0.iter_mut().zip(block) {
            let [low, high] = load_256(line);
            *pair = [_mm256_xor_si256(pair[0], low), _mm256_xor_si256(pair[1], high)];
        }
    }
    for line in rest {
        let [low, high] = load_256(line);
        sums[0] = _mm256_xor_si256(sums[0], low);
        sums[1] = _mm256_xor_si256(sums[1], high);
    }
    let total = sums.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_xor_si256(a, b));
    let half = _mm_add_epi64(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
    (_mm_extract_epi64::<0>(half).wrapping_add(_mm_extract_epi64::<1>(half))) as u64
}

/// `3 · Σ codes`, with sixteen sums in flight: more than latency times throughput asks for.
#[target_feature(enable = "avx512f,avx512vnni")]
fn dot_avx512(codes: &[Line]) -> i32 {
    let x = _mm512_set1_epi8(X);
    let mut sums = [_mm512_setzero_si512(); 16];
    let (blocks, rest) = codes.as_chunks::<16>();
    for block in blocks {
        for (sum, line) in sums.iter_mut().zip(block) {
            *sum = _mm512_dpbusd_epi32(*sum, load_512(line), x);
        }
    }
    for line in rest {
        sums[0] = _mm512_dpbusd_epi32(sums[0], load_512(line), x);
    }
    let total = sums.into_iter().fold(_mm512_setzero_si512(), |a, b| _mm512_add_epi32(a, b));
    _mm512_reduce_add_epi32(total)
}

/// `3 · Σ codes` with what AVX2 has: products of bytes to pairs, pairs to quads, quads to the sum.
#[target_feature(enable = "avx2")]
fn dot_avx2(codes: &[Line]) -> i32 {
    let x = _mm256_set1_epi8(X);
    let ones = _mm256_set1_epi16(1);
    let quads = |code| _mm256_madd_epi16(_mm256_maddubs_epi16(code, x), ones);
    let mut sums = [_mm256_setzero_si256(); 8];
    let (blocks, rest) = codes.as_chunks::<4>();
    for block in blocks {
        for (pair, line) in sums.as_chunks_mut::<2>().0.iter_mut().zip(block) {
            let [low, high] = load_256(line);
            *pair = [_mm256_add_epi32(pair[0], quads(low)), _mm256_add_epi32(pair[1], quads(high))];
        }
    }
    for line in rest {
        let [low, high] = load_256(line);
        sums[0] = _mm256_add_epi32(sums[0], quads(low));
        sums[1] = _mm256_add_epi32(sums[1], quads(high));
    }
    let total = sums.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_add_epi32(a, b));
    let half = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
    let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
    _mm_cvtsi128_si32(pair).wrapping_add(_mm_extract_epi32::<1>(pair))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_512(line: &Line) -> __m512i {
    // SAFETY: a line is 64 initialised bytes, aligned to 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_256(line: &Line) -> [__m256i; 2] {
    let halves: *const __m256i = line.0.as_ptr().cast();
    // SAFETY: a line is 64 initialised bytes, aligned to 64: two aligned halves of 32.
    unsafe { [_mm256_load_si256(halves), _mm256_load_si256(halves.add(1))] }
}
