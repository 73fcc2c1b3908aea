//! AVX2: Haswell, Zen and later.
//!
//! Half a block at a time, two units in a 32-byte load; 128-bit lane `s` is one unit. Codes are at
//! most 127 and activations at most 127 in magnitude, so the pair sums of `maddubs` (32,258) cannot
//! saturate. `madd` applies the group scale while it widens to i32.

use super::block::{BlockPtr, FIRST, Run, SECOND, TERNARY, THIRD, limit};
use super::combine::{Pair, Tile};
use super::scalar::{self, offset_dot};
use crate::digits::{BLOCK, BLOCK_UNITS, LaneView, UNIT};
use crate::quant::Activations;
use core::arch::x86_64::*;

super::block::lane_matvec!("avx2", rows 1 1 1 1);
super::combine::combine!("avx2");

/// Σ group scale · multiplier · Σ code · q for each row.
#[target_feature(enable = "avx2")]
#[inline]
fn dots<const LANE: u8, const GROUP: u8, const ROWS: usize>(
    run: Run<ROWS>,
    x: &Activations<'_>,
) -> [i64; ROWS] {
    let mut totals = [_mm256_setzero_si256(); ROWS];
    let narrow = LANE == TERNARY && GROUP == 0;
    let limit = if narrow { Narrow::LIMIT } else { limit::<LANE, GROUP>() };
    run.stretches(x, limit, |n, blocks| {
        for k in 0..ROWS {
            let block = |i| blocks[k].after::<GROUP>(i);
            let sums = match (narrow, blocks[k].units == BLOCK_UNITS) {
                (true, true) => {
                    (0..n).fold(Narrow::zero(), |sums, i| sums.with::<true>(&block(i))).widened()
                }
                (true, false) => Narrow::zero().with::<false>(&blocks[k]).widened(),
                (false, true) => {
                    let mut sums = [_mm256_setzero_si256(); 2];
                    for i in 0..n {
                        let products = scaled::<LANE, GROUP, true>(&block(i));
                        sums[0] = _mm256_add_epi32(sums[0], products[0]);
                        sums[1] = _mm256_add_epi32(sums[1], products[1]);
                    }
                    sums
                }
                (false, false) => scaled::<LANE, GROUP, false>(&blocks[k]),
            };
            totals[k] = multiplied(totals[k], sums, blocks[k].multipliers);
        }
    });
    totals.map(|sums| total(sums))
}

/// `total + sums · multipliers`, where the two vectors of sums are the halves of a block.
#[target_feature(enable = "avx2")]
#[inline]
fn multiplied(mut total: __m256i, sums: [__m256i; 2], multipliers: *const u32) -> __m256i {
    let index = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    for (half, sums) in sums.into_iter().enumerate() {
        // SAFETY: a block has four multipliers, and `multipliers` points to those of a block.
        let pair = unsafe { _mm_loadl_epi64(multipliers.add(2 * half).cast()) };
        let spread = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(pair), index);
        // Both 32-bit sums of a 64-bit lane belong to one unit.
        let pairs = _mm256_add_epi32(sums, _mm256_srli_epi64::<32>(sums));
        total = _mm256_add_epi64(total, _mm256_mul_epi32(pairs, spread));
    }
    total
}

/// 16-bit sums of ternary products without group scales, for each half of a block: positions 0
/// and 2 as they are, positions 1 and 3 four times too large.
#[derive(Clone, Copy)]
struct Narrow {
    ones: [__m256i; 2],
    fours: [__m256i; 2],
}

impl Narrow {
    /// Blocks that fit: a 16-bit sum takes 2·2 products of at most 8·127 a block.
    const LIMIT: usize = 8;
    const _FITS: () = assert!(Self::LIMIT * 4 * 8 * 127 < 1 << 15);

    #[target_feature(enable = "avx2")]
    #[inline]
    fn zero() -> Self {
        let zero = [_mm256_setzero_si256(); 2];
        Self { ones: zero, fours: zero }
    }

