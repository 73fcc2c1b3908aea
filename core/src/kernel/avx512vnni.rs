//! AVX-512 with VNNI: Cascade Lake and later.
//!
//! The digits of a position are moved into place by shifts; its bits of the high plane are a mask
//! register, under which the high bit is added.

use super::block::{BlockPtr, FIRST, Run, SECOND, TERNARY, THIRD};
use super::combine::{Pair, Tile};
use super::scalar;
use super::vnni::{
    AHEAD, Columns, activations, added, bits, finish, first_bytes, multiplied, offsets, plane,
    prefetch_pair, scaled, spread, ternary, trit_dots, trits,
};
use crate::digits::{BLOCK, BLOCK_UNITS, LaneView};
use crate::quant::Activations;
use core::arch::x86_64::*;

super::vnni::kernels!("avx512f,avx512bw,avx512vl,avx512vnni");

/// Seven-bit codes of position `P`; what the lane does not read is zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn codes<const LANE: u8, const FULL: bool, const P: usize>(b: &BlockPtr) -> __m512i {
    let tier = |tier: usize, bit: u8| (LANE & bit != 0).then(|| plane::<FULL>(b, tier));
    let (d0, d1, d2) = (tier(0, FIRST), tier(1, SECOND), tier(2, THIRD));
    // The digits of position p are rotated left by 2p.
    let digits = match P {
        0 => select(0x3C, select(0x30, d0, d1), d2),
        1 => right::<2>(select(0xF0, select(0xC0, d0, d1), d2)),
        2 => select(0xF0, left::<4>(d0), right::<4>(select(0xC0, d1, d2))),
        _ => select(0x3C, left::<2>(select(0x0C, d0, d1)), right::<6>(d2)),
    };
    let digits = digits.unwrap_or(_mm512_setzero_si512());
    let lower = _mm512_set1_epi8(const { bits(LANE) & 0x3F } as i8);
    if LANE & FIRST == 0 {
        return _mm512_and_si512(digits, lower);
    }
    let len = 2 * if FULL { BLOCK_UNITS } else { b.units };
    // SAFETY: the high plane of a block is four masks of two bytes for each unit.
    let mask = unsafe { first_bytes::<FULL>(b.high.wrapping_add(len * P), len) };
    let high = _mm512_maskz_mov_epi8(mask, _mm512_set1_epi8(0x40));
    // (digits and lower) or high
    _mm512_ternarylogic_epi32::<0xEA>(digits, lower, high)
}

/// Digits of the tiers that a lane reads, where they are in a byte; `None` if it reads none of them.
type Digits = Option<__m512i>;

/// `a` where the mask has ones, else `b`.
#[target_feature(enable = "avx512f")]
#[inline]
fn select(mask: u8, a: Digits, b: Digits) -> Digits {
    match (a, b) {
        (Some(a), Some(b)) => {
            Some(_mm512_ternarylogic_epi32::<0xCA>(_mm512_set1_epi8(mask as i8), a, b))
        }
        (a, b) => a.or(b),
    }
}

/// The bytes `BITS` higher; bits of neighbours come in.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn left<const BITS: u32>(digits: Digits) -> Digits {
    digits.map(|digits| _mm512_slli_epi16::<BITS>(digits))
}

/// The bytes `BITS` lower; bits of neighbours come in.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn right<const BITS: u32>(digits: Digits) -> Digits {
    digits.map(|digits| _mm512_srli_epi16::<BITS>(digits))
}
