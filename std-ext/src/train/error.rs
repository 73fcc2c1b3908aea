//! What can go wrong while training.

use crate::packed_matrix::RowError;
use candle_core::Tensor;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use trilane_core::digits::MatrixError;
use trilane_core::error::ArgumentError;
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::LinearError;
use trilane_core::quant::QuantError;

/// Why training cannot go on. Published crates call theirs `OptimError`.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrainError {
    /// A configuration or an argument is out of range.
    Argument(ArgumentError),
    /// A tensor has another shape or type than it needs.
    Shape {
        /// Which tensor.
        name: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A parameter has no gradient, or a gradient no parameter.
    Missing {
        /// The name of the parameter.
        name: String,
    },
    /// Integers cannot compute the lane.
    Lane(PrecisionLane),
    /// A row of weights cannot be stored.
    Row {
        /// Which row.
        row: usize,
        /// Why.
        error: RowError,
    },
    /// A matrix cannot be computed on.
    Linear(LinearError),
    /// What candle reports.
    Candle(candle_core::Error),
    /// A file cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        error: io::Error,
    },
    /// The contents of a file cannot be used, or not be written.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// Text, model and settings do not go together.
    Data {
        /// What it takes.
        expected: String,
        /// What there is.
        found: String,
    },
    /// Loss or gradient is no longer finite.
    Diverged {
        /// The step.
        step: usize,
        /// Its loss.
        loss: f32,
    },
    /// A thread of the computation ended early.
    Thread,
}

impl TrainError {
    pub(super) fn shape(name: &str, expected: impl Into<String>, found: &Tensor) -> Self {
        let found = format!("{:?} of {:?}", found.dims(), found.dtype());
        Self::Shape { name: name.into(), expected: expected.into(), found }
    }

    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.into(), error }
    }

    pub(super) fn file(path: &Path, what: impl fmt::Display) -> Self {
        Self::File { path: path.into(), what: what.to_string() }
    }
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(error) => error.fmt(f),
            Self::Shape { name, expected, found } => {
                write!(f, "{name}: expected {expected}, found {found}")
            }
            Self::Missing { name } => {
                write!(f, "{name}: there is no gradient for it, or none is expected")
            }
            Self::Lane(lane) => write!(f, "expected a lane of integers, found {lane}"),
            Self::Row { row, error } => write!(f, "row {row}: {error}"),
            Self::Linear(error) => error.fmt(f),
            Self::Candle(error) => error.fmt(f),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::File { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Data { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::Diverged { step, loss } => {
                write!(
                    f,
                    "step {step}: loss {loss}, or its gradient, is not finite: try a smaller learning rate"
                )
            }
            Self::Thread => write!(f, "a thread of the computation ended early"),
        }
    }
}

impl std::error::Error for TrainError {}

impl From<ArgumentError> for TrainError {
    fn from(error: ArgumentError) -> Self {
        Self::Argument(error)
    }
}

impl From<LinearError> for TrainError {
    fn from(error: LinearError) -> Self {
        Self::Linear(error)
    }
}

impl From<MatrixError> for TrainError {
    fn from(error: MatrixError) -> Self {
        Self::Linear(error.into())
    }
}

impl From<QuantError> for TrainError {
    fn from(error: QuantError) -> Self {
        Self::Linear(error.into())
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(error)
    }
}
