//! What the two sets of AVX-512 instructions with VNNI share: everything but how codes are made.
//!
//! A block of 256 weights is one 64-byte load from each digit plane; 128-bit lane `s` is unit `s`.
//! Seven-bit codes and activations are multiplied and added by `vpdpbusd`.

use super::block::{BlockPtr, FIRST, Run, SECOND, TERNARY, THIRD, limit};
use super::scalar::{self, Product};
use crate::digits::{BLOCK_UNITS, Group, LaneView};
use crate::quant::Activations;
use core::arch::x86_64::*;

mod columns;
pub(super) use columns::{AHEAD, Columns, prefetch_pair, trits};

/// The bits of a code that a lane reads.
pub(super) const fn bits(lane: u8) -> u8 {
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

/// Σ multiplier · Σ code · q for each row, of ternary codes without group scales.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
pub(super) fn trit_dots<const ROWS: usize>(run: Run<ROWS>, x: &Activations<'_>) -> [i64; ROWS] {
    let mut totals = [_mm512_setzero_si512(); ROWS];
    // Multiplying costs as much as a block: blocks that have the same multipliers are added first.
    run.stretches(x, limit::<TERNARY, 0>(), |n, blocks| {
        let mut sums = [[_mm512_setzero_si512(); 4]; ROWS];
        for i in 0..n {
            for k in 0..ROWS {
                let block = blocks[k].after::<0>(i);
                sums[k] = if block.units == BLOCK_UNITS {
                    with_trits::<true>(sums[k], &block)
                } else {
                    with_trits::<false>(sums[k], &block)
                };
            }
        }
        // SAFETY: a block has four multipliers, and `multipliers` points to those of a block.
        let multipliers = spread(unsafe { &*blocks[0].multipliers.cast() });
        for k in 0..ROWS {
            let [p0, p1, p2, p3] = sums[k];
            let low = _mm512_add_epi32(p0, _mm512_srai_epi32::<2>(p1));
            let high = _mm512_add_epi32(_mm512_srai_epi32::<4>(p2), _mm512_srai_epi32::<6>(p3));
            let products = multiplied(_mm512_add_epi32(low, high), multipliers);
            totals[k] = _mm512_add_epi64(totals[k], products);
        }
    });
    added(totals)
}

/// Sums for each position, 4^p too large, with Σ code · q of one block more.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn with_trits<const FULL: bool>([p0, p1, p2, p3]: [__m512i; 4], b: &BlockPtr) -> [__m512i; 4] {
    // The digits stay where they are in the byte: masking them is all there is to do.
    let v = plane::<FULL>(b, 0);
    let add = |sum, p: usize| {
        let digits = _mm512_and_si512(v, _mm512_set1_epi8((3u8 << (2 * p)) as i8));
        _mm512_dpbusd_epi32(sum, digits, activations(b, p))
    };
    [add(p0, 0), add(p1, 1), add(p2, 2), add(p3, 3)]
}

/// 32-bit sums, those of unit `s` in 128-bit lane `s`, times its multiplier, as 64 bits.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn multiplied(sums: __m512i, multipliers: __m512i) -> __m512i {
    // Both 32-bit sums of a 64-bit lane belong to one unit.
    let pairs = _mm512_add_epi32(sums, _mm512_srli_epi64::<32>(sums));
    _mm512_mul_epi32(pairs, multipliers)
}

/// The sum of the eight numbers of each total.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn added<const ROWS: usize>(totals: [__m512i; ROWS]) -> [i64; ROWS] {
    let mut sums = [0; ROWS];
    for (sum, total) in sums.iter_mut().zip(totals) {
        *sum = _mm512_reduce_add_epi64(total);
    }
    sums
}

/// The multipliers of a block, each in the lane of its unit.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn spread(multipliers: &[u32; BLOCK_UNITS]) -> __m512i {
    // SAFETY: four numbers of 32 bits.
    let m = unsafe { _mm_loadu_si128(multipliers.as_ptr().cast()) };
    let index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    _mm512_permutexvar_epi32(index, _mm512_castsi128_si512(m))
}

/// A block of a digit plane; zeros beyond the units that there are.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn plane<const FULL: bool>(b: &BlockPtr, tier: usize) -> __m512i {
    let bytes = b.digits[tier].cast::<i8>();
    if FULL {
        // SAFETY: a block of four units has 64 bytes of each digit plane that the lane reads.
        unsafe { _mm512_loadu_si512(bytes.cast()) }
    } else {
        // SAFETY: the mask reads 16 bytes for each unit that there is.
        unsafe { _mm512_maskz_loadu_epi8((1 << (16 * b.units)) - 1, bytes) }
    }
}

