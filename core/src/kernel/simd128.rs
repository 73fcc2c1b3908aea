//! WebAssembly 128-bit SIMD.
//!
//! One unit at a time: 16 bytes of each digit plane. Digits and activations are widened to 16 bits,
//! which `i32x4.dot_i16x8_s` multiplies and adds in pairs. Every second digit is not shifted down;
//! those have a sum of their own, four times too large until the end. Few constants are used: more
//! than the registers hold are made anew each time, which costs several instructions.

use super::block::{BlockPtr, FIRST, Run, SECOND, TERNARY, THIRD, limit};
use super::combine::Tile;
use super::scalar::{self, finish_codes as finish};
use crate::digits::{BLOCK, BLOCK_UNITS, LaneView, UNIT};
use crate::quant::Activations;
use core::arch::wasm32::*;

super::block::lane_matvec!("simd128", rows 4 1 1 1);
super::combine::combine!("simd128");

/// Σ group scale · multiplier · Σ code · q for each row. Not inlined, for the size of the module.
#[target_feature(enable = "simd128")]
#[inline(never)]
fn dots<const LANE: u8, const GROUP: u8, const ROWS: usize>(
    run: Run<ROWS>,
    x: &Activations<'_>,
) -> [i64; ROWS] {
    let mut totals = [i64x2_splat(0); ROWS];
    run.stretches(x, limit::<LANE, GROUP>(), |n, blocks| {
        let units = blocks[0].units;
        for s in 0..units.min(BLOCK_UNITS) {
            let sums = unit_sums::<LANE, GROUP, ROWS>(&blocks, n, s);
            // SAFETY: a block has four multipliers.
            let multiplier = i32x4_splat(unsafe { *blocks[0].multipliers.add(s) } as i32);
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = i64x2_add(*total, i64x2_extmul_low_i32x4(sum, multiplier));
                *total = i64x2_add(*total, i64x2_extmul_high_i32x4(sum, multiplier));
            }
        }
    });
    totals.map(|t| i64x2_extract_lane::<0>(t).wrapping_add(i64x2_extract_lane::<1>(t)))
}

/// Σ group scale · Σ code · q over unit `s` of `n` blocks of each row.
#[target_feature(enable = "simd128")]
#[inline]
fn unit_sums<const LANE: u8, const GROUP: u8, const ROWS: usize>(
    blocks: &[BlockPtr; ROWS],
    n: usize,
    s: usize,
) -> [v128; ROWS] {
    let mut totals = [i32x4_splat(0); ROWS];
    let mut fields = [[i32x4_splat(0); 2]; ROWS];
    for i in 0..n {
        let b: [BlockPtr; ROWS] = core::array::from_fn(|k| blocks[k].after::<GROUP>(i));
        let x: X = core::array::from_fn(|p| activations(&b[0], s, p));
        for ((b, total), fields) in b.iter().zip(&mut totals).zip(&mut fields) {
            if LANE == TERNARY && GROUP == 0 {
                // Without scales the sums go on from unit to unit.
                let [low, high] = digit_sums::<0>(plane(b, 0, s), x);
                *fields = [0, 1].map(|f| i32x4_add(fields[f], i32x4_add(low[f], high[f])));
            } else {
                *total = i32x4_add(*total, scaled::<GROUP>(b, s, code_sums::<LANE>(b, s, x)));
            }
        }
    }
    for (total, fields) in totals.iter_mut().zip(fields) {
        *total = i32x4_add(*total, shifted(fields));
    }
    totals
}

/// The activations of a unit: of each position the first and the last eight.
type X = [[v128; 2]; 4];

/// Σ code · q of the halves of unit `s`, codes of seven bits; what the lane does not read is zero.
#[target_feature(enable = "simd128")]
#[inline]
fn code_sums<const LANE: u8>(b: &BlockPtr, s: usize, x: X) -> [v128; 2] {
    if LANE == TERNARY {
        return digit_sums::<0>(plane(b, 0, s), x).map(|fields| shifted(fields));
    }
    let mut sums = [i32x4_splat(0); 2];
    if LANE & FIRST != 0 {
        sums = high_sums(b, s, x).map(|sum| i32x4_shl(sum, 6));
        sums = add_digits::<4>(sums, digit_sums::<2>(plane(b, 0, s), x));
    }
    if LANE & SECOND != 0 {
        sums = add_digits::<2>(sums, digit_sums::<1>(plane(b, 1, s), x));
    }
    if LANE & THIRD != 0 {
        sums = add_digits::<0>(sums, digit_sums::<0>(plane(b, 2, s), x));
    }
    sums
}