    /// With Σ code · q of one block more.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn with<const FULL: bool>(self, b: &BlockPtr) -> Self {
        let (first, second) = (_mm256_set1_epi8(0x03), _mm256_set1_epi8(0x0C));
        let add = |half: usize| {
            let v = plane::<FULL>(b, 0, half);
            let w = _mm256_srli_epi16::<4>(v);
            let product = |digits, mask, p| {
                _mm256_maddubs_epi16(_mm256_and_si256(digits, mask), activations(b, half, p))
            };
            let ones = _mm256_add_epi16(product(v, first, 0), product(w, first, 2));
            let fours = _mm256_add_epi16(product(v, second, 1), product(w, second, 3));
            let ones = _mm256_add_epi16(self.ones[half], ones);
            (ones, _mm256_add_epi16(self.fours[half], fours))
        };
        let ((ones0, fours0), (ones1, fours1)) = (add(0), add(1));
        Self { ones: [ones0, ones1], fours: [fours0, fours1] }
    }

    /// The sums in 32 bits.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn widened(self) -> [__m256i; 2] {
        let one = _mm256_set1_epi16(1);
        core::array::from_fn(|half| {
            let fours = _mm256_srai_epi16::<2>(self.fours[half]);
            _mm256_madd_epi16(_mm256_add_epi16(self.ones[half], fours), one)
        })
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn total(v: __m256i) -> i64 {
    let pair = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    _mm_extract_epi64::<0>(pair).wrapping_add(_mm_extract_epi64::<1>(pair))
}

/// Units `2·half` and `2·half + 1` of a digit plane; zeros for those that there are not.
#[target_feature(enable = "avx2")]
#[inline]
fn plane<const FULL: bool>(b: &BlockPtr, tier: usize, half: usize) -> __m256i {
    let bytes = b.digits[tier].wrapping_add(32 * half);
    // SAFETY: a block has 16 bytes a unit of each digit plane that the lane reads.
    unsafe {
        match if FULL { 2 } else { b.units.saturating_sub(2 * half) } {
            0 => _mm256_setzero_si256(),
            1 => _mm256_zextsi128_si256(_mm_loadu_si128(bytes.cast())),
            _ => _mm256_loadu_si256(bytes.cast()),
        }
    }
}

/// Activations of position `p` in units `2·half` and `2·half + 1`.
#[target_feature(enable = "avx2")]
#[inline]
fn activations(b: &BlockPtr, half: usize, p: usize) -> __m256i {
    // SAFETY: a block has 4 × 64 activations.
    unsafe { _mm256_loadu_si256(b.q.add(64 * p + 32 * half).cast()) }
}

/// Σ code · q · group scale of the halves of a block: codes of seven bits, or ternary.
#[target_feature(enable = "avx2")]
#[inline]
fn scaled<const LANE: u8, const GROUP: u8, const FULL: bool>(b: &BlockPtr) -> [__m256i; 2] {
    core::array::from_fn(|half| {
        let (low, high) = scales::<GROUP, FULL>(b, half);
        let codes =
            if LANE == TERNARY { ternary::<FULL>(b, half) } else { nested::<LANE, FULL>(b, half) };
        let term = |p: usize, scale| {
            _mm256_madd_epi16(_mm256_maddubs_epi16(codes[p], activations(b, half, p)), scale)
        };
        let first = _mm256_add_epi32(term(0, low), term(1, low));
        _mm256_add_epi32(first, _mm256_add_epi32(term(2, high), term(3, high)))
    })
}

/// Group scales of a half block for positions {0, 1} and {2, 3}, as 16-bit factors.
#[target_feature(enable = "avx2")]
#[inline]
fn scales<const GROUP: u8, const FULL: bool>(b: &BlockPtr, half: usize) -> (__m256i, __m256i) {
    let units = if FULL { BLOCK_UNITS } else { b.units };
    let count = units * if GROUP == 32 { 2 } else { 1 };
    // SAFETY: a unit has two scales of 32 weights or one of 64.
    let scale = |i: usize| if i < count { i16::from(unsafe { *b.scales.add(i) }) } else { 0 };
    let pair = |a, b| _mm256_set_m128i(_mm_set1_epi16(b), _mm_set1_epi16(a));
    match GROUP {
        0 => (_mm256_set1_epi16(1), _mm256_set1_epi16(1)),
        32 => (
            pair(scale(4 * half), scale(4 * half + 2)),
            pair(scale(4 * half + 1), scale(4 * half + 3)),
        ),
        _ => {
            let both = pair(scale(2 * half), scale(2 * half + 1));
            (both, both)
        }
    }
}