/// The group scales of a block, the first in the lowest byte.
#[inline]
pub(super) fn scale_bytes<const GROUP: u8, const FULL: bool>(b: &BlockPtr) -> u64 {
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
pub(super) unsafe fn first_bytes<const FULL: bool>(bytes: *const u8, len: usize) -> u64 {
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
pub(super) fn activations(b: &BlockPtr, p: usize) -> __m512i {
    // SAFETY: a block has 4 × 64 activations.
    unsafe { _mm512_loadu_si512(b.q.add(64 * p).cast()) }
}

/// Magnitude of a code, and of an activation, at most.
const LARGEST: u32 = 127;

// The two 32-bit sums of a 64-bit lane are added: 32 products of twice a code, and the offset of 64.
const _: () = assert!((2 * 32 + 64) * LARGEST * LARGEST * 255 < 1 << 31);

/// `(low − offset) · scale + (high − offset') · scale'` for groups of 32; for those of 64 the second
/// term, where `high` holds both.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn scaled<const GROUP: u8, const FULL: bool>(
    low: __m512i,
    high: __m512i,
    offsets: [__m512i; 2],
    b: &BlockPtr,
) -> __m512i {
    let (low, high) = (_mm512_sub_epi32(low, offsets[0]), _mm512_sub_epi32(high, offsets[1]));
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

/// Σ value(code) · q · group scale for ternary codes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
pub(super) fn ternary<const GROUP: u8, const FULL: bool>(
    b: &BlockPtr,
    offsets: [__m512i; 2],
) -> __m512i {
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
        scaled::<GROUP, FULL>(low, high, offsets, b)
    } else {
        let ones = _mm512_dpbusd_epi32(p0, c2, x(2));
        let fours = _mm512_dpbusd_epi32(p1, c3, x(3));
        let all = _mm512_add_epi32(ones, _mm512_srai_epi32::<2>(fours));
        scaled::<GROUP, FULL>(zero, all, offsets, b)
    }
}

/// The product of a row from its sum: with the values where there are group scales, else with the
/// codes.
#[inline(always)]
pub(super) fn finish<P: Product>(w: &LaneView<'_>, r: usize, dot: i64, x: &Activations<'_>) -> P {
    if w.group() == Group::Row {
        return scalar::finish(w, r, dot, x.total, x);
    }
    scalar::product(w, r, dot, x)
}

/// `zero · Σ q` of the half units of a block, in places of the lanes of their units: of positions
/// {0, 1} and {2, 3} for groups of 32, of all in the second for groups of 64.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn offsets<const GROUP: u8>(
    zero: i32,
    x: &Activations<'_>,
    block: usize,
) -> [__m512i; 2] {
    let none = [_mm512_setzero_si512(); 2];
    let (sums, _) = x.sums.as_chunks::<{ 2 * BLOCK_UNITS }>();
    let Some(sums) = sums.get(block).filter(|_| GROUP != 0) else { return none };
    // SAFETY: eight numbers of 16 bits.
    let sums = unsafe { _mm_loadu_si128(sums.as_ptr().cast()) };
    // At most 128 · 4064.
    let products = _mm512_mul_epi32(_mm512_cvtepi16_epi64(sums), _mm512_set1_epi64(zero.into()));
    let at = |dwords| _mm512_maskz_mov_epi32(dwords, products);
    if GROUP == 32 { [at(0x1111), at(0x4444)] } else { [none[0], at(0x5555)] }
}

