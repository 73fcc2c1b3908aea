//! AVX-512 with VNNI and GFNI: Ice Lake, Zen 4 and later.
//!
//! A block of 256 weights is one 64-byte load from each digit plane; 128-bit lane `s` is unit `s`.
//! The digits of one position are merged by a bitwise select for each tier, rotated into bits 0..5
//! by an affine bit matrix, completed by a masked add of the high bit, and multiplied by
//! `vpdpbusd`. Group sums are scaled as i32, activations' multipliers are applied as 64-bit
//! products.

use super::block::{BITS3, BITS5, BITS7, BlockPtr, Run, TERNARY};
use super::scalar;
use crate::digits::{BLOCK_UNITS, Group, LaneView};
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

super::block::lane_matvec!("avx512f,avx512bw,avx512vl,avx512vnni,gfni", 2);

/// Σ group scale · multiplier · Σ code · q for each row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
#[inline]
fn dots<const LANE: u8, const GROUP: u8, const ROWS: usize>(
    run: Run,
    x: &Activations<'_>,
) -> [i64; ROWS] {
    let mut sums = [Sums::zero(); ROWS];
    let mut totals = [_mm512_setzero_si512(); ROWS];
    let mut last = x.multipliers.as_ptr();
    run.blocks::<LANE, GROUP, ROWS>(x, |flush, blocks| {
        if flush {
            for k in 0..ROWS {
                totals[k] = _mm512_add_epi64(totals[k], sums[k].multiplied::<LANE, GROUP>(last));
                sums[k] = Sums::zero();
            }
        }
        last = blocks[0].multipliers;
        for k in 0..ROWS {
            let b = &blocks[k];
            sums[k] = if b.units == BLOCK_UNITS {
                sums[k].with::<LANE, GROUP, true>(b)
            } else {
                sums[k].with::<LANE, GROUP, false>(b)
            };
        }
    });
    core::array::from_fn(|k| {
        let sums = sums[k].multiplied::<LANE, GROUP>(last);
        _mm512_reduce_add_epi64(_mm512_add_epi64(totals[k], sums))
    })
}

/// 32-bit sums of a run of blocks with the same multipliers; 128-bit lane `s` belongs to unit `s`.
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
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
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

/// The mask of the high bits of position `p`.
#[inline]
fn high_mask<const FULL: bool>(b: &BlockPtr, p: usize) -> u64 {
    // SAFETY: the high plane of a block is four masks of two bytes for each unit.
    unsafe { first_bytes::<FULL>(b.high.add(2 * b.units * p), 2 * b.units) }
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
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
#[inline]
fn nested<const LANE: u8, const GROUP: u8, const FULL: bool>(b: &BlockPtr) -> __m512i {
    let d0 = plane::<FULL>(b, 0);
    let d1 = if LANE == BITS3 { d0 } else { plane::<FULL>(b, 1) };
    let d2 = if LANE == BITS7 { plane::<FULL>(b, 2) } else { d0 };
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
            let high = high_mask::<FULL>(b, $p);
            let code = _mm512_mask_add_epi8(code, high, code, _mm512_set1_epi8(0x40));
            _mm512_dpbusd_epi32($acc, code, activations(b, $p))
        }};
    }
    let zero = _mm512_setzero_si512();
    let low = position!(zero, 0);
    let low = position!(low, 1);
    let high = if GROUP == 32 { zero } else { low };
    let high = position!(high, 2);
    let high = position!(high, 3);
    scaled::<GROUP, FULL>(low, high, b)
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
