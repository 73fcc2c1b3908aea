//! The second matrix of a block stored by neuron: a sum of the rows of chosen neurons.

use super::{Lists, NeuronRows};
use crate::digits::BLOCK;
use crate::kernel::{Backend, Pool, Terms};
use crate::lane::PrecisionLane;
use crate::nn::{LinearError, same_len};
use crate::quant::max_magnitude;

/// Largest magnitude of an integer that stands for a hidden value.
const LARGEST: f32 = 32_767.0;

/// Bound of the sum of their magnitudes: with weights of at most 128 half steps, sums fit an i32.
const LARGEST_SUM: u64 = 1 << 24;

/// Vectors whose largest magnitude is below this (2⁻¹⁰⁰) are taken as zero, as activations are.
const SMALLEST: f32 = f32::from_bits((127 - 100) << 23);

/// The hidden values of chosen neurons as integers, `h ≈ q · step`.
///
/// `q = round(h · 32767 / max|h|)`, ties to even, halved (half up) as often as it takes for Σ|q|
/// and the number of those that are not 0 to stay below 2²⁴ in sum: zeros change nothing. Ordered.
///
/// # Errors
/// [`LinearError::Quant`] when a value is not finite.
pub(super) fn integers(h: &[f32], q: &mut [i16]) -> Result<f32, LinearError> {
    let max = max_magnitude(h)?;
    if max < SMALLEST {
        q.fill(0);
        return Ok(0.0);
    }
    let inverse = LARGEST / max;
    let (mut sum, mut some) = (0u64, 0u64);
    for (q, h) in q.iter_mut().zip(h) {
        *q = crate::math::round_half_even(h * inverse) as i16;
        sum += u64::from(q.unsigned_abs());
        some += u64::from(*q != 0);
    }
    let mut shift = 0;
    while (sum >> shift) + some >= LARGEST_SUM && shift < 15 {
        shift += 1;
    }
    if shift > 0 {
        let half = 1 << (shift - 1);
        q.iter_mut().for_each(|q| *q = ((i32::from(*q) + half) >> shift) as i16);
    }
    Ok(max / LARGEST * (1u32 << shift) as f32)
}

/// `y = Σ_i h[i] · down[rows[i]]`, each row at the lane of its list.
///
/// Shapes: `down` hidden × dim, `h` and `q` as many values as there are rows, `y` dim. The row
/// scales go into `h`, which is overwritten; the sum is an exact integer.
///
/// # Errors
/// [`LinearError`]: a slice that does not match, or a value that is not finite.
pub(super) fn combine(
    backend: impl Backend,
    pool: &dyn Pool,
    down: &NeuronRows<'_>,
    lists: &Lists<'_>,
    h: &mut [f32],
    q: &mut [i16],
    y: &mut [f32],
) -> Result<(), LinearError> {
    same_len(down.cols(), y.len())?;
    same_len(lists.len(), h.len())?;
    same_len(lists.len(), q.len())?;
    let mut at = 0;
    for (lane, rows) in lists.each() {
        let scales = down.row_scales(lane)?;
        for (h, &row) in h.iter_mut().skip(at).zip(rows) {
            *h *= scales.get(row as usize).copied().unwrap_or(0.0);
        }
        at += rows.len();
    }
    let mut scale = integers(h, q)?;
    if !down.scaled_by_row() {
        // The integers that multiply the weights have been divided by 256 with the group scale.
        scale *= 256.0;
    }
    // An integer takes the place of a float.
    match down {
        NeuronRows::Resident(matrix) => {
            let mut parts: heapless::Vec<Terms<'_>, 3> = heapless::Vec::new();
            for (lane, rows, q) in terms(lists, q) {
                // There are three lists.
                let _ = parts.push(Terms { view: matrix.lane(lane)?, rows, q });
            }
            pool.spread(y, BLOCK, lists.len() * matrix.cols(), &|first, y| {
                if let Ok(sums) = bytemuck::try_cast_slice_mut(y) {
                    backend.combine(&parts, first, sums);
                }
            });
        }
        // The sums of pieces are exact integers, so their sum is that of all.
        #[cfg(feature = "stored")]
        NeuronRows::Stored { .. } => {
            y.fill(0.0);
            for (lane, rows, q) in terms(lists, q) {
                down.listed(None, lane, rows, |first, _, view, rows| {
                    let q = q.get(first..).and_then(|q| q.get(..rows.len())).unwrap_or(&[]);
                    let terms = [Terms { view: *view, rows, q }];
                    pool.spread(y, BLOCK, rows.len() * view.cols(), &|first, y| {
                        for (block, y) in y.chunks_mut(BLOCK).enumerate() {
                            let mut sums = [0; BLOCK];
                            let sums = sums.get_mut(..y.len()).unwrap_or(&mut []);
                            backend.combine(&terms, first + block * BLOCK, sums);
                            for (y, sum) in y.iter_mut().zip(sums) {
                                let total = y.to_bits().cast_signed().wrapping_add(*sum);
                                *y = f32::from_bits(total.cast_unsigned());
                            }
                        }
                    });
                })?;
            }
        }
    }
    for y in y {
        *y = y.to_bits().cast_signed() as f32 * scale;
    }
    Ok(())
}

/// Each list that is not empty, with its lane and its part of the hidden values.
fn terms<'l>(
    lists: &Lists<'l>,
    q: &'l [i16],
) -> impl Iterator<Item = (PrecisionLane, &'l [u32], &'l [i16])> {
    let mut rest = q;
    let parts = lists.each().map(move |(lane, rows)| {
        let (q, after) = rest.split_at(rows.len().min(rest.len()));
        rest = after;
        (lane, rows, q)
    });
    parts.filter(|(_, rows, _)| !rows.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_proportions_and_their_bound() {
        let mut q = [0; 5];
        let step = integers(&[1.0, -0.5, 0.25, 0.0, 1e-9], &mut q).unwrap();
        assert_eq!(q, [32767, -16384, 8192, 0, 0]);
        assert!((32767.0 * step - 1.0).abs() < 1e-6);
        // A thousand equal values would sum to 32,767,000.
        let (h, mut q) = ([-3.0; 1000], [0; 1000]);
        let step = integers(&h, &mut q).unwrap();
        assert!(q.iter().all(|&q| (f32::from(q) * step + 3.0).abs() < 3.0 / 16_000.0));
        let sum: u64 = q.iter().map(|q| u64::from(q.unsigned_abs())).sum();
        assert!(sum < LARGEST_SUM);
    }

    #[test]
    fn zeros_and_values_that_are_not_finite() {
        let mut q = [7; 2];
        assert_eq!(integers(&[0.0, 1e-38], &mut q), Ok(0.0));
        assert_eq!(q, [0, 0]);
        assert!(integers(&[0.0, f32::NAN], &mut q).is_err());
    }
}
