//! Quantisers for activations and ternary weights. The nested lanes have theirs in
//! [`lane`](crate::lane).

mod absmax;
mod absmean;
mod activations;
mod requantize;
mod weights;

pub use absmax::quantize_absmax;
pub use absmean::{quantize_absmean, quantize_ternary_row};
pub(crate) use activations::quantize_into;
pub use activations::{Activations, ActivationsBuf, activation_lens};
pub use requantize::{requantize, requantize_shift};
pub use weights::QuantizedWeights;

use core::fmt;

/// What can be wrong with values to quantise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuantError {
    /// A value is NaN or infinite.
    NotFinite {
        /// Its position.
        index: usize,
    },
    /// An integer is −128, which activations leave out.
    Range {
        /// Its position.
        index: usize,
    },
    /// A slice has another length than the operation needs.
    Length {
        /// Elements needed.
        expected: usize,
        /// Elements given.
        actual: usize,
    },
}

impl fmt::Display for QuantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotFinite { index } => write!(f, "value {index} is NaN or infinite"),
            Self::Range { index } => {
                write!(f, "value {index}: expected −127 to 127, found −128")
            }
            Self::Length { expected, actual } => {
                write!(f, "expected {expected} elements, found {actual}")
            }
        }
    }
}

impl core::error::Error for QuantError {}

/// The largest `|x|`, or the position of a value that is not finite.
///
/// Exact: the maximum of the magnitudes' bit patterns, which order as the magnitudes do.
#[inline(always)]
pub(crate) fn max_magnitude(x: &[f32]) -> Result<f32, QuantError> {
    let bits = max_magnitude_bits(x);
    if bits < f32::INFINITY.to_bits() {
        Ok(f32::from_bits(bits))
    } else {
        let index = x.iter().position(|v| !v.is_finite()).unwrap_or(0);
        Err(QuantError::NotFinite { index })
    }
}

/// The bits of `max|x|`, NaN above all numbers; magnitudes are in the order of their bits.
#[inline(always)]
pub(crate) fn max_magnitude_bits(x: &[f32]) -> u32 {
    x.iter().fold(0, |max, v| (v.to_bits() & 0x7FFF_FFFF).max(max))
}

/// `round(v)` to the nearest integer, ties to even, as an int8; for |v| < 127.5.
///
/// Adding 1.5·2²³ leaves the rounded integer in the low bits of the sum.
#[inline(always)]
pub(crate) fn round_i8(v: f32) -> i8 {
    (v + 12_582_912.0).to_bits() as u8 as i8
}
