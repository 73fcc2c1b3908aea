//! AVX-512 with VNNI, VBMI and GFNI: Ice Lake, Zen 4 and later.
//!
//! A block of 256 weights is one 64-byte load from each digit plane; 128-bit lane `s` is unit `s`.
//! The digits and the high bit of one position are merged by a bitwise select for each tier and
//! rotated into place by an affine bit matrix, which gives the 7-bit code to multiply by
//! `vpdpbusd`. The high plane becomes a plane of its own for that: a byte shuffle brings together
//! the masks' bytes of eight weights, and an affine product transposes their bits.

use super::block::{BITS3, BITS5, BITS7, BlockPtr, FIRST, Run, SECOND, TERNARY, THIRD, limit};
use super::combine::{Pair, Tile};
use super::scalar;
use crate::digits::{BLOCK, BLOCK_UNITS, Group, LaneView, UNIT};
use crate::quant::Activations;
use core::arch::x86_64::*;

/// Matrix of `gf2p8affineqb` that moves input bit `(i + 2p) mod 8` to bit `i` for the set bits `i`
/// of a mask and clears the others.
const fn rotation(p: usize, mask: u8) -> i64 {
    let mut matrix = 0u64;
    let mut i = 0;
    while i <= 6 {
        if mask >> i & 1 != 0 {
            // Row i of the matrix is byte 7 − i.
            matrix |= 1 << (8 * (7 - i) + (i + 2 * p) % 8);
        }
        i += 1;
    }
    matrix as i64
}

/// The bits of a code that a lane reads.
const fn bits(lane: u8) -> u8 {
    let mut bits = 0;
    let tiers = [(FIRST, 0x70), (SECOND, 0x0C), (THIRD, 0x03)];
    let mut i = 0;
    while i < tiers.len() {
        if lane & tiers[i].0 != 0 {
            bits |= tiers[i].1;
        }
        i += 1;
    }
    bits
}

/// Bits of a plane byte that the first `tiers` tiers have for position `p`.
const fn tiers_mask(tiers: u32, p: u32) -> i8 {
    // Of the merged byte, rotated left by 2p: tier 0 has bits 5 and 4, tier 1 bits 3 and 2.
    let merged = (0x3Fu8 << (6 - 2 * tiers)) & 0x3F;
    merged.rotate_left(2 * p) as i8
}

/// Where a byte shuffle finds the bytes of the high plane for a block of `n` units: into byte
/// `7 − (6 + 2p) mod 8` of the 64-bit lane for eight weights goes the byte of mask `p`, so that the
/// transposed bit of position `p` comes to lie at bit `(6 + 2p) mod 8`, above its digits.
const fn high_index(n: usize) -> [u8; 64] {
    let mut index = [0; 64];
    let mut i = 0;
    while i < 2 * n {
        let mut p = 0;
        while p < 4 {
            index[8 * i + 7 - (6 + 2 * p) % 8] = (2 * n * p + i) as u8;
            p += 1;
        }
        i += 1;
    }
    index
}

/// [`high_index`] for 1 to 4 units.
static HIGH_INDEX: [[u8; 64]; 4] = [high_index(1), high_index(2), high_index(3), high_index(4)];

// More rows at a time save loads of activations, but each reads as many streams as it has planes.
super::block::lane_matvec!("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni", rows 4 4 2 1);
super::combine::combine!("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni");

/// Σ group scale · multiplier · Σ code · q for each row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni")]
#[inline]
fn dots<const LANE: u8, const GROUP: u8, const ROWS: usize>(
    run: Run<ROWS>,
    x: &Activations<'_>,
) -> [i64; ROWS] {
    let mut totals = [_mm512_setzero_si512(); ROWS];
    run.stretches(x, limit::<LANE, GROUP>(), |n, blocks| {
        let mut sums = [Sums::zero(); ROWS];
        if blocks[0].units == BLOCK_UNITS {
            for i in 0..n {
                for k in 0..ROWS {
                    sums[k] = sums[k].with::<LANE, GROUP, true>(&blocks[k].after::<GROUP>(i));
                }
            }
        } else {
            for k in 0..ROWS {
                sums[k] = sums[k].with::<LANE, GROUP, false>(&blocks[k]);
            }
        }
        for k in 0..ROWS {
            let products = sums[k].multiplied::<LANE, GROUP>(blocks[0].multipliers);
            totals[k] = _mm512_add_epi64(totals[k], products);
        }
    });
    totals.map(|total| _mm512_reduce_add_epi64(total))
}

