//! Why a folder cannot be converted.

use crate::mapped::OpenError;
use std::fmt;
use std::path::PathBuf;

/// What can be wrong with a folder.
#[derive(Debug)]
#[non_exhaustive]
pub enum FolderError {
    /// A file cannot be read.
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// A file is not in the format that its name promises.
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A key is not there.
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A value is not what it has to be.
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// No file holds the tensor.
    MissingTensor {
        /// Its name in the folder.
        name: String,
    },
    /// A tensor has other dimensions than the configuration asks for.
    TensorShape {
        /// Its name in the folder.
        name: String,
        /// The dimensions asked for.
        expected: Vec<usize>,
        /// The dimensions found.
        found: Vec<usize>,
    },
    /// A tensor is of a type that weights do not come in.
    TensorType {
        /// Its name in the folder.
        name: String,
        /// The type found.
        found: String,
    },
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Format { path, what } => write!(f, "{}: {what}", path.display()),
            Self::MissingKey { path, key } => {
                write!(f, "{}: key {key} is missing", path.display())
            }
            Self::Value { path, key, expected, found } => {
                write!(f, "{}: key {key}: expected {expected}, found {found}", path.display())
            }
            Self::MissingTensor { name } => write!(f, "tensor {name} is missing"),
            Self::TensorShape { name, expected, found } => {
                write!(f, "tensor {name}: expected dimensions {expected:?}, found {found:?}")
            }
            Self::TensorType { name, found } => {
                write!(f, "tensor {name}: expected F32, F16 or BF16, found {found}")
            }
        }
    }
}

impl std::error::Error for FolderError {}

impl From<OpenError> for FolderError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io { path, error } => Self::Io { path, error },
            OpenError::Gguf { path, error } => Self::Format { path, what: error.to_string() },
        }
    }
}
