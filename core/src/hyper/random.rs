//! Seeded hypervectors.
//!
//! Words come from [`PiChaos`], the finaliser of SplitMix64 over a counter with a key for each seed:
//! word `i` of a vector depends on the seed and `i` alone, so any part of any vector can be made
//! anywhere, the same bits on every platform. (The sequences of [`Weyl`](crate::pi::Weyl) would not
//! do: neighbouring terms are correlated.) Not for secrets.

use super::TritPlanesMut;
use crate::error::{ArgumentError, check_parameter};
use crate::pi::PiChaos;

/// A dense vector: every trit −1 or +1, each by the bit of its place in the words of the seed.
/// Vectors of different seeds are nearly orthogonal: their cosine has mean 0 and standard deviation
/// 1/√dim. Exact.
pub fn random(seed: u64, out: &mut TritPlanesMut<'_>) {
    let words = PiChaos::new().stream(seed);
    out.write_words((0..).map(|at| {
        let bits = words.bits(at);
        [bits, !bits]
    }));
}

/// A vector of −1, 0 and +1 whose trits are 0 with probability `sparsity`, rounded to a multiple of
/// 2⁻¹⁶, and of either sign alike otherwise. Exact.
///
/// # Errors
/// [`ArgumentError::Parameter`] for a sparsity outside 0 to 1.
pub fn random_sparse(
    seed: u64,
    sparsity: f32,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    check_parameter("sparsity", sparsity, 0.0, 1.0)?;
    let words = PiChaos::new().stream(seed);
    // Of 65,536 equally likely numbers, so many make a zero.
    let zeros = (sparsity * 65_536.0 + 0.5) as u32;
    out.write_words((0..).map(|at| {
        let mut bits = (17 * at..).map(|i| words.bits(i));
        let signs = bits.next().unwrap_or(0);
        // Whether the number of each place is below `zeros`, from its lowest bit upwards.
        let below = (0..16).zip(bits).fold(0, |below, (weight, bit)| {
            if zeros >> weight & 1 != 0 { below | !bit } else { below & !bit }
        });
        let zero = if zeros == 65_536 { u64::MAX } else { below };
        [signs & !zero, !signs & !zero]
    }));
    Ok(())
}
