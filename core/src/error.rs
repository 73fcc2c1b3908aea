//! Errors shared by several operation families.

use core::fmt;

/// Slices whose lengths do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A slice is not as long as it must be.
    Length {
        /// The length it must have, in elements.
        expected: usize,
        /// The length it has, in elements.
        actual: usize,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { expected, actual } => {
                write!(f, "expected a length of {expected} elements, got {actual}")
            }
        }
    }
}

impl core::error::Error for ShapeError {}
