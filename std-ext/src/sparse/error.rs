//! What can be wrong with a layer, an input or samples.

use std::fmt;
use trilane_core::digits::{MatrixError, PackError};
use trilane_core::error::ShapeError;
use trilane_core::nn::{LinearError, SelectionError};
use trilane_core::quant::QuantError;

/// Why an engine could not be made, calibrated or run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum EngineError {
    /// A slice is not as long as the layer has it.
    Length {
        /// Which.
        part: &'static str,
        /// The length it must have, in elements.
        expected: usize,
        /// The length it has, in elements.
        found: usize,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// Where.
        part: &'static str,
        /// Its index.
        index: usize,
    },
    /// There are too few samples to calibrate with.
    Samples {
        /// How many it takes at least.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A selection with a number outside its range.
    Selection(SelectionError),
    /// A layer without rows or columns, or with too many.
    Matrix(MatrixError),
    /// A row cannot be packed.
    Pack(PackError),
    /// The layer cannot be computed.
    Linear(LinearError),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { part, expected, found } => {
                write!(f, "{part}: expected {expected} values, found {found}")
            }
            Self::NotFinite { part, index } => write!(f, "{part}: value {index} is not finite"),
            Self::Samples { expected, found } => {
                write!(f, "calibration: expected at least {expected} samples, found {found}")
            }
            Self::Selection(e) => e.fmt(f),
            Self::Matrix(e) => e.fmt(f),
            Self::Pack(e) => e.fmt(f),
            Self::Linear(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for EngineError {}

impl From<SelectionError> for EngineError {
    fn from(e: SelectionError) -> Self {
        Self::Selection(e)
    }
}

impl From<MatrixError> for EngineError {
    fn from(e: MatrixError) -> Self {
        Self::Matrix(e)
    }
}

impl From<LinearError> for EngineError {
    fn from(e: LinearError) -> Self {
        Self::Linear(e)
    }
}

impl From<ShapeError> for EngineError {
    fn from(e: ShapeError) -> Self {
        Self::Linear(e.into())
    }
}

impl From<QuantError> for EngineError {
    fn from(e: QuantError) -> Self {
        Self::Linear(e.into())
    }
}

impl From<PackError> for EngineError {
    fn from(e: PackError) -> Self {
        Self::Pack(e)
    }
}

/// That a slice has a length and no value that is NaN or infinite.
pub(super) fn check(
    part: &'static str,
    expected: usize,
    values: &[f32],
) -> Result<(), EngineError> {
    if values.len() != expected {
        return Err(EngineError::Length { part, expected, found: values.len() });
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(EngineError::NotFinite { part, index }),
        None => Ok(()),
    }
}
