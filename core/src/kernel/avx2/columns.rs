//! Sums of rows, half a block of columns at a time.

use super::super::block::{BlockPtr, TERNARY};
use super::super::combine::{PAIRS, Pair, Tile};
use super::{ternary, two_nested};
use crate::digits::{BLOCK, BLOCK_UNITS, UNIT};
use core::arch::x86_64::*;

/// The sums of a tile over a block, see [`combine`](crate::kernel::combine).
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn columns<const LANE: u8, const GROUP: u8>(
    tile: &Tile,
    block: usize,
    units: usize,
    sums: &mut [i32; BLOCK],
) {
    for half in 0..units.div_ceil(2) {
        if units == BLOCK_UNITS {
            half_columns::<LANE, GROUP, true>(tile, block, units, half, sums);
        } else {
            half_columns::<LANE, GROUP, false>(tile, block, units, half, sums);
        }
    }
}

/// The sums over half a block.
#[target_feature(enable = "avx2")]
#[inline]
fn half_columns<const LANE: u8, const GROUP: u8, const FULL: bool>(
    tile: &Tile,
    block: usize,
    units: usize,
    half: usize,
    sums: &mut [i32; BLOCK],
) {
    let mut factors: Factors = heapless::Vec::new();
    let mut offsets = [_mm256_setzero_si256(); 2];
    for pair in tile.pairs() {
        let k = pair_factors::<GROUP, FULL>(&pair.at::<GROUP>(block, units), half);
        for (offset, k) in offsets.iter_mut().zip(k) {
            *offset = _mm256_add_epi32(*offset, _mm256_madd_epi16(k, _mm256_set1_epi16(1)));
        }
        // A tile has no more pairs than there is room for.
        let _ = factors.push(k);
    }
    let offsets = offsets.map(|k| _mm256_mullo_epi32(k, _mm256_set1_epi32(tile.zero)));
    let place = (block, units, half);
    two_columns::<LANE, GROUP, FULL, 0>(tile, &factors, offsets, place, sums);
    two_columns::<LANE, GROUP, FULL, 1>(tile, &factors, offsets, place, sums);
}

/// What [`pair_factors`] gives for the pairs of a tile.
type Factors = heapless::Vec<[__m256i; 2], PAIRS>;

/// The sums over positions 2·TWO and 2·TWO + 1 of half a block: as many as registers hold.
#[target_feature(enable = "avx2")]
#[inline]
fn two_columns<const LANE: u8, const GROUP: u8, const FULL: bool, const TWO: usize>(
    tile: &Tile,
    factors: &Factors,
    offsets: [__m256i; 2],
    (block, units, half): (usize, usize, usize),
    sums: &mut [i32; BLOCK],
) {
    // Of each position: the first eight bytes, those at odd places alone, and so the last eight.
    // A pair of bytes is a number of 16 bits, even + 256 · odd, which is below 2¹⁵.
    let mut products = [[_mm256_setzero_si256(); 4]; 2];
    for (pair, k) in tile.pairs().iter().zip(factors) {
        let pair = pair.at::<GROUP>(block, units);
        let [first, second] = &pair.rows;
        let a = two_codes::<LANE, FULL, TWO>(first, half);
        let b = two_codes::<LANE, FULL, TWO>(second, half);
        for (products, (a, b)) in products.iter_mut().zip(a.into_iter().zip(b)) {
            let (first, last) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
            let codes = [first, _mm256_srli_epi16::<8>(first), last, _mm256_srli_epi16::<8>(last)];
            for (sum, codes) in products.iter_mut().zip(codes) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(codes, k[TWO]));
            }
        }
    }
    for (p, [first, first_odd, last, last_odd]) in products.into_iter().enumerate() {
        let even = |both, odd| _mm256_sub_epi32(both, _mm256_slli_epi32::<8>(odd));
        let values = [even(first, first_odd), first_odd, even(last, last_odd), last_odd];
        let [a, b, c, d] = values.map(|sum| {
            let steps = if LANE == TERNARY { sum } else { _mm256_slli_epi32::<1>(sum) };
            _mm256_sub_epi32(steps, offsets[TWO])
        });
        let first = [_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)];
        let last = [_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d)];
        for (e, [low, high]) in [first, last].into_iter().enumerate() {
            let at = 2 * UNIT * half + 16 * (2 * TWO + p) + 8 * e;
            let units = [
                _mm256_permute2x128_si256::<0x20>(low, high),
                _mm256_permute2x128_si256::<0x31>(low, high),
            ];
            for (unit, values) in units.into_iter().enumerate() {
                if let Some(to) =
                    sums.get_mut(at + UNIT * unit..).and_then(|s| s.first_chunk_mut::<8>())
                {
                    // SAFETY: eight integers.
                    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), values) };
                }
            }
        }
    }
}

/// The codes of positions 2·TWO and 2·TWO + 1.
#[target_feature(enable = "avx2")]
#[inline]
fn two_codes<const LANE: u8, const FULL: bool, const TWO: usize>(
    row: &BlockPtr,
    half: usize,
) -> [__m256i; 2] {
    if LANE != TERNARY {
        return two_nested::<LANE, FULL, TWO>(row, half);
    }
    let [p0, p1, p2, p3] = ternary::<FULL>(row, half);
    if TWO == 0 { [p0, p1] } else { [p2, p3] }
}

/// `⌊q · scale / 256 + ½⌋` of a pair of rows for half a block, positions {0, 1} and {2, 3}, as
/// pairs of 16-bit numbers; `q` without group scales.
#[target_feature(enable = "avx2")]
#[inline]
fn pair_factors<const GROUP: u8, const FULL: bool>(pair: &Pair, half: usize) -> [__m256i; 2] {
    let q = _mm256_set1_epi32(pair.q);
    if GROUP == 0 {
        return [q; 2];
    }
    let units = if FULL { BLOCK_UNITS } else { pair.rows[0].units };
    let scales = |unit: usize, two: usize| {
        let at = if GROUP == 32 { 2 * unit + two } else { unit };
        // SAFETY: a unit has two scales of 32 weights or one of 64.
        let scale = |row: &BlockPtr| i32::from(unsafe { *row.scales.add(at) });
        let [a, b] = &pair.rows;
        if unit < units { scale(a) << 7 | scale(b) << 23 } else { 0 }
    };
    let factors = |two: usize| {
        let [first, second] =
            [2 * half, 2 * half + 1].map(|unit| _mm_set1_epi32(scales(unit, two)));
        // Rounds q · (scale · 2⁷) / 2¹⁵.
        _mm256_mulhrs_epi16(q, _mm256_set_m128i(second, first))
    };
    let first = factors(0);
    [first, if GROUP == 32 { factors(1) } else { first }]
}