/// Ternary codes of the four positions.
#[target_feature(enable = "avx2")]
#[inline]
fn ternary<const FULL: bool>(b: &BlockPtr, half: usize) -> [__m256i; 4] {
    let v = plane::<FULL>(b, 0, half);
    let mask = _mm256_set1_epi8(3);
    [
        _mm256_and_si256(v, mask),
        _mm256_and_si256(_mm256_srli_epi16::<2>(v), mask),
        _mm256_and_si256(_mm256_srli_epi16::<4>(v), mask),
        _mm256_and_si256(_mm256_srli_epi16::<6>(v), mask),
    ]
}

/// Seven-bit codes of the four positions; what the lane does not read is zero.
#[target_feature(enable = "avx2")]
#[inline]
fn nested<const LANE: u8, const FULL: bool>(b: &BlockPtr, half: usize) -> [__m256i; 4] {
    let digits = [FIRST, SECOND, THIRD].map(|tier| LANE & tier != 0);
    let planes = [0, 1, 2].map(|tier| {
        if digits[tier] { plane::<FULL>(b, tier, half) } else { _mm256_setzero_si256() }
    });
    // Digits of one position side by side, rotated left by 2p.
    let merged = |masks: [u8; 3]| {
        let digit = |tier: usize| {
            if digits[tier] {
                _mm256_and_si256(planes[tier], _mm256_set1_epi8(masks[tier] as i8))
            } else {
                _mm256_setzero_si256()
            }
        };
        _mm256_or_si256(_mm256_or_si256(digit(0), digit(1)), digit(2))
    };
    let digits = [
        merged([0x30, 0x0C, 0x03]),
        _mm256_srli_epi16::<2>(merged([0xC0, 0x30, 0x0C])),
        swap_nibbles(merged([0x03, 0xC0, 0x30])),
        rotate_left_2(merged([0x0C, 0x03, 0xC0])),
    ];
    if LANE & FIRST == 0 {
        return digits;
    }
    let mut p = 0;
    digits.map(|d| {
        let code = _mm256_or_si256(d, high_bits::<FULL>(b, half, p));
        p += 1;
        code
    })
}

#[target_feature(enable = "avx2")]
#[inline]
fn swap_nibbles(v: __m256i) -> __m256i {
    let low = _mm256_and_si256(_mm256_srli_epi16::<4>(v), _mm256_set1_epi8(0x0F));
    _mm256_or_si256(low, _mm256_andnot_si256(_mm256_set1_epi8(0x0F), _mm256_slli_epi16::<4>(v)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate_left_2(v: __m256i) -> __m256i {
    let low = _mm256_and_si256(_mm256_srli_epi16::<6>(v), _mm256_set1_epi8(0x03));
    _mm256_or_si256(low, _mm256_andnot_si256(_mm256_set1_epi8(0x03), _mm256_slli_epi16::<2>(v)))
}

/// 0x40 in every byte whose bit in the mask of position `p` is set.
#[target_feature(enable = "avx2")]
#[inline]
fn high_bits<const FULL: bool>(b: &BlockPtr, half: usize, p: usize) -> __m256i {
    let units = if FULL { BLOCK_UNITS } else { b.units };
    let bytes = b.high.wrapping_add(2 * units * p + 4 * half);
    // SAFETY: the high plane of a block is four masks of two bytes for each unit.
    let bits = unsafe {
        match if FULL { 2 } else { units.saturating_sub(2 * half) } {
            0 => 0,
            1 => i32::from(bytes.cast::<u16>().read_unaligned()),
            _ => bytes.cast::<i32>().read_unaligned(),
        }
    };
    let spread = _mm256_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3,
        3, 3,
    );
    let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201u64 as i64);
    let bytes = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(bits), spread), bit);
    _mm256_and_si256(_mm256_cmpeq_epi8(bytes, bit), _mm256_set1_epi8(0x40))
}

