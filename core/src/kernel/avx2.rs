//! AVX2: Haswell, Zen and later.
//!
//! Half a block at a time, two units in a 32-byte load; 128-bit lane `s` is one unit. Codes are at
//! most 127 and activations at most 127 in magnitude, so the pair sums of `maddubs` (32,258) cannot
//! saturate. `madd` applies the group scale while it widens to i32.

use super::block::{BlockPtr, FIRST, Run, SECOND, TERNARY, THIRD, limit};
use super::scalar;
use crate::digits::{BLOCK_UNITS, Group, LaneView};
use crate::quant::Activations;
use core::arch::x86_64::*;

mod columns;
use columns::columns;

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
    // Not by a closure that a function without the feature calls: that is not inlined.
    [half_scaled::<LANE, GROUP, FULL>(b, 0), half_scaled::<LANE, GROUP, FULL>(b, 1)]
}

/// That of one half.
#[target_feature(enable = "avx2")]
#[inline]
fn half_scaled<const LANE: u8, const GROUP: u8, const FULL: bool>(
    b: &BlockPtr,
    half: usize,
) -> __m256i {
    let (low, high) = scales::<GROUP, FULL>(b, half);
    let codes =
        if LANE == TERNARY { ternary::<FULL>(b, half) } else { nested::<LANE, FULL>(b, half) };
    let term = |p: usize, scale| {
        _mm256_madd_epi16(_mm256_maddubs_epi16(codes[p], activations(b, half, p)), scale)
    };
    let first = _mm256_add_epi32(term(0, low), term(1, low));
    _mm256_add_epi32(first, _mm256_add_epi32(term(2, high), term(3, high)))
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
    let [p0, p1] = two_nested::<LANE, FULL, 0>(b, half);
    let [p2, p3] = two_nested::<LANE, FULL, 1>(b, half);
    [p0, p1, p2, p3]
}

/// Those of positions 2·TWO and 2·TWO + 1.
#[target_feature(enable = "avx2")]
#[inline]
fn two_nested<const LANE: u8, const FULL: bool, const TWO: usize>(
    b: &BlockPtr,
    half: usize,
) -> [__m256i; 2] {
    // The digit of a tier where it is in the byte; a tier that is not read is zero.
    let digit = |tier: usize, mask: u8| {
        if LANE & [FIRST, SECOND, THIRD][tier] == 0 {
            return _mm256_setzero_si256();
        }
        _mm256_and_si256(plane::<FULL>(b, tier, half), _mm256_set1_epi8(mask as i8))
    };
    let or = |a, b| _mm256_or_si256(a, b);
    // The digits of position p are rotated left by 2p. No shift carries a bit over a byte's edge.
    let codes = if TWO == 0 {
        let p0 = or(or(digit(0, 0x30), digit(1, 0x0C)), digit(2, 0x03));
        let p1 = or(or(digit(0, 0xC0), digit(1, 0x30)), digit(2, 0x0C));
        [p0, _mm256_srli_epi16::<2>(p1)]
    } else {
        let low = _mm256_srli_epi16::<4>(or(digit(1, 0xC0), digit(2, 0x30)));
        let p2 = or(_mm256_slli_epi16::<4>(digit(0, 0x03)), low);
        let high = _mm256_slli_epi16::<2>(or(digit(0, 0x0C), digit(1, 0x03)));
        [p2, or(high, _mm256_srli_epi16::<6>(digit(2, 0xC0)))]
    };
    if LANE & FIRST == 0 {
        return codes;
    }
    let [even, odd] = codes;
    let high = |p: usize| high_bits::<FULL>(b, half, 2 * TWO + p);
    [or(even, high(0)), or(odd, high(1))]
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
    // 0x40 with the sign of a byte, none for 0; the highest bit is a sign, and −0x40 stands there.
    _mm256_sign_epi8(_mm256_set1_epi64x(0xC040_4040_4040_4040u64 as i64), bytes)
}

/// The product of a row from the sum of its codes.
#[target_feature(enable = "avx2")]
#[inline]
fn finish<P: scalar::Product>(w: &LaneView<'_>, r: usize, dot: i64, x: &Activations<'_>) -> P {
    scalar::finish(w, r, dot, offset_dot(w.group(), w.scales_of(r), x), x)
}

/// `Σ group scale · multiplier · Σ q`, eight units at a time.
#[target_feature(enable = "avx2")]
#[inline]
fn offset_dot(group: Group, scales: &[u8], x: &Activations<'_>) -> i64 {
    let per_eight = 8 * group.scales_per_unit();
    if group == Group::Row {
        return x.total;
    }
    let (sums, _) = x.sums.as_chunks::<16>();
    let (multipliers, _) = x.multipliers.as_chunks::<8>();
    let eights = scales.chunks_exact(per_eight);
    let n = eights.len().min(sums.len()).min(multipliers.len());
    let mut products = _mm256_setzero_si256();
    for ((sums, multipliers), scales) in sums.iter().zip(multipliers).zip(eights) {
        // SAFETY: sixteen sums, eight multipliers, and sixteen or eight scales.
        let (sums, multipliers, scales) = unsafe {
            let bytes = match group {
                Group::G32 => _mm_loadu_si128(scales.as_ptr().cast()),
                _ => {
                    let each = _mm_loadl_epi64(scales.as_ptr().cast());
                    _mm_unpacklo_epi8(each, each)
                }
            };
            (
                _mm256_loadu_si256(sums.as_ptr().cast()),
                _mm256_loadu_si256(multipliers.as_ptr().cast()),
                _mm256_cvtepu8_epi16(bytes),
            )
        };
        // At most 2 · 255 · 4064 in a unit.
        let scaled = _mm256_madd_epi16(scales, sums);
        let odd = |v| _mm256_srli_epi64::<32>(v);
        products = _mm256_add_epi64(products, _mm256_mul_epi32(scaled, multipliers));
        products = _mm256_add_epi64(products, _mm256_mul_epi32(odd(scaled), odd(multipliers)));
    }
    let mut left = *x;
    left.sums = x.sums.get(16 * n..).unwrap_or(&[]);
    left.multipliers = x.multipliers.get(8 * n..).unwrap_or(&[]);
    let scales = scales.get(per_eight * n..).unwrap_or(&[]);
    total(products) + scalar::offset_dot(group, scales, &left)
}
