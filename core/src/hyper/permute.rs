//! Permutation: what says where in an order something stands.

use super::{TritPlanes, TritPlanesMut};
use crate::error::{ArgumentError, check_lengths};

/// `out[(i + by) mod dim] = a[i]`: a cyclic shift by any number of places, backwards for a negative
/// one, so that `−by` undoes it (Kanerva 2009). Keeps every similarity; a shifted dense random vector
/// is nearly orthogonal to what it was. Exact.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn permute(
    a: &TritPlanes<'_>,
    by: i64,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    let dim = a.dim();
    check_lengths(dim, out.dim())?;
    let up = i128::from(by).rem_euclid(dim as i128) as usize;
    out.write_planes(a, |from, to| {
        // Bits that pass the end come in at the beginning.
        shift_up(from, up, to);
        add_shifted_down(from, dim - up, to);
    });
    Ok(())
}

/// `to = from · 2^by` in as many bits as the words have.
fn shift_up(from: &[u64], by: usize, to: &mut [u64]) {
    let (zeros, to) = to.split_at_mut(by / 64);
    zeros.fill(0);
    let bits = by % 64;
    let above = from.iter().zip(from.iter().skip(1));
    let words = above.map(|(below, word)| word << bits | below >> 1 >> (63 - bits));
    let lowest = from.iter().take(1).map(|word| word << bits);
    to.iter_mut().zip(lowest.chain(words)).for_each(|(to, word)| *to = word);
}

/// `to = to | ⌊from / 2^by⌋`.
fn add_shifted_down(from: &[u64], by: usize, to: &mut [u64]) {
    let from = from.get(by / 64..).unwrap_or(&[]);
    let bits = by % 64;
    let below = from.iter().zip(from.iter().skip(1).chain([&0]));
    let words = below.map(|(word, above)| word >> bits | above << 1 << (63 - bits));
    to.iter_mut().zip(words).for_each(|(to, word)| *to |= word);
}
