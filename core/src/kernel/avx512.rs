//! AVX-512 with VNNI and GFNI: Ice Lake, Zen 4 and later.
//!
//! A block of 256 weights is one 64-byte load from each digit plane; 128-bit lane `s` is unit `s`.
//! The digits of one position are merged by a bitwise select for each tier, rotated into bits 0..5
//! by an affine bit matrix, completed by a masked add of the high bit, and multiplied by
//! `vpdpbusd`. Group sums are scaled as i32, activations' multipliers are applied as 64-bit
//! products.

use super::block::{BITS3, BITS5, BITS7, BlockPtr, TERNARY, flush_interval, for_each_block};
use super::scalar;
use crate::digits::{Group, LaneView, Row};
use crate::lane::PrecisionLane;
use crate::quant::Activations;
use core::arch::x86_64::*;

/// Matrix of `gf2p8affineqb` that moves input bit `(i + 2p) mod 8` to bit `i` for `from ≤ i < 6`
/// and clears the others.
const fn rotation(p: usize, from: usize) -> i64 {
    let mut matrix = 0u64;
    let mut i = from;
    while i < 6 {
        // Row i of the matrix is byte 7 − i.
        matrix |= 1 << (8 * (7 - i) + (i + 2 * p) % 8);
        i += 1;
    }
    matrix as i64
}

/// Bits of a plane byte that tier `tier` has for position `p`.
const fn tier_mask(tier: usize, p: usize) -> u8 {
    3 << ((4 - 2 * tier + 2 * p) % 8)
}

super::block::lane_matvec!("avx512f,avx512bw,avx512vl,avx512vnni,gfni");

/// Integer dot products of one row: with the codes, and with 1 in their place.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
#[inline]
fn dot<const LANE: u8, const GROUP: u8>(row: Row<'_>, x: &Activations<'_>) -> (i64, i64) {
    let mut codes = _mm512_setzero_si512();
    let mut offsets = _mm512_setzero_si512();
    let mut narrow = _mm512_setzero_si512();
    let interval = flush_interval(x);
    let mut until_flush = interval;
    for_each_block(row, x, |b| {
        if LANE == TERNARY && GROUP == 0 {
            let sums = _mm512_mullo_epi32(ternary::<GROUP>(&b), multipliers(&b));
            narrow = _mm512_add_epi32(narrow, sums);
            until_flush -= 1;
            if until_flush == 0 {
                codes = _mm512_add_epi64(codes, widen(narrow));
                narrow = _mm512_setzero_si512();
                until_flush = interval;
            }
        } else {
            // Both 32-bit sums of a 64-bit lane belong to one unit.
            let sums =
                if LANE == TERNARY { ternary::<GROUP>(&b) } else { nested::<LANE, GROUP>(&b) };
            let sums = _mm512_add_epi32(sums, _mm512_srli_epi64::<32>(sums));
            codes = _mm512_add_epi64(codes, _mm512_mul_epi32(sums, multipliers(&b)));
        }
        if GROUP != 0 {
            offsets = _mm512_add_epi64(offsets, offset::<GROUP>(&b));
        }
    });
    codes = _mm512_add_epi64(codes, widen(narrow));
    let offset = if GROUP == 0 { x.total } else { _mm512_reduce_add_epi64(offsets) };
    (_mm512_reduce_add_epi64(codes), offset)
}

/// The sixteen i32 sums as eight i64 sums.
#[target_feature(enable = "avx512f")]
#[inline]
fn widen(v: __m512i) -> __m512i {
    let low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(v));
    _mm512_add_epi64(low, _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64::<1>(v)))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: *const u8) -> __m512i {
    // SAFETY: `BlockPtr` points to whole blocks: 64 bytes of each digit plane that the lane reads,
    // 4 × 64 activations.
    unsafe { _mm512_loadu_si512(bytes.cast()) }
}

/// Multiplier of unit `s` in every dword of 128-bit lane `s`.
#[target_feature(enable = "avx512f")]
#[inline]
fn multipliers(b: &BlockPtr) -> __m512i {
    let index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    // SAFETY: a block has four multipliers.
    let m = unsafe { _mm_loadu_si128(b.multipliers.cast()) };
    _mm512_permutexvar_epi32(index, _mm512_castsi128_si512(m))
}

