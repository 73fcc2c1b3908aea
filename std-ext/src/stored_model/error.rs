//! Why a model cannot be read piece by piece.

use crate::mapped::OpenError;
use crate::neuron_cache::CacheError;
use std::fmt;
use std::path::{Path, PathBuf};
use trilane_core::nn::LinearError;

/// Why a model cannot be read piece by piece.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoredError {
    /// The file cannot be opened, or is not GGUF.
    Open(OpenError),
    /// The budget is smaller than what has to be in memory at the same time.
    Budget {
        /// The file.
        path: PathBuf,
        /// The tensor that does not fit.
        tensor: String,
        /// Bytes allowed.
        budget: usize,
        /// The smallest budget that would do.
        minimum: usize,
    },
    /// The bytes of a tensor cannot be had.
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Why.
        error: CacheError,
    },
    /// The bytes of a tensor are not what they have to be.
    Content {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong.
        error: LinearError,
    },
    /// A tensor holds NaN or infinity.
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
}

impl StoredError {
    /// A file that cannot be opened.
    pub(super) fn open(path: &Path, error: CacheError) -> Self {
        match error {
            CacheError::Io(error) => Self::Open(OpenError::Io { path: path.into(), error }),
            error => Self::Tensor { path: path.into(), name: "the header".into(), error },
        }
    }
}

impl fmt::Display for StoredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Budget { path, tensor, budget, minimum } => write!(
                f,
                "{}: a budget of {budget} bytes is too small for {tensor}: expected at least \
                 {minimum}",
                path.display()
            ),
            Self::Tensor { path, name, error } => write!(f, "{}: {name}: {error}", path.display()),
            Self::Content { path, name, error } => {
                write!(f, "{}: tensor {name}: {error}", path.display())
            }
            Self::NotFinite { path, name } => {
                write!(f, "{}: tensor {name} holds NaN or infinity", path.display())
            }
        }
    }
}

impl std::error::Error for StoredError {}