/// 32-bit sums of a stretch of blocks; 128-bit lane `s` belongs to unit `s`.
/// One vector, or for ternary codes without group scales one for each position, 4^p too large.
#[derive(Clone, Copy)]
struct Sums([__m512i; 4]);

impl Sums {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn zero() -> Self {
        Self([_mm512_setzero_si512(); 4])
    }

    /// With Σ code · q of one block more, which may be FULL or not, times group scales.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni")]
    #[inline]
    fn with<const LANE: u8, const GROUP: u8, const FULL: bool>(self, b: &BlockPtr) -> Self {
        let [p0, p1, p2, p3] = self.0;
        if LANE == TERNARY && GROUP == 0 {
            // The digits stay where they are in the byte: masking them is all there is to do.
            let v = plane::<FULL>(b, 0);
            let add = |sum, p: usize| {
                let digits = _mm512_and_si512(v, _mm512_set1_epi8((3u8 << (2 * p)) as i8));
                _mm512_dpbusd_epi32(sum, digits, activations(b, p))
            };
            return Self([add(p0, 0), add(p1, 1), add(p2, 2), add(p3, 3)]);
        }
        let products = if LANE == TERNARY {
            ternary::<GROUP, FULL>(b)
        } else {
            nested::<LANE, GROUP, FULL>(b)
        };
        Self([_mm512_add_epi32(p0, products), p1, p2, p3])
    }

    /// The sums as 64 bits, times the four multipliers of a block.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn multiplied<const LANE: u8, const GROUP: u8>(self, multipliers: *const u32) -> __m512i {
        let [p0, p1, p2, p3] = self.0;
        let codes = if LANE == TERNARY && GROUP == 0 {
            let low = _mm512_add_epi32(p0, _mm512_srai_epi32::<2>(p1));
            let high = _mm512_add_epi32(_mm512_srai_epi32::<4>(p2), _mm512_srai_epi32::<6>(p3));
            _mm512_add_epi32(low, high)
        } else {
            p0
        };
        // SAFETY: a block has four multipliers, and `multipliers` points to those of a block.
        let m = unsafe { _mm_loadu_si128(multipliers.cast()) };
        let index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        let spread = _mm512_permutexvar_epi32(index, _mm512_castsi128_si512(m));
        // Both 32-bit sums of a 64-bit lane belong to one unit.
        let pairs = _mm512_add_epi32(codes, _mm512_srli_epi64::<32>(codes));
        _mm512_mul_epi32(pairs, spread)
    }
}

/// A block of a digit plane; zeros beyond the units that there are.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn plane<const FULL: bool>(b: &BlockPtr, tier: usize) -> __m512i {
    let bytes = b.digits[tier].cast::<i8>();
    if FULL {
        // SAFETY: a block of four units has 64 bytes of each digit plane that the lane reads.
        unsafe { _mm512_loadu_si512(bytes.cast()) }
    } else {
        // SAFETY: the mask reads 16 bytes for each unit that there is.
        unsafe { _mm512_maskz_loadu_epi8((1 << (16 * b.units)) - 1, bytes) }
    }
}

/// The high bits of a block: bit `(6 + 2p) mod 8` of a byte belongs to position `p`; the other bits
/// are of no meaning.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
#[inline]
fn high_bits<const FULL: bool>(b: &BlockPtr) -> __m512i {
    let units = if FULL { BLOCK_UNITS } else { b.units };
    // SAFETY: the high plane of a block has eight bytes for each unit, which the mask reads; the
    // index is an array of 64 bytes, and a block has 1 to 4 units.
    let (masks, index) = unsafe {
        let masks = if FULL {
            _mm512_castsi256_si512(_mm256_loadu_si256(b.high.cast()))
        } else {
            _mm512_maskz_loadu_epi8((1 << (8 * units)) - 1, b.high.cast())
        };
        (masks, _mm512_loadu_si512(HIGH_INDEX[units - 1].as_ptr().cast()))
    };
    let bit = _mm512_set1_epi64(0x8040_2010_0804_0201u64 as i64);
    _mm512_gf2p8affine_epi64_epi8::<0>(bit, _mm512_permutexvar_epi8(index, masks))
}

/// The group scales of a block, the first in the lowest byte.
#[inline]
fn scale_bytes<const GROUP: u8, const FULL: bool>(b: &BlockPtr) -> u64 {
    match (GROUP, FULL) {
        // SAFETY: four units have four scales of 64 weights.
        (64, true) => u64::from(unsafe { b.scales.cast::<u32>().read_unaligned() }),
        // SAFETY: a unit has one scale of 64 weights.
        (64, false) => unsafe { first_bytes::<false>(b.scales, b.units) },
        // SAFETY: a unit has two scales of 32 weights.
        (_, _) => unsafe { first_bytes::<FULL>(b.scales, 2 * b.units) },
    }
}