/// Σ code · q over the units of a block, at most two sums for the two halves, times group scales.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
#[inline]
fn nested<const LANE: u8, const GROUP: u8>(b: &BlockPtr) -> __m512i {
    let d0 = load(b.digits[0]);
    let d1 = if LANE == BITS3 { d0 } else { load(b.digits[1]) };
    let d2 = if LANE == BITS7 { load(b.digits[2]) } else { d0 };
    macro_rules! position {
        ($acc:expr, $p:literal) => {{
            let first = _mm512_set1_epi8(tier_mask(0, $p) as i8);
            let both = _mm512_set1_epi8((tier_mask(0, $p) | tier_mask(1, $p)) as i8);
            let (digits, from) = match LANE {
                BITS3 => (d0, const { rotation($p, 4) }),
                BITS5 => {
                    (_mm512_ternarylogic_epi32::<0xCA>(first, d0, d1), const { rotation($p, 2) })
                }
                _ => {
                    let upper = _mm512_ternarylogic_epi32::<0xCA>(first, d0, d1);
                    let all = _mm512_ternarylogic_epi32::<0xCA>(both, upper, d2);
                    (all, const { rotation($p, 0) })
                }
            };
            let code = _mm512_gf2p8affine_epi64_epi8::<0>(digits, _mm512_set1_epi64(from));
            // SAFETY: the high plane of a block is four masks of 64 bits.
            let high = unsafe { b.high.cast::<u64>().add($p).read_unaligned() };
            let code = _mm512_mask_add_epi8(code, high, code, _mm512_set1_epi8(0x40));
            // SAFETY: a block has 4 × 64 activations.
            let x = load(unsafe { b.q.add(64 * $p) }.cast());
            _mm512_dpbusd_epi32($acc, code, x)
        }};
    }
    let zero = _mm512_setzero_si512();
    let low = position!(zero, 0);
    let low = position!(low, 1);
    let high = if GROUP == 32 { zero } else { low };
    let high = position!(high, 2);
    let high = position!(high, 3);
    scaled::<GROUP>(low, high, b)
}

/// `low · scale + high · scale'` for groups of 32; `high`, which holds both, for the others.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn scaled<const GROUP: u8>(low: __m512i, high: __m512i, b: &BlockPtr) -> __m512i {
    if GROUP == 0 {
        return high;
    }
    // Byte `first + step·s` into the low byte of each dword of lane s; 0x80 clears the others.
    let spread = |first: u32, step: u32| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|s| (0x8080_8000 | (first + step * s)) as i32);
        _mm512_setr_epi32(a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d)
    };
    if GROUP == 32 {
        // SAFETY: a block has eight scales of 32 weights.
        let bytes = _mm512_set1_epi64(unsafe { b.scales.cast::<i64>().read_unaligned() });
        let low = _mm512_mullo_epi32(low, _mm512_shuffle_epi8(bytes, spread(0, 2)));
        let high = _mm512_mullo_epi32(high, _mm512_shuffle_epi8(bytes, spread(1, 2)));
        _mm512_add_epi32(low, high)
    } else {
        // SAFETY: a block has four scales of 64 weights.
        let bytes = _mm512_set1_epi32(unsafe { b.scales.cast::<i32>().read_unaligned() });
        _mm512_mullo_epi32(high, _mm512_shuffle_epi8(bytes, spread(0, 1)))
    }
}

/// Σ code · q · group scale for ternary codes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn ternary<const GROUP: u8>(b: &BlockPtr) -> __m512i {
    let v = load(b.digits[0]);
    let w = _mm512_srli_epi16::<4>(v);
    let (first, second) = (_mm512_set1_epi8(0x03), _mm512_set1_epi8(0x0C));
    // SAFETY: a block has 4 × 64 activations.
    let x = |p: usize| load(unsafe { b.q.add(64 * p) }.cast());
    let zero = _mm512_setzero_si512();
    let p0 = _mm512_dpbusd_epi32(zero, _mm512_and_si512(v, first), x(0));
    let p1 = _mm512_dpbusd_epi32(zero, _mm512_and_si512(v, second), x(1));
    let (c2, c3) = (_mm512_and_si512(w, first), _mm512_and_si512(w, second));
    if GROUP == 32 {
        let p2 = _mm512_dpbusd_epi32(zero, c2, x(2));
        let p3 = _mm512_dpbusd_epi32(zero, c3, x(3));
        let low = _mm512_add_epi32(p0, _mm512_srai_epi32::<2>(p1));
        let high = _mm512_add_epi32(p2, _mm512_srai_epi32::<2>(p3));
        scaled::<GROUP>(low, high, b)
    } else {
        let ones = _mm512_dpbusd_epi32(p0, c2, x(2));
        let fours = _mm512_dpbusd_epi32(p1, c3, x(3));
        scaled::<GROUP>(zero, _mm512_add_epi32(ones, _mm512_srai_epi32::<2>(fours)), b)
    }
}

/// Σ q · multiplier · group scale, from the sums of half units.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn offset<const GROUP: u8>(b: &BlockPtr) -> __m512i {
    // SAFETY: a block has eight sums of half units.
    let sums = unsafe { _mm256_loadu_si256(b.sums.cast()) };
    let scales = if GROUP == 32 {
        // SAFETY: a block has eight scales of 32 weights.
        _mm512_cvtepu8_epi64(unsafe { _mm_loadl_epi64(b.scales.cast()) })
    } else {
        // SAFETY: a block has four scales of 64 weights.
        let bytes = _mm_cvtsi32_si128(unsafe { b.scales.cast::<i32>().read_unaligned() });
        _mm512_cvtepu8_epi64(_mm_unpacklo_epi8(bytes, bytes))
    };
    _mm512_mul_epi32(_mm512_cvtepi32_epi64(sums), scales)
}
