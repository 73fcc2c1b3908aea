//! What can be wrong with an argument of this module.

use core::fmt;

use crate::error::ArgumentError;
use crate::lane::PrecisionLane;

/// An argument that an operation of [`pi`](crate::pi) refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PiError {
    /// The lane is not one of Bit3, Bit5 and Bit7.
    Lane(PrecisionLane),
    /// Not possible for any operation of this kind.
    Argument(ArgumentError),
    /// Every value is zero, so there is no direction.
    Zero,
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
            Self::Argument(error) => error.fmt(f),
            Self::Zero => write!(f, "all values are zero, which has no direction"),
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

impl From<ArgumentError> for PiError {
    fn from(error: ArgumentError) -> Self {
        Self::Argument(error)
    }
}
