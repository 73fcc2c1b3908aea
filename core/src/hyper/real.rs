//! Hypervectors of real numbers.

use super::TritPlanesMut;
use crate::error::{ArgumentError, check_count, check_parameter, check_values, wide};
use crate::pi::PiChaos;

/// The thermometer of a level: the first `⌊dim·level/(levels − 1)⌋` trits are +1, the others −1.
///
/// The cosine of two levels falls in a straight line from 1 to −1 as they part: near numbers have
/// near vectors (Rahimi 2016). Exact.
///
/// # Errors
/// [`ArgumentError::Count`] for fewer than two levels or a level that there is not.
pub fn thermometer(
    level: usize,
    levels: usize,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    check_count("levels", wide(levels), 2, i64::MAX)?;
    check_count("level", wide(level), 0, wide(levels) - 1)?;
    // Below dim, since level < levels; the product of two `usize` fits.
    let ones = (out.dim() as u128 * level as u128 / (levels as u128 - 1)) as usize;
    out.write_words((0..).step_by(64).map(|first: usize| {
        let bits = match ones.saturating_sub(first) {
            n @ 0..64 => (1 << n) - 1,
            _ => u64::MAX,
        };
        [bits, !bits]
    }));
    Ok(())
}

/// The level of a number: `round((x − low)/(high − low)·(levels − 1))`, halves up, with numbers
/// outside the range at its ends. Ordered.
///
/// # Errors
/// [`ArgumentError::NotFinite`] for NaN or infinity, [`ArgumentError::Parameter`] for a range that
/// is empty or not finite, [`ArgumentError::Count`] for levels outside 2 to 65,536.
///
/// ```
/// use trilane_core::hyper::level_of;
/// assert_eq!([-3.0, 0.0, 5.1, 99.0].map(|x| level_of(x, 0.0, 10.0, 11).unwrap()), [0, 0, 5, 10]);
/// ```
pub fn level_of(x: f32, low: f32, high: f32, levels: usize) -> Result<usize, ArgumentError> {
    check_values(&[x])?;
    check_parameter("low", low, f32::MIN, f32::MAX)?;
    check_parameter("high", high, low.next_up(), f32::MAX)?;
    check_count("levels", wide(levels), 2, 1 << 16)?;
    // In halves, whose difference does not overflow.
    let share = (x.clamp(low, high) / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
    Ok(((share * (levels - 1) as f32 + 0.5) as usize).min(levels - 1))
}

/// `out[j] = sign(Σᵢ R[i,j]·x[i])` with `R[i]` the dense random vector i of a seed: the cosine of two
/// projections is near `1 − 2θ/π` for vectors at an angle θ (Charikar 2002). A sum of 0 gives 0.
///
/// Ordered: each sum starts at +0 and takes its terms `±x[i]` in order. No matrix is stored; word w of
/// `R[i]` is made when it is needed, as [`random`](super::random) makes it of a key for `seed` and `i`.
///
/// # Errors
/// [`ArgumentError::Empty`] for no numbers, [`ArgumentError::NotFinite`] for NaN or infinity.
pub fn project(x: &[f32], seed: u64, out: &mut TritPlanesMut<'_>) -> Result<(), ArgumentError> {
    check_values(x)?;
    let rows = PiChaos::new().stream(seed);
    out.write_words((0..).map(|word| {
        let mut sums = [0.0f32; 64];
        for (i, x) in (0..).zip(x) {
            let row = rows.stream(i).bits(word);
            for (bit, sum) in sums.iter_mut().enumerate() {
                // The sign bit of x turned over where the bit of R is 0.
                let sign = ((!row >> bit) as u32 & 1) << 31;
                *sum += f32::from_bits(x.to_bits() ^ sign);
            }
        }
        sums.iter().rev().fold([0; 2], |[plus, minus], &sum| {
            [plus << 1 | u64::from(sum > 0.0), minus << 1 | u64::from(sum < 0.0)]
        })
    }));
    Ok(())
}
