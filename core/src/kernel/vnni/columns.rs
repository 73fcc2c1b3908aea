//! Sums of rows, a block of columns at a time.

use super::super::block::{BlockPtr, FIRST, SECOND, TERNARY, THIRD, prefetch};
use super::super::combine::Pair;
use super::{plane, scale_bytes};
use crate::digits::{BLOCK, UNIT};
use core::arch::x86_64::*;

/// Σ k · code over pairs of rows, for the 256 columns of a block, and Σ k.
pub(crate) struct Columns {
    /// Of each position: even and odd bytes of the first eight, then of the last eight.
    products: [[__m512i; 4]; 4],
    /// For positions {0, 1} and {2, 3}.
    factors: [__m512i; 2],
}

impl Columns {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn zero() -> Self {
        let zero = _mm512_setzero_si512();
        Self { products: [[zero; 4]; 4], factors: [zero; 2] }
    }

    /// Adds the factors of a pair of rows, and gives them for positions {0, 1} and {2, 3}.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    #[inline]
    pub(crate) fn factors<const GROUP: u8, const FULL: bool>(
        &mut self,
        pair: &Pair,
    ) -> [__m512i; 2] {
        let k = pair_factors::<GROUP, FULL>(pair);
        for (sum, k) in self.factors.iter_mut().zip(k) {
            *sum = _mm512_dpwssd_epi32(*sum, k, _mm512_set1_epi16(1));
        }
        k
    }

    /// Adds position `P` of a pair of rows whose codes are `a` and `b`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    #[inline]
    pub(crate) fn add<const P: usize>(&mut self, a: __m512i, b: __m512i, factors: [__m512i; 2]) {
        let (byte, k) = (_mm512_set1_epi16(0xFF), factors[P / 2]);
        let (first, last) = (_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b));
        let [p0, p1, p2, p3] = &mut self.products[P];
        *p0 = _mm512_dpwssd_epi32(*p0, _mm512_and_si512(first, byte), k);
        *p1 = _mm512_dpwssd_epi32(*p1, _mm512_srli_epi16::<8>(first), k);
        *p2 = _mm512_dpwssd_epi32(*p2, _mm512_and_si512(last, byte), k);
        *p3 = _mm512_dpwssd_epi32(*p3, _mm512_srli_epi16::<8>(last), k);
    }

    /// Σ k · value of each column in order, where a value is a code, or two, less `zero`.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(crate) fn store<const LANE: u8>(self, zero: i32, sums: &mut [i32; BLOCK]) {
        for (p, products) in self.products.into_iter().enumerate() {
            let offset = _mm512_mullo_epi32(self.factors[p / 2], _mm512_set1_epi32(zero));
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

/// Pairs of rows that are on their way from memory while one is added: rows are listed in no order,
/// which no processor foresees.
pub(crate) const AHEAD: usize = 4;

/// Fetches the planes that a lane reads of a pair of rows.
#[inline(always)]
pub(crate) fn prefetch_pair<const LANE: u8, const GROUP: u8>(pair: &Pair) {
    for row in &pair.rows {
        for (tier, plane) in [FIRST, SECOND, THIRD].into_iter().zip(row.digits) {
            if LANE & tier != 0 || LANE == TERNARY && tier == FIRST {
                prefetch(plane);
            }
        }
        if LANE & FIRST != 0 {
            prefetch(row.high);
        }
        if GROUP != 0 {
            prefetch(row.scales);
        }
    }
}

/// Ternary codes of position `P`.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(crate) fn trits<const FULL: bool, const P: usize>(b: &BlockPtr) -> __m512i {
    let v = plane::<FULL>(b, 0);
    let digits = match P {
        0 => v,
        1 => _mm512_srli_epi16::<2>(v),
        2 => _mm512_srli_epi16::<4>(v),
        _ => _mm512_srli_epi16::<6>(v),
    };
    _mm512_and_si512(digits, _mm512_set1_epi8(3))
}
