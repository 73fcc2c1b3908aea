//! Hexadecimal digits of π, computed where they are wanted.

use super::PiError;

/// The greatest position whose moduli `8k + 6` stay below 2³⁰, so that sixteen times the square of a
/// residue fits 64 bits.
pub const LAST_POSITION: u64 = (1 << 27) - 1;

/// Terms after the integer powers of 16: the 32 that are at least 2⁻¹²⁸.
const TAIL: u64 = 32;

/// Sixteen hexadecimal digits of π's fraction from `position` on, the first one in the highest four
/// bits; position 0 is the first digit after the point, so `hex_digits(0)` is 243F6A8885A308D3.
///
/// The formula of Bailey, Borwein and Plouffe (1997) gives digits without those before them:
///
/// ```text
/// π = Σ_k 16⁻ᵏ · (4/(8k+1) − 2/(8k+4) − 1/(8k+5) − 1/(8k+6))
/// frac(16ᵈ·π) = frac(Σ_k 4·f(k,1) − 2·f(k,4) − f(k,5) − f(k,6)),   f(k,j) = 16^(d−k) / (8k+j)
/// ```
///
/// For k ≤ d the numerator is taken modulo `8k + j` by integers, since only the fraction counts; the
/// quotient is kept in 128-bit fixed point, and sums wrap, which is arithmetic modulo 1. Exact: each
/// of the 4·(d+33) quotients is cut by less than 2⁻¹²⁸ and counts at most fourfold, so the sum errs by
/// less than `16·(d+33)·2⁻¹²⁸`, and a sum closer than that to a change of the 64 bits returned is
/// refused, not guessed.
///
/// Time grows as d·log d: d = 10⁶ takes 1 s of a server's core, 10⁷ about 11 s.
///
/// # Errors
/// [`PiError::TooLarge`] beyond [`LAST_POSITION`]; [`PiError::Undecided`] where the error bound
/// reaches over a boundary (a chance of 2⁻³² at the last position; seen nowhere).
///
/// ```
/// assert_eq!(trilane_core::pi::hex_digits(0)?, 0x243F_6A88_85A3_08D3);
/// assert_eq!(trilane_core::pi::hex_digits(16)?, 0x1319_8A2E_0370_7344);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
pub fn hex_digits(position: u64) -> Result<u64, PiError> {
    if position > LAST_POSITION {
        return Err(PiError::TooLarge { greatest: LAST_POSITION, actual: position });
    }
    let mut sum = 0u128;
    for k in 0..=position {
        let f = |j: u64| fraction(power(position - k, 8 * k + j), 8 * k + j);
        sum = sum.wrapping_add(four_terms(f));
    }
    for i in 1..TAIL {
        // 16⁻ⁱ / (8k + j), with i·4 bits of the quotient shifted out.
        let k = position + i;
        sum = sum.wrapping_add(four_terms(|j| fraction(1, 8 * k + j) >> (4 * i)));
    }
    let error = 16 * u128::from(position + TAIL + 1);
    let (low, high) = (sum.wrapping_sub(error) >> 64, sum.wrapping_add(error) >> 64);
    if low == high { Ok(high as u64) } else { Err(PiError::Undecided { position }) }
}

/// `4·f(1) − 2·f(4) − f(5) − f(6)` modulo 1.
fn four_terms(f: impl Fn(u64) -> u128) -> u128 {
    let negative = f(4).wrapping_mul(2).wrapping_add(f(5)).wrapping_add(f(6));
    f(1).wrapping_mul(4).wrapping_sub(negative)
}

/// `16^exponent mod modulus`, from the exponent's highest bits down, the first four at once.
/// `modulus < 2³⁰`.
const fn power(exponent: u64, modulus: u64) -> u64 {
    let bits = u64::BITS - exponent.leading_zeros();
    let mut rest = bits.saturating_sub(4);
    let mut result = (1 << (4 * (exponent >> rest))) % modulus;
    while rest > 0 {
        rest -= 1;
        result = ((result * result) << (4 * (exponent >> rest & 1))) % modulus;
    }
    result
}

/// `⌊2¹²⁸ · numerator / denominator⌋` for `numerator < denominator < 2³²`: long division by four
/// digits of 32 bits. (`1/1`, the first term of position 0, is 0 modulo 1.)
fn fraction(numerator: u64, denominator: u64) -> u128 {
    let mut remainder = numerator % denominator;
    let mut quotient = 0;
    for _ in 0..4 {
        remainder <<= 32;
        quotient = quotient << 32 | u128::from(remainder / denominator);
        remainder %= denominator;
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_and_fractions_are_those_of_integers() {
        assert_eq!(power(0, 1), 0);
        assert_eq!(power(0, 7), 1);
        assert_eq!(power(3, 4097), 4096);
        assert_eq!(power(10_001, (1 << 30) - 2), {
            (0..10_001).fold(1, |p, _| p * 16 % ((1 << 30) - 2))
        });
        assert_eq!(fraction(1, 3), u128::MAX / 3);
        assert_eq!(fraction(1, 1), 0);
        assert_eq!(fraction(4_294_967_290, 4_294_967_291) >> 96, 0xFFFF_FFFE);
    }

    #[test]
    fn positions_beyond_the_last_are_refused() {
        let error = PiError::TooLarge { greatest: LAST_POSITION, actual: LAST_POSITION + 1 };
        assert_eq!(hex_digits(LAST_POSITION + 1), Err(error));
    }
}