/// The sums of the halves, with digits that are worth 2^SHIFT.
#[target_feature(enable = "simd128")]
#[inline]
fn add_digits<const SHIFT: u32>(sums: [v128; 2], digits: [[v128; 2]; 2]) -> [v128; 2] {
    [0, 1].map(|h| i32x4_add(sums[h], i32x4_shl(shifted(digits[h]), SHIFT)))
}

/// Σ digit · q of the halves of a unit, the digits in every second field apart and four times as
/// large.
#[target_feature(enable = "simd128")]
#[inline]
fn digit_sums<const ROTATION: usize>(plane: v128, x: X) -> [[v128; 2]; 2] {
    let lower = [u16x8_extend_low_u8x16(plane), u16x8_extend_high_u8x16(plane)];
    let upper = lower.map(|v| u16x8_shr(v, 4));
    let mut sums = [[i32x4_splat(0); 2]; 2];
    for (p, x) in x.into_iter().enumerate() {
        let field = (p + ROTATION) % 4;
        let sum = &mut sums[p / 2][field % 2];
        let mask = u16x8_splat(3 << (2 * (field % 2)));
        for (v, x) in [lower, upper][field / 2].into_iter().zip(x) {
            *sum = i32x4_add(*sum, i32x4_dot_i16x8(v128_and(v, mask), x));
        }
    }
    sums
}

/// The sum of both fields, the second of which is four times too large.
#[target_feature(enable = "simd128")]
#[inline]
fn shifted([even, odd]: [v128; 2]) -> v128 {
    i32x4_add(even, i32x4_shr(odd, 2))
}

/// Σ bit · q of the halves of unit `s`.
#[target_feature(enable = "simd128")]
#[inline]
fn high_sums(b: &BlockPtr, s: usize, x: X) -> [v128; 2] {
    let bits = [
        u16x8(1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7),
        u16x8(1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15),
    ];
    let mut sums = [i16x8_splat(0); 2];
    for (p, x) in x.into_iter().enumerate() {
        // SAFETY: the high plane of a block is four masks of two bytes for each unit.
        let mask = unsafe { v128_load16_splat(b.high.add(2 * (p * b.units + s)).cast()) };
        for (bits, x) in bits.into_iter().zip(x) {
            let is_set = i16x8_eq(v128_and(mask, bits), bits);
            sums[p / 2] = i16x8_add(sums[p / 2], v128_and(x, is_set));
        }
    }
    sums.map(|sum| i32x4_extadd_pairwise_i16x8(sum))
}

/// The sums of unit `s` times its group scales.
#[target_feature(enable = "simd128")]
#[inline]
fn scaled<const GROUP: u8>(b: &BlockPtr, s: usize, [low, high]: [v128; 2]) -> v128 {
    // SAFETY: a unit has two scales of 32 weights or one of 64.
    let scale = |i: usize| i32x4_splat(i32::from(unsafe { *b.scales.add(i) }));
    match GROUP {
        0 => i32x4_add(low, high),
        32 => i32x4_add(i32x4_mul(low, scale(2 * s)), i32x4_mul(high, scale(2 * s + 1))),
        _ => i32x4_mul(i32x4_add(low, high), scale(s)),
    }
}

#[target_feature(enable = "simd128")]
#[inline]
fn activations(b: &BlockPtr, s: usize, p: usize) -> [v128; 2] {
    // SAFETY: a block has 4 × 64 activations, unit `s` at 16·s of each.
    let load = |at: usize| unsafe { i16x8_load_extend_i8x8(b.q.add(64 * p + 16 * s + at)) };
    [load(0), load(8)]
}

#[target_feature(enable = "simd128")]
#[inline]
fn plane(b: &BlockPtr, tier: usize, s: usize) -> v128 {
    // SAFETY: a block has 16 bytes a unit of each digit plane that the lane reads.
    unsafe { v128_load(b.digits[tier].add(16 * s).cast()) }
}

/// The sums of a tile over a block, see [`combine`](super::combine). Not inlined, for the size of
/// the module.
#[target_feature(enable = "simd128")]
#[inline(never)]
fn columns<const LANE: u8, const GROUP: u8>(
    tile: &Tile,
    block: usize,
    units: usize,
    sums: &mut [i32; BLOCK],
) {
    let (all, _) = sums.as_chunks_mut::<16>();
    for (s, sums) in all.chunks_mut(UNIT / 16).enumerate().take(units) {
        if let [a, b, c, d] = sums {
            position_columns::<LANE, GROUP, 0>(tile, block, units, s, a);
            position_columns::<LANE, GROUP, 1>(tile, block, units, s, b);
            position_columns::<LANE, GROUP, 2>(tile, block, units, s, c);
            position_columns::<LANE, GROUP, 3>(tile, block, units, s, d);
        }
    }
}

