//! Error feedback: what a message leaves out goes into the next.

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