/// `len` bytes as the low bytes of a word; eight when FULL.
///
/// # Safety
/// As many bytes are readable, and `len` is at most 8.
#[inline]
unsafe fn first_bytes<const FULL: bool>(bytes: *const u8, len: usize) -> u64 {
    if FULL {
        // SAFETY: eight bytes are readable.
        return unsafe { bytes.cast::<u64>().read_unaligned() };
    }
    // SAFETY: `i` stays below `len`.
    (0..len).fold(0, |word, i| word | u64::from(unsafe { *bytes.add(i) }) << (8 * i))
}

/// Activations of position `p`.
#[target_feature(enable = "avx512f")]
#[inline]
fn activations(b: &BlockPtr, p: usize) -> __m512i {
    // SAFETY: a block has 4 × 64 activations.
    unsafe { _mm512_loadu_si512(b.q.add(64 * p).cast()) }
}

/// Σ code · q over the units of a block, at most two sums for the two halves, times group scales.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni")]
#[inline]
fn nested<const LANE: u8, const GROUP: u8, const FULL: bool>(b: &BlockPtr) -> __m512i {
    let codes = codes::<LANE, FULL>(b);
    let add = |sum, p: usize| _mm512_dpbusd_epi32(sum, codes[p], activations(b, p));
    let zero = _mm512_setzero_si512();
    let low = add(add(zero, 0), 1);
    let high = add(add(if GROUP == 32 { zero } else { low }, 2), 3);
    scaled::<GROUP, FULL>(low, high, b)
}

/// Seven-bit codes of the four positions; what the lane does not read is zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni")]
#[inline]
fn codes<const LANE: u8, const FULL: bool>(b: &BlockPtr) -> [__m512i; 4] {
    // Where a tier is not read stands one that is; its bits are not rotated into the code.
    let lowest = if LANE & THIRD != 0 { 2 } else { usize::from(LANE & SECOND != 0) };
    let d2 = plane::<FULL>(b, lowest);
    let d1 = if LANE & SECOND != 0 { plane::<FULL>(b, 1) } else { d2 };
    let d0 = if LANE & FIRST != 0 { plane::<FULL>(b, 0) } else { d1 };
    let high = if LANE & FIRST != 0 { high_bits::<FULL>(b) } else { d0 };
    // With one tier, positions 0 and 2 do not overlap, and neither do 1 and 3.
    let pairs = [0, 1].map(|p| {
        let mask = _mm512_set1_epi8(tiers_mask(1, p) | tiers_mask(1, p + 2));
        _mm512_ternarylogic_epi32::<0xCA>(mask, d0, high)
    });
    macro_rules! position {
        ($p:literal) => {{
            // `a` where the mask of the first tiers has ones, else `b`.
            let select = |tiers, a, b| {
                let mask = _mm512_set1_epi8(tiers_mask(tiers, $p));
                _mm512_ternarylogic_epi32::<0xCA>(mask, a, b)
            };
            let digits = match LANE {
                BITS3 => pairs[$p % 2],
                BITS5 => select(2, select(1, d0, d1), high),
                BITS7 => select(3, select(2, select(1, d0, d1), d2), high),
                _ if LANE == SECOND | THIRD => select(2, d1, d2),
                _ => d1,
            };
            let rotation = const { rotation($p, bits(LANE)) };
            _mm512_gf2p8affine_epi64_epi8::<0>(digits, _mm512_set1_epi64(rotation))
        }};
    }
    [position!(0), position!(1), position!(2), position!(3)]
}

/// `low · scale + high · scale'` for groups of 32; `high`, which holds both, for the others.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn scaled<const GROUP: u8, const FULL: bool>(low: __m512i, high: __m512i, b: &BlockPtr) -> __m512i {
    if GROUP == 0 {
        return high;
    }
    // Byte `first + step·s` into the low byte of each dword of lane s; 0x80 clears the others.
    let spread = |first: u32, step: u32| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|s| (0x8080_8000 | (first + step * s)) as i32);
        _mm512_setr_epi32(a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d)
    };
    if GROUP == 32 {
        let bytes = _mm512_set1_epi64(scale_bytes::<GROUP, FULL>(b) as i64);
        let low = _mm512_mullo_epi32(low, _mm512_shuffle_epi8(bytes, spread(0, 2)));
        let high = _mm512_mullo_epi32(high, _mm512_shuffle_epi8(bytes, spread(1, 2)));
        _mm512_add_epi32(low, high)
    } else {
        let bytes = _mm512_set1_epi32(scale_bytes::<GROUP, FULL>(b) as i32);
        _mm512_mullo_epi32(high, _mm512_shuffle_epi8(bytes, spread(0, 1)))
    }
}

