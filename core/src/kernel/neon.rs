//! aarch64 Advanced SIMD; with the dot product instructions in `neondot`.
//!
//! One unit at a time: 16 bytes of each digit plane. Codes are at most 127, so they are valid
//! signed bytes, and a product with an activation (at most 127 · 127) fits 16 bits.

use super::block::{BlockPtr, FIRST, Run, SECOND, TERNARY, THIRD, limit};
use super::combine::Tile;
use super::scalar::{self, finish_codes as finish};
use crate::digits::{BLOCK, LaneView, UNIT};
use crate::quant::Activations;
use core::arch::aarch64::*;

super::block::lane_matvec!("neon", rows 1 1 1 1);
super::combine::combine!("neon");

/// Σ group scale · multiplier · Σ code · q for each row.
#[target_feature(enable = "neon")]
#[inline]
fn dots<const LANE: u8, const GROUP: u8, const ROWS: usize>(
    run: Run<ROWS>,
    x: &Activations<'_>,
) -> [i64; ROWS] {
    unit_dots::<LANE, GROUP, ROWS, false>(run, x)
}

/// The body of `dots`, with or without the dot product instructions.
#[target_feature(enable = "neon")]
#[inline]
pub(super) fn unit_dots<const LANE: u8, const GROUP: u8, const ROWS: usize, const DOT: bool>(
    run: Run<ROWS>,
    x: &Activations<'_>,
) -> [i64; ROWS] {
    let mut totals = [vdupq_n_s64(0); ROWS];
    run.stretches(x, limit::<LANE, GROUP>(), |n, blocks| {
        for (total, first) in totals.iter_mut().zip(&blocks) {
            // 32-bit sums, one vector for each unit.
            let mut sums = [vdupq_n_s32(0); 4];
            for b in (0..n).map(|i| first.after::<GROUP>(i)) {
                for (s, sum) in sums.iter_mut().enumerate().take(b.units) {
                    *sum = with_unit::<LANE, GROUP, DOT>(*sum, &b, s);
                }
            }
            *total = multiplied(*total, sums, first.multipliers);
        }
    });
    totals.map(|total| vaddvq_s64(total))
}

/// `sum` with Σ code · q of unit `s`, times group scales.
#[target_feature(enable = "neon")]
#[inline]
fn with_unit<const LANE: u8, const GROUP: u8, const DOT: bool>(
    sum: int32x4_t,
    b: &BlockPtr,
    s: usize,
) -> int32x4_t {
    let codes = if LANE == TERNARY { ternary(b, s) } else { nested::<LANE>(b, s) };
    let zero = vdupq_n_s32(0);
    let low = if GROUP == 0 { sum } else { zero };
    let low = multiply_add::<DOT>(low, codes[0], activations(b, s, 0));
    let low = multiply_add::<DOT>(low, codes[1], activations(b, s, 1));
    let high = if GROUP == 32 { zero } else { low };
    let high = multiply_add::<DOT>(high, codes[2], activations(b, s, 2));
    let high = multiply_add::<DOT>(high, codes[3], activations(b, s, 3));
    // SAFETY: a unit has two scales of 32 weights or one of 64.
    let scale = |i: usize| i32::from(unsafe { *b.scales.add(i) });
    match GROUP {
        0 => high,
        32 => vmlaq_n_s32(vmlaq_n_s32(sum, low, scale(2 * s)), high, scale(2 * s + 1)),
        _ => vmlaq_n_s32(sum, high, scale(s)),
    }
}

/// `total` plus the sums of four units times their multipliers.
#[target_feature(enable = "neon")]
#[inline]
fn multiplied(total: int64x2_t, sums: [int32x4_t; 4], multipliers: *const u32) -> int64x2_t {
    let mut total = total;
    for (s, sums) in sums.into_iter().enumerate() {
        // SAFETY: a block has four multipliers, and `multipliers` points to those of a block.
        let multiplier = unsafe { *multipliers.add(s) } as i32;
        let pairs = vadd_s32(vget_low_s32(sums), vget_high_s32(sums));
        total = vmlal_n_s32(total, pairs, multiplier);
    }
    total
}

