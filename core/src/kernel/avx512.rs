//! AVX-512 with VNNI, VBMI and GFNI: Ice Lake, Zen 4 and later.
//!
//! The digits and the high bit of one position are merged by a bitwise select for each tier and
//! rotated into place by an affine bit matrix. The high plane becomes a plane of its own for that: a
//! byte shuffle brings together the masks' bytes of eight weights, and an affine product transposes
//! their bits.

use super::block::{BITS3, BITS5, BITS7, BlockPtr, FIRST, Run, SECOND, TERNARY, THIRD};
use super::combine::{Pair, Tile};
use super::scalar;
use super::vnni::{
    AHEAD, Columns, activations, added, bits, finish, multiplied, offsets, plane, prefetch_pair,
    scaled, spread, ternary, trit_dots, trits,
};
use crate::digits::{BLOCK, BLOCK_UNITS, LaneView};
use crate::quant::Activations;
use core::arch::x86_64::*;

super::vnni::kernels!("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni");

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

/// Bits of a plane byte that the first `tiers` tiers have for position `p`.
const fn tiers_mask(tiers: u32, p: usize) -> i8 {
    // Of the merged byte, rotated left by 2p: tier 0 has bits 5 and 4, tier 1 bits 3 and 2.
    let merged = (0x3Fu8 << (6 - 2 * tiers)) & 0x3F;
    merged.rotate_left(2 * p as u32) as i8
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

/// Seven-bit codes of position `P`; what the lane does not read is zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,gfni")]
#[inline]
fn codes<const LANE: u8, const FULL: bool, const P: usize>(b: &BlockPtr) -> __m512i {
    // Where a tier is not read stands one that is; its bits are not rotated into the code.
    let lowest = if LANE & THIRD != 0 { 2 } else { usize::from(LANE & SECOND != 0) };
    let d2 = plane::<FULL>(b, lowest);
    let d1 = if LANE & SECOND != 0 { plane::<FULL>(b, 1) } else { d2 };
    let d0 = if LANE & FIRST != 0 { plane::<FULL>(b, 0) } else { d1 };
    let high = if LANE & FIRST != 0 { high_bits::<FULL>(b) } else { d0 };
    // `a` where the mask has ones, else `b`.
    let select = |mask, a, b| _mm512_ternarylogic_epi32::<0xCA>(_mm512_set1_epi8(mask), a, b);
    let digits = match LANE {
        // With one tier, positions 0 and 2 do not overlap, and neither do 1 and 3.
        BITS3 => select(const { tiers_mask(1, P % 2) | tiers_mask(1, P % 2 + 2) }, d0, high),
        BITS5 => {
            select(const { tiers_mask(2, P) }, select(const { tiers_mask(1, P) }, d0, d1), high)
        }
        BITS7 => {
            let two =
                select(const { tiers_mask(2, P) }, select(const { tiers_mask(1, P) }, d0, d1), d2);
            select(const { tiers_mask(3, P) }, two, high)
        }
        _ if LANE == SECOND | THIRD => select(const { tiers_mask(2, P) }, d1, d2),
        _ => d1,
    };
    let rotation = const { rotation(P, bits(LANE)) };
    _mm512_gf2p8affine_epi64_epi8::<0>(digits, _mm512_set1_epi64(rotation))
}
