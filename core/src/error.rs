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

/// An argument that an operation refuses.
///
/// ```
/// use trilane_core::error::ArgumentError;
/// let error = ArgumentError::Count { name: "correct_every", least: 1, greatest: 20, actual: 0 };
/// assert_eq!(error.to_string(), "correct_every: expected 1 to 20, found 0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ArgumentError {
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
    /// A real parameter is outside its range, or NaN.
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
    /// A number of things, or an integer value, is outside its range.
    Count {
        /// Which one.
        name: &'static str,
        /// The least value that it may have.
        least: i64,
        /// The greatest value that it may have.
        greatest: i64,
        /// The value given.
        actual: i64,
    },
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "there are no values"),
            Self::NotFinite { index } => write!(f, "value {index} is NaN or infinite"),
            Self::Length { expected, actual } => {
                write!(f, "expected {expected} elements, found {actual}")
            }
            Self::Parameter { name, least, greatest, actual } => {
                write!(f, "{name}: expected {least} to {greatest}, found {actual}")
            }
            Self::Count { name, least, greatest, actual } => {
                write!(f, "{name}: expected {least} to {greatest}, found {actual}")
            }
        }
    }
}

impl core::error::Error for ArgumentError {}

/// Refuses a parameter outside `least..=greatest`, NaN too.
pub(crate) fn check_parameter(
    name: &'static str,
    actual: f32,
    least: f32,
    greatest: f32,
) -> Result<(), ArgumentError> {
    if (least..=greatest).contains(&actual) {
        Ok(())
    } else {
        Err(ArgumentError::Parameter { name, least, greatest, actual })
    }
}

/// Refuses an empty slice and one with NaN or infinity.
pub(crate) fn check_values(x: &[f32]) -> Result<(), ArgumentError> {
    if x.is_empty() {
        return Err(ArgumentError::Empty);
    }
    match x.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(ArgumentError::NotFinite { index }),
        None => Ok(()),
    }
}

/// Refuses slices of different lengths.
pub(crate) fn check_lengths(expected: usize, actual: usize) -> Result<(), ArgumentError> {
    if expected == actual { Ok(()) } else { Err(ArgumentError::Length { expected, actual }) }
}

/// Refuses a count outside `least..=greatest`.
pub(crate) fn check_count(
    name: &'static str,
    actual: i64,
    least: i64,
    greatest: i64,
) -> Result<(), ArgumentError> {
    if (least..=greatest).contains(&actual) {
        Ok(())
    } else {
        Err(ArgumentError::Count { name, least, greatest, actual })
    }
}

/// A count in 64 bits, whatever the width of the processor.
pub(crate) fn wide(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
