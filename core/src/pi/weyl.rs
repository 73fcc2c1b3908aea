//! Weyl sequences of π in 128-bit fixed point.

/// `⌊(π − 3)·2¹²⁸⌋`.
pub(super) const FRACTION: u128 = 0x243F_6A88_85A3_08D3_1319_8A2E_0370_7344;

/// Which multiples of π give the sequence (Weyl 1916: both are equidistributed modulo 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeylSequence {
    /// `frac(π·n)`: low discrepancy, what averages want; consecutive terms are correlated.
    Linear,
    /// `frac(π·n²)`: a spectrum as flat as white noise has, what dither wants.
    Quadratic,
}

/// The sequence `frac(π·n)` or `frac(π·n²)`, n counting up from a start. Exact.
///
/// **Why it is exact.** Modulo 1 the integer part of π plays no role, so `P = ⌊(π − 3)·2¹²⁸⌋` stands
/// for π, and with `m = n` or `m = n²` the term is `P·m mod 2¹²⁸`: wrapping integer arithmetic *is*
/// arithmetic modulo 1, nothing is rounded, and no term depends on how it was reached. As
/// `0 ≤ (π − 3) − P·2⁻¹²⁸ < 2⁻¹²⁸`, the term lies below `frac(π·m)` by less than `m·2⁻¹²⁸`. The 64
/// bits returned are therefore the first 64 bits of `frac(π·m)` wherever the other 64 bits plus `m`
/// do not carry; for linear terms that fails with probability `n·2⁻⁶⁴`. The tests show that the
/// first 2²⁰ terms of both sequences agree in all 64 bits with a π of 192 bits.
///
/// A term costs two 128-bit additions, since `π(n+1)² = πn² + π(2n+1)`; counted on beyond n = 2⁶⁴,
/// the terms go on modulo 1 all the same.
///
/// ```
/// use trilane_core::pi::{Weyl, WeylSequence};
/// let mut linear = Weyl::new(WeylSequence::Linear);
/// assert_eq!(linear.next_bits(), 0); // n = 0
/// assert_eq!(linear.next_bits(), 0x243F_6A88_85A3_08D3); // π − 3
/// let mut quadratic = Weyl::starting_at(WeylSequence::Quadratic, 1_000_000_007);
/// assert_eq!(quadratic.next_bits(), Weyl::term(WeylSequence::Quadratic, 1_000_000_007));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weyl {
    /// The term that comes next.
    term: u128,
    /// What is added to it.
    difference: u128,
    /// What is added to the difference: 0, or 2π for squares.
    second: u128,
}

impl Weyl {
    /// The sequence from n = 0.
    pub const fn new(sequence: WeylSequence) -> Self {
        Self::starting_at(sequence, 0)
    }

    /// The sequence from any n.
    pub const fn starting_at(sequence: WeylSequence, n: u64) -> Self {
        let term = wide_term(sequence, n);
        match sequence {
            WeylSequence::Linear => Self { term, difference: FRACTION, second: 0 },
            WeylSequence::Quadratic => Self {
                term,
                difference: FRACTION.wrapping_mul(2 * n as u128 + 1),
                second: FRACTION.wrapping_mul(2),
            },
        }
    }

    /// The term of index n by itself: the first 64 bits of the fraction. Exact.
    pub const fn term(sequence: WeylSequence, n: u64) -> u64 {
        (wide_term(sequence, n) >> 64) as u64
    }

    /// The next term: the first 64 bits of the fraction. Exact.
    pub const fn next_bits(&mut self) -> u64 {
        let term = self.term;
        self.term = term.wrapping_add(self.difference);
        self.difference = self.difference.wrapping_add(self.second);
        (term >> 64) as u64
    }

    /// The next term as a multiple of 2⁻²⁴ in [0, 1): its first 24 bits. Exact.
    pub const fn next_float(&mut self) -> f32 {
        unit_float(self.next_bits())
    }
}

/// The term of index n, all 128 bits. `n² < 2¹²⁸`, so the square does not wrap.
const fn wide_term(sequence: WeylSequence, n: u64) -> u128 {
    let n = n as u128;
    match sequence {
        WeylSequence::Linear => FRACTION.wrapping_mul(n),
        WeylSequence::Quadratic => FRACTION.wrapping_mul(n * n),
    }
}

/// The first 24 bits as a multiple of 2⁻²⁴ in [0, 1), which f32 holds exactly.
pub(super) const fn unit_float(bits: u64) -> f32 {
    (bits >> 40) as f32 / 16_777_216.0
}

/// The first 24 bits as the middle of their interval, minus ½: an odd multiple of 2⁻²⁵ in
/// (−½, ½), which f32 holds exactly. Symmetric about 0.
pub(super) const fn centered_float(bits: u64) -> f32 {
    (2 * (bits >> 40) as i32 + 1 - 16_777_216) as f32 / 33_554_432.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_and_random_access_agree_also_where_the_index_is_large() {
        for sequence in [WeylSequence::Linear, WeylSequence::Quadratic] {
            for start in [0, 1, (1 << 32) - 3, u64::MAX - 9] {
                let mut weyl = Weyl::starting_at(sequence, start);
                for i in 0..10 {
                    assert_eq!(weyl.next_bits(), Weyl::term(sequence, start + i), "{start}+{i}");
                }
            }
        }
    }

    #[test]
    fn floats_are_centred_and_stay_inside() {
        assert_eq!(unit_float(0), 0.0);
        assert_eq!(unit_float(u64::MAX), 1.0 - 1.0 / 16_777_216.0);
        assert_eq!(centered_float(0), -centered_float(u64::MAX));
        assert_eq!(centered_float(u64::MAX), 0.5 - 1.0 / 33_554_432.0);
        assert_eq!(centered_float(1 << 63), 1.0 / 33_554_432.0);
    }
}