/// The sums of a tile over a block, see [`combine`](super::combine).
#[target_feature(enable = "avx2")]
#[inline]
fn columns<const LANE: u8, const GROUP: u8>(
    tile: &Tile,
    block: usize,
    units: usize,
    sums: &mut [i32; BLOCK],
) {
    if units == BLOCK_UNITS {
        for half in 0..2 {
            half_columns::<LANE, GROUP, true, 0>(tile, block, units, half, sums);
            half_columns::<LANE, GROUP, true, 1>(tile, block, units, half, sums);
        }
    } else {
        for half in 0..units.div_ceil(2) {
            half_columns::<LANE, GROUP, false, 0>(tile, block, units, half, sums);
            half_columns::<LANE, GROUP, false, 1>(tile, block, units, half, sums);
        }
    }
}

/// The sums over positions 2·TWO and 2·TWO + 1 of half a block: as many as registers hold.
#[target_feature(enable = "avx2")]
#[inline]
fn half_columns<const LANE: u8, const GROUP: u8, const FULL: bool, const TWO: usize>(
    tile: &Tile,
    block: usize,
    units: usize,
    half: usize,
    sums: &mut [i32; BLOCK],
) {
    // Of each position: even and odd bytes of the first eight, then of the last eight.
    let mut products = [[_mm256_setzero_si256(); 4]; 2];
    let mut factors = _mm256_setzero_si256();
    let byte = _mm256_set1_epi16(0xFF);
    for pair in tile.pairs() {
        let pair = pair.at::<GROUP>(block, units);
        let k = pair_factors::<GROUP, FULL>(&pair, half, TWO);
        factors = _mm256_add_epi32(factors, _mm256_madd_epi16(k, _mm256_set1_epi16(1)));
        let [a, b] = pair.rows.map(|row| {
            if LANE == TERNARY {
                ternary::<FULL>(&row, half)
            } else {
                nested::<LANE, FULL>(&row, half)
            }
        });
        for (p, products) in products.iter_mut().enumerate() {
            let (a, b) = (a[2 * TWO + p], b[2 * TWO + p]);
            let (first, last) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
            let codes = [
                _mm256_and_si256(first, byte),
                _mm256_srli_epi16::<8>(first),
                _mm256_and_si256(last, byte),
                _mm256_srli_epi16::<8>(last),
            ];
            for (sum, codes) in products.iter_mut().zip(codes) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(codes, k));
            }
        }
    }
    let offset = _mm256_mullo_epi32(factors, _mm256_set1_epi32(tile.zero));
    for (p, products) in products.into_iter().enumerate() {
        let [a, b, c, d] = products.map(|sum| {
            let steps = if LANE == TERNARY { sum } else { _mm256_slli_epi32::<1>(sum) };
            _mm256_sub_epi32(steps, offset)
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

/// `⌊q · scale / 256 + ½⌋` of a pair of rows for half a block, positions 2·TWO and 2·TWO + 1, as
/// pairs of 16-bit numbers; `q` without group scales.
#[target_feature(enable = "avx2")]
#[inline]
fn pair_factors<const GROUP: u8, const FULL: bool>(
    pair: &Pair,
    half: usize,
    two: usize,
) -> __m256i {
    let q = _mm256_set1_epi32(pair.q);
    if GROUP == 0 {
        return q;
    }
    let units = if FULL { BLOCK_UNITS } else { pair.rows[0].units };
    let scales = |unit: usize| {
        let at = if GROUP == 32 { 2 * unit + two } else { unit };
        // SAFETY: a unit has two scales of 32 weights or one of 64.
        let scale = |row: &BlockPtr| i32::from(unsafe { *row.scales.add(at) });
        let [a, b] = &pair.rows;
        if unit < units { scale(a) << 7 | scale(b) << 23 } else { 0 }
    };
    let [first, second] = [2 * half, 2 * half + 1].map(|unit| _mm_set1_epi32(scales(unit)));
    // Rounds q · (scale · 2⁷) / 2¹⁵.
    _mm256_mulhrs_epi16(q, _mm256_set_m128i(second, first))
}