/// Σ code · q · group scale for ternary codes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn ternary<const GROUP: u8, const FULL: bool>(b: &BlockPtr) -> __m512i {
    let v = plane::<FULL>(b, 0);
    let w = _mm512_srli_epi16::<4>(v);
    let (first, second) = (_mm512_set1_epi8(0x03), _mm512_set1_epi8(0x0C));
    let x = |p: usize| activations(b, p);
    let zero = _mm512_setzero_si512();
    let p0 = _mm512_dpbusd_epi32(zero, _mm512_and_si512(v, first), x(0));
    let p1 = _mm512_dpbusd_epi32(zero, _mm512_and_si512(v, second), x(1));
    let (c2, c3) = (_mm512_and_si512(w, first), _mm512_and_si512(w, second));
    if GROUP == 32 {
        let p2 = _mm512_dpbusd_epi32(zero, c2, x(2));
        let p3 = _mm512_dpbusd_epi32(zero, c3, x(3));
        let low = _mm512_add_epi32(p0, _mm512_srai_epi32::<2>(p1));
        let high = _mm512_add_epi32(p2, _mm512_srai_epi32::<2>(p3));
        scaled::<GROUP, FULL>(low, high, b)
    } else {
        let ones = _mm512_dpbusd_epi32(p0, c2, x(2));
        let fours = _mm512_dpbusd_epi32(p1, c3, x(3));
        scaled::<GROUP, FULL>(zero, _mm512_add_epi32(ones, _mm512_srai_epi32::<2>(fours)), b)
    }
}

/// `Σ group scale · multiplier · Σ q`, sixteen units at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn offset_dot(group: Group, scales: &[u8], x: &Activations<'_>) -> i64 {
    if group == Group::Row {
        return x.total;
    }
    let units = x.multipliers.len().min(scales.len() / group.scales_per_unit());
    let mut total = _mm512_setzero_si512();
    for first in (0..units).step_by(16) {
        let n = (units - first).min(16);
        let (each, both) = (((1u32 << n) - 1) as u16, ((1u64 << (2 * n)) - 1) as u32);
        // SAFETY: from `first` on there are at least `n` multipliers, 2·n sums of half units and n
        // or 2·n scales; the masks read no more.
        let (multipliers, sums, scales) = unsafe {
            let sums = x.sums.as_ptr().add(2 * first);
            let scales = scales.as_ptr().add(group.scales_per_unit() * first).cast();
            (
                _mm512_maskz_loadu_epi32(each, x.multipliers.as_ptr().add(first).cast()),
                _mm512_maskz_loadu_epi16(both, sums),
                match group {
                    Group::G64 => _mm256_castsi128_si256(_mm_maskz_loadu_epi8(each, scales)),
                    _ => _mm256_maskz_loadu_epi8(both, scales),
                },
            )
        };
        // At most 2 · 255 · 4064 in a unit.
        let sums = if group == Group::G64 {
            let sums = _mm512_madd_epi16(sums, _mm512_set1_epi16(1));
            _mm512_mullo_epi32(sums, _mm512_cvtepu8_epi32(_mm256_castsi256_si128(scales)))
        } else {
            _mm512_madd_epi16(sums, _mm512_cvtepu8_epi16(scales))
        };
        let odd = |v| _mm512_srli_epi64::<32>(v);
        total = _mm512_add_epi64(total, _mm512_mul_epi32(sums, multipliers));
        total = _mm512_add_epi64(total, _mm512_mul_epi32(odd(sums), odd(multipliers)));
    }
    _mm512_reduce_add_epi64(total)
}

/// The sums of a tile over a block, see [`combine`](super::combine).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni")]
#[inline]
fn columns<const LANE: u8, const GROUP: u8>(
    tile: &Tile,
    block: usize,
    units: usize,
    sums: &mut [i32; BLOCK],
) {
    if units == BLOCK_UNITS {
        block_columns::<LANE, GROUP, true>(tile, block, units, sums);
    } else {
        block_columns::<LANE, GROUP, false>(tile, block, units, sums);
    }
}