/// The kernels of a set of instructions, all but one function: expects `codes::<LANE, FULL, P>(&BlockPtr)`
/// beside it, the seven-bit codes of position `P` of a block, zero where the lane does not
/// read them.
macro_rules! kernels {
    ($features:literal) => {
        super::block::lane_matvec!($features, rows 4 4 4 4);
        super::combine::combine!($features);

        /// Σ group scale · multiplier · Σ value(code) · q for each row; without group scales, with the
        /// codes in place of their values.
        #[target_feature(enable = $features)]
        #[inline]
        fn dots<const LANE: u8, const GROUP: u8, const ROWS: usize>(
            run: Run<ROWS>,
            x: &Activations<'_>,
        ) -> [i64; ROWS] {
            if LANE == TERNARY && GROUP == 0 {
                return trit_dots(run, x);
            }
            let rows = run.rows();
            let mut totals = [_mm512_setzero_si512(); ROWS];
            let (multipliers, _) = x.multipliers.as_chunks::<BLOCK_UNITS>();
            let (full, rest) = multipliers.split_at(run.full_blocks().min(multipliers.len()));
            for (b, multipliers) in full.iter().enumerate() {
                let (multipliers, offsets) = (spread(multipliers), offsets::<GROUP>(run.zero(), x, b));
                for k in 0..ROWS {
                    let sums = block::<LANE, GROUP, true>(&rows[k].after::<GROUP>(b), offsets);
                    totals[k] = _mm512_add_epi64(totals[k], multiplied(sums, multipliers));
                }
            }
            if let Some(multipliers) = rest.first() {
                let b = full.len();
                let (multipliers, offsets) = (spread(multipliers), offsets::<GROUP>(run.zero(), x, b));
                for k in 0..ROWS {
                    let last = BlockPtr { units: run.units_left(), ..rows[k].after::<GROUP>(b) };
                    let sums = block::<LANE, GROUP, false>(&last, offsets);
                    totals[k] = _mm512_add_epi64(totals[k], multiplied(sums, multipliers));
                }
            }
            added(totals)
        }

        /// The terms of [`dots`] of a block, which may be FULL or not, before multipliers.
        #[target_feature(enable = $features)]
        #[inline]
        fn block<const LANE: u8, const GROUP: u8, const FULL: bool>(
            b: &BlockPtr,
            offsets: [__m512i; 2],
        ) -> __m512i {
            if LANE == TERNARY {
                return ternary::<GROUP, FULL>(b, offsets);
            }
            let zero = _mm512_setzero_si512();
            let low = _mm512_dpbusd_epi32(zero, codes::<LANE, FULL, 0>(b), activations(b, 0));
            let low = _mm512_dpbusd_epi32(low, codes::<LANE, FULL, 1>(b), activations(b, 1));
            let high = if GROUP == 32 { zero } else { low };
            let high = _mm512_dpbusd_epi32(high, codes::<LANE, FULL, 2>(b), activations(b, 2));
            let high = _mm512_dpbusd_epi32(high, codes::<LANE, FULL, 3>(b), activations(b, 3));
            if GROUP == 0 {
                return high;
            }
            let twice = |sum| _mm512_add_epi32(sum, sum);
            scaled::<GROUP, FULL>(twice(low), twice(high), offsets, b)
        }

        /// The sums of a tile over a block, see [`combine`](super::combine).
        #[target_feature(enable = $features)]
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
        #[target_feature(enable = $features)]
        #[inline]
        fn block_columns<const LANE: u8, const GROUP: u8, const FULL: bool>(
            tile: &Tile,
            block: usize,
            units: usize,
            sums: &mut [i32; BLOCK],
        ) {
            let mut columns = Columns::zero();
            for (i, pair) in tile.pairs().iter().enumerate() {
                if let Some(next) = tile.pairs().get(i + AHEAD) {
                    prefetch_pair::<LANE, GROUP>(&next.at::<GROUP>(block, units));
                }
                let pair = pair.at::<GROUP>(block, units);
                let factors = columns.factors::<GROUP, FULL>(&pair);
                add::<LANE, FULL, 0>(&mut columns, &pair, factors);
                add::<LANE, FULL, 1>(&mut columns, &pair, factors);
                add::<LANE, FULL, 2>(&mut columns, &pair, factors);
                add::<LANE, FULL, 3>(&mut columns, &pair, factors);
            }
            columns.store::<LANE>(tile.zero, sums);
        }

        /// Adds position `P` of a pair of rows.
        #[target_feature(enable = $features)]
        #[inline]
        fn add<const LANE: u8, const FULL: bool, const P: usize>(
            columns: &mut Columns,
            pair: &Pair,
            factors: [__m512i; 2],
        ) {
            let [a, b] = &pair.rows;
            let (a, b) = if LANE == TERNARY {
                (trits::<FULL, P>(a), trits::<FULL, P>(b))
            } else {
                (codes::<LANE, FULL, P>(a), codes::<LANE, FULL, P>(b))
            };
            columns.add::<P>(a, b, factors);
        }
    };
}
pub(super) use kernels;
