//! What can be wrong with an argument of this module.

use core::fmt;

use crate::lane::PrecisionLane;

/// An argument that an operation of [`pi`](crate::pi) refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PiError {
    /// The lane is not one of Bit3, Bit5 and Bit7.
    Lane(PrecisionLane),
    /// There are no values.
    Empty,
    /// A value is NaN or infinite.
    NotFinite {
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
    /// Every value is zero, so there is no direction.
    Zero,
    /// A parameter is outside its range.
    Parameter {
        /// Which one.
        name: &'static str,
        /// The least value that it may have.
        least: f32,
        /// The greatest value that it may have.
        greatest: f32,
        /// The value given.
        actual: f32,
    },
    /// A position of a digit, or a count, is too large.
    TooLarge {
        /// The greatest one possible.
        greatest: u64,
        /// The one given.
        actual: u64,
    },
    /// The sum computed is so close to a digit's boundary that its error may hide the digit.
    Undecided {
        /// The position of the digits.
        position: u64,
    },
}

impl fmt::Display for PiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Lane(lane) => write!(f, "expected lane bit3, bit5 or bit7, found {lane}"),
            Self::Empty => write!(f, "there are no values"),
            Self::NotFinite { index } => write!(f, "value {index} is NaN or infinite"),
            Self::Length { expected, actual } => {
                write!(f, "expected {expected} elements, found {actual}")
            }
            Self::Zero => write!(f, "all values are zero, which has no direction"),
            Self::Parameter { name, least, greatest, actual } => {
                write!(f, "{name}: expected {least} to {greatest}, found {actual}")
            }
            Self::TooLarge { greatest, actual } => {
                write!(f, "expected at most {greatest}, found {actual}")
            }
            Self::Undecided { position } => {
                write!(f, "the digits at position {position} lie too close to a boundary")
            }
        }
    }
}

impl core::error::Error for PiError {}

/// Refuses a parameter outside `least..=greatest`, NaN too.
pub(super) fn check_parameter(
    name: &'static str,
    actual: f32,
    least: f32,
    greatest: f32,
) -> Result<(), PiError> {
    if (least..=greatest).contains(&actual) {
        Ok(())
    } else {
        Err(PiError::Parameter { name, least, greatest, actual })
    }
}

/// Refuses an empty slice and one with NaN or infinity.
pub(super) fn check_values(x: &[f32]) -> Result<(), PiError> {
    if x.is_empty() {
        return Err(PiError::Empty);
    }
    match x.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(PiError::NotFinite { index }),
        None => Ok(()),
    }
}

/// Refuses slices of different lengths.
pub(super) fn check_lengths(expected: usize, actual: usize) -> Result<(), PiError> {
    if expected == actual { Ok(()) } else { Err(PiError::Length { expected, actual }) }
}