/// The body of `columns`, for a block that may be FULL or not.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni")]
#[inline]
fn block_columns<const LANE: u8, const GROUP: u8, const FULL: bool>(
    tile: &Tile,
    block: usize,
    units: usize,
    sums: &mut [i32; BLOCK],
) {
    // Of each position: even and odd bytes of the first eight, then of the last eight.
    let mut products = [[_mm512_setzero_si512(); 4]; 4];
    let mut factors = [_mm512_setzero_si512(); 2];
    let byte = _mm512_set1_epi16(0xFF);
    for pair in tile.pairs() {
        let pair = pair.at::<GROUP>(block, units);
        let k = pair_factors::<GROUP, FULL>(&pair);
        for (sum, k) in factors.iter_mut().zip(k) {
            *sum = _mm512_dpwssd_epi32(*sum, k, _mm512_set1_epi16(1));
        }
        let [a, b] = pair.rows.map(|row| {
            if LANE == TERNARY { trits::<FULL>(&row) } else { codes::<LANE, FULL>(&row) }
        });
        for (p, products) in products.iter_mut().enumerate() {
            let first = _mm512_unpacklo_epi16(a[p], b[p]);
            let last = _mm512_unpackhi_epi16(a[p], b[p]);
            let codes = [
                _mm512_and_si512(first, byte),
                _mm512_srli_epi16::<8>(first),
                _mm512_and_si512(last, byte),
                _mm512_srli_epi16::<8>(last),
            ];
            for (sum, codes) in products.iter_mut().zip(codes) {
                *sum = _mm512_dpwssd_epi32(*sum, codes, k[p / 2]);
            }
        }
    }
    for (p, products) in products.into_iter().enumerate() {
        let offset = _mm512_mullo_epi32(factors[p / 2], _mm512_set1_epi32(tile.zero));
        let [a, b, c, d] = products.map(|sum| {
            let steps = if LANE == TERNARY { sum } else { _mm512_slli_epi32::<1>(sum) };
            _mm512_sub_epi32(steps, offset)
        });
        // Four columns of every unit in each, those of unit s in lane s; then sixteen of one unit.
        let (q0, q1) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (q2, q3) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let (low01, high01) =
            (_mm512_shuffle_i32x4::<0x44>(q0, q1), _mm512_shuffle_i32x4::<0xEE>(q0, q1));
        let (low23, high23) =
            (_mm512_shuffle_i32x4::<0x44>(q2, q3), _mm512_shuffle_i32x4::<0xEE>(q2, q3));
        let units = [
            _mm512_shuffle_i32x4::<0x88>(low01, low23),
            _mm512_shuffle_i32x4::<0xDD>(low01, low23),
            _mm512_shuffle_i32x4::<0x88>(high01, high23),
            _mm512_shuffle_i32x4::<0xDD>(high01, high23),
        ];
        let (cells, _) = sums.as_chunks_mut::<16>();
        for (to, values) in cells.iter_mut().skip(p).step_by(UNIT / 16).zip(units) {
            // SAFETY: sixteen integers.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), values) };
        }
    }
}

/// `⌊q · scale / 256 + ½⌋` of a pair of rows for a block, as pairs of 16-bit numbers, for positions
/// {0, 1} and {2, 3}; `q` without group scales.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn pair_factors<const GROUP: u8, const FULL: bool>(pair: &Pair) -> [__m512i; 2] {
    let q = _mm512_set1_epi32(pair.q);
    if GROUP == 0 {
        return [q; 2];
    }
    let [a, b] = pair.rows.map(|row| scale_bytes::<GROUP, FULL>(&row) as i64);
    let bytes = _mm512_broadcast_i32x4(_mm_set_epi64x(b, a));
    // Bytes `first + step·s` of both rows to the low bytes of a pair in lane s; 0x80 gives 0.
    let factors = |first: u32, step: u32| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|s| {
            let at = first + step * s;
            (0x8000_8000 | at | (at + 8) << 16) as i32
        });
        let index = _mm512_setr_epi32(a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d);
        // Rounds q · (scale · 2⁷) / 2¹⁵.
        _mm512_mulhrs_epi16(q, _mm512_slli_epi16::<7>(_mm512_shuffle_epi8(bytes, index)))
    };
    if GROUP == 32 { [factors(0, 2), factors(1, 2)] } else { [factors(0, 1); 2] }
}

/// Ternary codes of the four positions.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn trits<const FULL: bool>(b: &BlockPtr) -> [__m512i; 4] {
    let v = plane::<FULL>(b, 0);
    let mask = _mm512_set1_epi8(3);
    [
        _mm512_and_si512(v, mask),
        _mm512_and_si512(_mm512_srli_epi16::<2>(v), mask),
        _mm512_and_si512(_mm512_srli_epi16::<4>(v), mask),
        _mm512_and_si512(_mm512_srli_epi16::<6>(v), mask),
    ]
}
