//! Error feedback: what a message leaves out goes into the next, and meanwhile moves the worker alone.

use super::{Codec, LARGEST, check_finite, check_magnitudes};
use crate::error::{ArgumentError, check_lengths, check_parameter};

/// `residual += gradient`: what there is to send. Ordered.
///
/// # Errors
/// [`ArgumentError::Length`]; [`ArgumentError::NotFinite`] or [`ArgumentError::Parameter`] when a
/// sum is not finite or above [`LARGEST`]. The residual then stays as it was.
pub fn feed(gradient: &[f32], residual: &mut [f32]) -> Result<(), ArgumentError> {
    check_lengths(residual.len(), gradient.len())?;
    let sums = || gradient.iter().zip(residual.iter()).map(|(g, r)| g + r);
    // Magnitudes are in the order of their bits, NaN above all.
    let largest = sums().fold(0, |max, v| (v.to_bits() & 0x7FFF_FFFF).max(max));
    if largest > LARGEST.to_bits() {
        if let Some(index) = sums().position(|v| !v.is_finite()) {
            return Err(ArgumentError::NotFinite { index });
        }
        check_parameter("magnitude", f32::from_bits(largest), 0.0, LARGEST)?;
    }
    for (r, g) in residual.iter_mut().zip(gradient) {
        *r += g;
    }
    Ok(())
}

/// `residual −= decode(message)`, the worker's own message of the last round. Ordered.
///
/// # Errors
/// Those of [`Codec::add_decoded`].
pub fn settle<C: Codec + ?Sized>(
    codec: &C,
    message: &[u32],
    residual: &mut [f32],
) -> Result<(), ArgumentError> {
    codec.add_decoded(message, -1.0, residual)
}

/// Most times that [`step_ahead`] takes a residual.
const MOST_AHEAD: f32 = 65_536.0;

/// `weights −= factor·residual`: where a worker stands that has taken the steps that it has not sent
/// yet. Ordered.
///
/// For residuals in units of weights: feed the gradient times the learning rate, or what else a worker
/// would take off the weights. Its next gradient, computed there instead of at the shared weights,
/// knows what is still to come. Otherwise a residual that waits τ steps is a gradient τ steps old,
/// and descent along a curvature λ at a rate η stays stable only while ηλτ is of the order of one.
///
/// `factor` 1 goes by the worker's own part (Xu, Huo and Huang 2021); the number of workers goes on as if
/// all had the same to send, which is local SGD (Stich 2019) whose averages arrive through the codec.
/// The mean over the workers is then the shared weights less everything that is not sent; for one
/// worker the place where training without compression would be.
///
/// ```
/// use trilane_core::train::compress::{feed, step_ahead};
/// let (shared, mut residual) = ([1.0, 2.0], [0.0; 2]);
/// feed(&[0.5, -0.25], &mut residual)?;
/// let mut local = shared;
/// step_ahead(&residual, 4.0, &mut local)?;
/// assert_eq!(local, [-1.0, 3.0]);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
///
/// # Errors
/// [`ArgumentError::Length`]; [`ArgumentError::Parameter`] for a factor not in 0..=65,536;
/// [`ArgumentError::NotFinite`] or [`ArgumentError::Parameter`] for values that are not finite or above
/// [`LARGEST`]. The weights then stay as they were.
pub fn step_ahead(residual: &[f32], factor: f32, weights: &mut [f32]) -> Result<(), ArgumentError> {
    check_lengths(weights.len(), residual.len())?;
    check_parameter("factor", factor, 0.0, MOST_AHEAD)?;
    check_magnitudes(residual)?;
    check_magnitudes(weights)?;
    for (weight, r) in weights.iter_mut().zip(residual) {
        *weight -= factor * r;
    }
    Ok(())
}

/// `total += message`, word by word as f32: messages of codecs whose exchange is
/// [`AllReduce`](super::Exchange::AllReduce). Ordered: exact where the sums are.
///
/// # Errors
/// [`ArgumentError::Length`], [`ArgumentError::NotFinite`], or [`ArgumentError::Parameter`] for a
/// magnitude above [`LARGEST`] in the message.
pub fn merge(total: &mut [u32], message: &[u32]) -> Result<(), ArgumentError> {
    check_lengths(total.len(), message.len())?;
    check_finite(bytemuck::cast_slice(total))?;
    check_magnitudes(bytemuck::cast_slice(message))?;
    for (total, word) in total.iter_mut().zip(message) {
        *total = (f32::from_bits(*total) + f32::from_bits(*word)).to_bits();
    }
    Ok(())
}
