//! WebAssembly 128-bit SIMD.
//!
//! One unit at a time: 16 bytes of each digit plane. Products of codes (at most 127) and
//! activations are formed in 16 bits and added pairwise in 32.

use super::block::{BITS3, BITS7, BlockPtr, Run, TERNARY, limit};
use super::scalar::{self, offset_dot};
use crate::digits::{Group, LaneView};
use crate::lane::PrecisionLane;
use crate::quant::Activations;
use core::arch::wasm32::*;

super::block::lane_matvec!("simd128", rows 1 1 1 1);

/// Σ group scale · multiplier · Σ code · q for each row.
#[target_feature(enable = "simd128")]
#[inline]
fn dots<const LANE: u8, const GROUP: u8, const ROWS: usize>(
    run: Run,
    x: &Activations<'_>,
) -> [i64; ROWS] {
    let mut totals = [i64x2_splat(0); ROWS];
    run.stretches::<ROWS>(x, limit::<LANE, GROUP>(), |n, blocks| {
        for (total, first) in totals.iter_mut().zip(&blocks) {
            // 32-bit sums, one vector for each unit.
            let mut sums = [i32x4_splat(0); 4];
            for b in (0..n).map(|i| first.after::<GROUP>(i)) {
                for (s, sum) in sums.iter_mut().enumerate().take(b.units) {
                    *sum = i32x4_add(*sum, unit::<LANE, GROUP>(&b, s));
                }
            }
            *total = multiplied(*total, sums, first.multipliers);
        }
    });
    totals.map(|t| i64x2_extract_lane::<0>(t).wrapping_add(i64x2_extract_lane::<1>(t)))
}

/// Σ code · q of unit `s`, times group scales.
#[target_feature(enable = "simd128")]
#[inline]
fn unit<const LANE: u8, const GROUP: u8>(b: &BlockPtr, s: usize) -> v128 {
    let codes = if LANE == TERNARY { ternary(b, s) } else { nested::<LANE>(b, s) };
    let term = |p: usize| {
        let (code, x) = (codes[p], activations(b, s, p));
        i32x4_add(
            i32x4_extadd_pairwise_i16x8(i16x8_extmul_low_i8x16(code, x)),
            i32x4_extadd_pairwise_i16x8(i16x8_extmul_high_i8x16(code, x)),
        )
    };
    let low = i32x4_add(term(0), term(1));
    let high = i32x4_add(term(2), term(3));
    // SAFETY: a unit has two scales of 32 weights or one of 64.
    let scale = |i: usize| i32x4_splat(i32::from(unsafe { *b.scales.add(i) }));
    match GROUP {
        0 => i32x4_add(low, high),
        32 => i32x4_add(i32x4_mul(low, scale(2 * s)), i32x4_mul(high, scale(2 * s + 1))),
        _ => i32x4_mul(i32x4_add(low, high), scale(s)),
    }
}

/// `total` plus the sums of four units times their multipliers.
#[target_feature(enable = "simd128")]
#[inline]
fn multiplied(total: v128, sums: [v128; 4], multipliers: *const u32) -> v128 {
    let mut total = total;
    for (s, sums) in sums.into_iter().enumerate() {
        // SAFETY: a block has four multipliers, and `multipliers` points to those of a block.
        let multiplier = i32x4_splat(unsafe { *multipliers.add(s) } as i32);
        total = i64x2_add(total, i64x2_extmul_low_i32x4(sums, multiplier));
        total = i64x2_add(total, i64x2_extmul_high_i32x4(sums, multiplier));
    }
    total
}

#[target_feature(enable = "simd128")]
#[inline]
fn activations(b: &BlockPtr, s: usize, p: usize) -> v128 {
    // SAFETY: a block has 4 × 64 activations, unit `s` at 16·s of each.
    unsafe { v128_load(b.q.add(64 * p + 16 * s).cast()) }
}

#[target_feature(enable = "simd128")]
#[inline]
fn plane(b: &BlockPtr, tier: usize, s: usize) -> v128 {
    // SAFETY: a block has 16 bytes a unit of each digit plane that the lane reads.
    unsafe { v128_load(b.digits[tier].add(16 * s).cast()) }
}

/// Ternary codes of the four positions.
#[target_feature(enable = "simd128")]
#[inline]
fn ternary(b: &BlockPtr, s: usize) -> [v128; 4] {
    let v = plane(b, 0, s);
    let mask = u8x16_splat(3);
    [
        v128_and(v, mask),
        v128_and(u8x16_shr(v, 2), mask),
        v128_and(u8x16_shr(v, 4), mask),
        u8x16_shr(v, 6),
    ]
}

/// Seven-bit codes of the four positions; a truncated lane's are shifted up to seven bits.
#[target_feature(enable = "simd128")]
#[inline]
fn nested<const LANE: u8>(b: &BlockPtr, s: usize) -> [v128; 4] {
    let d0 = plane(b, 0, s);
    let d1 = if LANE == BITS3 { d0 } else { plane(b, 1, s) };
    let d2 = if LANE == BITS7 { plane(b, 2, s) } else { d0 };
    // Digits of one position side by side, rotated left by 2p; bits of other positions around.
    let merged = |first: u8, second: u8| {
        let upper = if LANE == BITS3 { d0 } else { v128_bitselect(d0, d1, u8x16_splat(first)) };
        if LANE == BITS7 { v128_bitselect(upper, d2, u8x16_splat(first | second)) } else { upper }
    };
    let third = merged(0x03, 0xC0);
    let fourth = merged(0x0C, 0x03);
    let digits = [
        merged(0x30, 0x0C),
        u8x16_shr(merged(0xC0, 0x30), 2),
        v128_or(u8x16_shr(third, 4), u8x16_shl(third, 4)),
        v128_or(u8x16_shr(fourth, 6), u8x16_shl(fourth, 2)),
    ];
    let keep = u8x16_splat(match LANE {
        BITS3 => 0x30,
        BITS7 => 0x3F,
        _ => 0x3C,
    });
    let mut p = 0;
    digits.map(|d| {
        let code = v128_bitselect(d, high_bits(b, s, p), keep);
        p += 1;
        code
    })
}

/// 0x40 in every byte whose bit in the mask of position `p` is set.
#[target_feature(enable = "simd128")]
#[inline]
fn high_bits(b: &BlockPtr, s: usize, p: usize) -> v128 {
    // SAFETY: the high plane of a block is four masks of two bytes for each unit.
    let [low, high] = unsafe { b.high.add(2 * (p * b.units + s)).cast::<[u8; 2]>().read() };
    let (l, h) = (low, high);
    let bytes = u8x16(l, l, l, l, l, l, l, l, h, h, h, h, h, h, h, h);
    let bit = u64x2_splat(0x8040_2010_0804_0201);
    v128_and(i8x16_eq(v128_and(bytes, bit), bit), u8x16_splat(0x40))
}