/// The sums over position `P` of unit `s`.
#[target_feature(enable = "simd128")]
#[inline]
fn position_columns<const LANE: u8, const GROUP: u8, const P: usize>(
    tile: &Tile,
    block: usize,
    units: usize,
    s: usize,
    sums: &mut [i32; 16],
) {
    // Even and odd bytes of the first eight, then of the last eight.
    let mut products = [i32x4_splat(0); 4];
    let mut factors = 0i32;
    let byte = i16x8_splat(0xFF);
    for pair in tile.pairs() {
        let pair = pair.at::<GROUP>(block, units);
        let [qa, qb] = pair.factors();
        let [a, b] = &pair.rows;
        let (ka, kb) = (factor::<GROUP>(a, s, P, qa), factor::<GROUP>(b, s, P, qb));
        factors = factors.wrapping_add(ka + kb);
        let k = i32x4_splat(ka & 0xFFFF | kb << 16);
        let [a, b] = [a, b].map(|row| code::<LANE, P>(row, s));
        let first = i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b);
        let last = i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b);
        let codes =
            [v128_and(first, byte), u16x8_shr(first, 8), v128_and(last, byte), u16x8_shr(last, 8)];
        for (sum, codes) in products.iter_mut().zip(codes) {
            *sum = i32x4_add(*sum, i32x4_dot_i16x8(codes, k));
        }
    }
    let offset = i32x4_splat(factors.wrapping_mul(tile.zero));
    let [a, b, c, d] = products.map(|sum| {
        let steps = if LANE == TERNARY { sum } else { i32x4_shl(sum, 1) };
        i32x4_sub(steps, offset)
    });
    let values = [
        i32x4_shuffle::<0, 4, 1, 5>(a, b),
        i32x4_shuffle::<2, 6, 3, 7>(a, b),
        i32x4_shuffle::<0, 4, 1, 5>(c, d),
        i32x4_shuffle::<2, 6, 3, 7>(c, d),
    ];
    for (to, values) in sums.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        // SAFETY: four integers.
        unsafe { v128_store(to.as_mut_ptr().cast(), values) };
    }
}

/// `⌊q · scale / 256 + ½⌋` for position `p` of unit `s`; `q` without group scales.
#[inline(always)]
fn factor<const GROUP: u8>(b: &BlockPtr, s: usize, p: usize, q: i32) -> i32 {
    let at = if GROUP == 32 { 2 * s + p / 2 } else { s };
    // SAFETY: a unit has two scales of 32 weights or one of 64.
    let scale = || i32::from(unsafe { *b.scales.add(at) });
    if GROUP == 0 { q } else { (q * scale() + 128) >> 8 }
}

/// Codes of position `P` of unit `s`: ternary, or of seven bits; what the lane does not read is zero.
#[target_feature(enable = "simd128")]
#[inline]
fn code<const LANE: u8, const P: usize>(b: &BlockPtr, s: usize) -> v128 {
    if LANE == TERNARY {
        return v128_and(u8x16_shr(plane(b, 0, s), 2 * P as u32), u8x16_splat(3));
    }
    // Digits of one position side by side, rotated left by 2p.
    let mut merged = u8x16_splat(0);
    for (tier, bits) in [0x30u8, 0x0C, 0x03].into_iter().enumerate() {
        if LANE >> tier & 1 != 0 {
            let mask = u8x16_splat(bits.rotate_left(2 * P as u32));
            merged = v128_or(merged, v128_and(plane(b, tier, s), mask));
        }
    }
    let digits = match P {
        0 => merged,
        1 => u8x16_shr(merged, 2),
        2 => v128_or(u8x16_shr(merged, 4), u8x16_shl(merged, 4)),
        _ => v128_or(u8x16_shr(merged, 6), u8x16_shl(merged, 2)),
    };
    if LANE & FIRST == 0 {
        return digits;
    }
    // SAFETY: the high plane of a block is four masks of two bytes for each unit.
    let mask = unsafe { v128_load16_splat(b.high.add(2 * (P * b.units + s)).cast()) };
    let bytes = i8x16_shuffle::<0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1>(mask, mask);
    let bit = u64x2_splat(0x8040_2010_0804_0201);
    let is_set = u8x16_eq(v128_and(bytes, bit), bit);
    v128_or(digits, v128_and(is_set, u8x16_splat(0x40)))
}