/// `acc + a·b` over groups of four bytes, for 0 ≤ a ≤ 127.
#[target_feature(enable = "neon")]
#[inline]
fn multiply_add<const DOT: bool>(acc: int32x4_t, a: uint8x16_t, b: int8x16_t) -> int32x4_t {
    let a = vreinterpretq_s8_u8(a);
    if DOT {
        let mut acc = acc;
        // SAFETY: DOT is true only in functions compiled for `dotprod`; the instruction reads and
        // writes registers alone.
        unsafe {
            core::arch::asm!(
                ".arch_extension dotprod",
                "sdot {acc:v}.4s, {a:v}.16b, {b:v}.16b",
                acc = inout(vreg) acc,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        acc
    } else {
        let low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
        vpadalq_s16(vpadalq_s16(acc, low), vmull_high_s8(a, b))
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn activations(b: &BlockPtr, s: usize, p: usize) -> int8x16_t {
    // SAFETY: a block has 4 × 64 activations, unit `s` at 16·s of each.
    unsafe { vld1q_s8(b.q.add(64 * p + 16 * s)) }
}

#[target_feature(enable = "neon")]
#[inline]
fn plane(b: &BlockPtr, tier: usize, s: usize) -> uint8x16_t {
    // SAFETY: a block has 16 bytes a unit of each digit plane that the lane reads.
    unsafe { vld1q_u8(b.digits[tier].add(16 * s)) }
}

/// Ternary codes of the four positions.
#[target_feature(enable = "neon")]
#[inline]
fn ternary(b: &BlockPtr, s: usize) -> [uint8x16_t; 4] {
    let v = plane(b, 0, s);
    let mask = vdupq_n_u8(3);
    [
        vandq_u8(v, mask),
        vandq_u8(vshrq_n_u8::<2>(v), mask),
        vandq_u8(vshrq_n_u8::<4>(v), mask),
        vshrq_n_u8::<6>(v),
    ]
}

/// Seven-bit codes of the four positions; what the lane does not read is zero.
#[target_feature(enable = "neon")]
#[inline]
fn nested<const LANE: u8>(b: &BlockPtr, s: usize) -> [uint8x16_t; 4] {
    // Where a tier is not read stands one that is; its bits there are masked in the end.
    let d2 = plane(
        b,
        if LANE & THIRD != 0 {
            2
        } else if LANE & SECOND != 0 {
            1
        } else {
            0
        },
        s,
    );
    let d1 = if LANE & SECOND != 0 { plane(b, 1, s) } else { d2 };
    let d0 = if LANE & FIRST != 0 { plane(b, 0, s) } else { d1 };
    // Digits of one position side by side, rotated left by 2p; bits of other positions around.
    let merged = |first: u8, second: u8| {
        let upper = if LANE & FIRST != 0 { vbslq_u8(vdupq_n_u8(first), d0, d1) } else { d1 };
        if LANE & THIRD != 0 && LANE != THIRD {
            vbslq_u8(vdupq_n_u8(first | second), upper, d2)
        } else {
            upper
        }
    };
    let third = merged(0x03, 0xC0);
    let fourth = merged(0x0C, 0x03);
    let digits = [
        merged(0x30, 0x0C),
        vshrq_n_u8::<2>(merged(0xC0, 0x30)),
        vsliq_n_u8::<4>(vshrq_n_u8::<4>(third), third),
        vsliq_n_u8::<2>(vshrq_n_u8::<6>(fourth), fourth),
    ];
    let bits = [(FIRST, 0x30), (SECOND, 0x0C), (THIRD, 0x03)];
    let keep = bits.into_iter().fold(
        0,
        |keep, (tier, bits)| {
            if LANE & tier != 0 { keep | bits } else { keep }
        },
    );
    let keep = vdupq_n_u8(keep);
    let mut p = 0;
    digits.map(|d| {
        let code = if LANE & FIRST != 0 {
            vbslq_u8(keep, d, high_bits(b, s, p))
        } else {
            vandq_u8(keep, d)
        };
        p += 1;
        code
    })
}

/// 0x40 in every byte whose bit in the mask of position `p` is set.
#[target_feature(enable = "neon")]
#[inline]
fn high_bits(b: &BlockPtr, s: usize, p: usize) -> uint8x16_t {
    // SAFETY: the high plane of a block is four masks of two bytes for each unit.
    let [low, high] = unsafe { b.high.add(2 * (p * b.units + s)).cast::<[u8; 2]>().read() };
    let bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    let bytes = vcombine_u8(vdup_n_u8(low), vdup_n_u8(high));
    vandq_u8(vtstq_u8(bytes, bit), vdupq_n_u8(0x40))
}

/// The sums of a tile over a block, see [`combine`](super::combine).
#[target_feature(enable = "neon")]
#[inline]
fn columns<const LANE: u8, const GROUP: u8>(
    tile: &Tile,
    block: usize,
    units: usize,
    sums: &mut [i32; BLOCK],
) {
    let (all, _) = sums.as_chunks_mut::<UNIT>();
    for (s, sums) in all.iter_mut().enumerate().take(units) {
        // Of each position: four columns in each.
        let mut products = [[vdupq_n_s32(0); 4]; 4];
        // Σ k of positions {0, 1} and {2, 3}.
        let mut factors = [0i32; 2];
        for pair in tile.pairs() {
            let pair = pair.at::<GROUP>(block, units);
            for (b, q) in pair.rows.iter().zip(pair.factors()) {
                let codes = if LANE == TERNARY { ternary(b, s) } else { nested::<LANE>(b, s) };
                let k = [0, 1].map(|two| factor::<GROUP>(b, s, two, q));
                factors = [0, 1].map(|two| factors[two].wrapping_add(i32::from(k[two])));
                for (p, sums) in products.iter_mut().enumerate() {
                    let low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes[p])));
                    let high = vreinterpretq_s16_u16(vmovl_high_u8(codes[p]));
                    let k = k[p / 2];
                    sums[0] = vmlal_n_s16(sums[0], vget_low_s16(low), k);
                    sums[1] = vmlal_high_n_s16(sums[1], low, k);
                    sums[2] = vmlal_n_s16(sums[2], vget_low_s16(high), k);
                    sums[3] = vmlal_high_n_s16(sums[3], high, k);
                }
            }
        }
        let (cells, _) = sums.as_chunks_mut::<4>();
        for (i, (to, sum)) in cells.iter_mut().zip(products.as_flattened()).enumerate() {
            let offset = vdupq_n_s32(factors[i / 8].wrapping_mul(tile.zero));
            let steps = if LANE == TERNARY { *sum } else { vshlq_n_s32::<1>(*sum) };
            // SAFETY: four integers.
            unsafe { vst1q_s32(to.as_mut_ptr(), vsubq_s32(steps, offset)) };
        }
    }
}

/// `⌊q · scale / 256 + ½⌋` for positions 2·two and 2·two + 1 of unit `s`; `q` without group scales.
#[inline(always)]
fn factor<const GROUP: u8>(b: &BlockPtr, s: usize, two: usize, q: i32) -> i16 {
    let at = if GROUP == 32 { 2 * s + two } else { s };
    // SAFETY: a unit has two scales of 32 weights or one of 64.
    let scale = || i32::from(unsafe { *b.scales.add(at) });
    (if GROUP == 0 { q } else { (q * scale() + 128) >> 8 }) as i16
}
