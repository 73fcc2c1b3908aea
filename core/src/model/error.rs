//! Why a model cannot be loaded or run.

use super::Architecture;
use crate::error::ShapeError;
use crate::gguf::TensorType;
use crate::nn::{AttentionError, CacheError, LinearError};
use core::fmt;

/// A weight tensor of a decoder, by its part in the architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorName {
    /// The layer, or `None` for tensors outside the layers.
    pub layer: Option<usize>,
    /// The name after the layer's prefix, without `.weight`: `attn_q`, `token_embd`; of another part
    /// of a layer whole: `attn_q.bias`.
    pub part: &'static str,
}

impl fmt::Display for TensorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "blk.{layer}.")?;
        }
        f.write_str(self.part)?;
        f.write_str(if self.part.contains('.') { "" } else { ".weight" })
    }
}

/// What can be wrong with a model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// A metadata key is not there.
    MissingKey {
        /// The key, without the architecture's prefix where it has one.
        key: &'static str,
    },
    /// A metadata value has a type or a number that the model cannot have.
    Value {
        /// The key, without the architecture's prefix where it has one.
        key: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// The architecture is not one that runs.
    Architecture,
    /// A tensor is not there.
    MissingTensor {
        /// Its name.
        name: TensorName,
    },
    /// A tensor has other dimensions than the header asks for.
    TensorShape {
        /// Its name.
        name: TensorName,
        /// Rows and columns that the header asks for.
        expected: (usize, usize),
        /// Rows and columns found.
        found: (usize, usize),
    },
    /// A part of a matrix in digit planes has other dimensions than the matrix asks for.
    PartShape {
        /// The matrix.
        name: TensorName,
        /// What the part's name has after that.
        suffix: &'static str,
        /// Rows, and columns (of planes and group scales: bytes of a row), to have.
        expected: (usize, usize),
        /// Rows and columns found.
        found: (usize, usize),
    },
    /// A part of a matrix in digit planes is of another type than the layout gives it.
    PartType {
        /// The matrix.
        name: TensorName,
        /// What the part's name has after that.
        suffix: &'static str,
        /// The type to have.
        expected: TensorType,
        /// The type found.
        found: TensorType,
    },
    /// A tensor cannot be computed on.
    Tensor {
        /// Its name.
        name: TensorName,
        /// Why.
        error: LinearError,
    },
    /// A matrix that has to be in digit planes is not.
    NotInPlanes {
        /// Its name.
        name: TensorName,
    },
    /// A tensor that has to be in memory is not.
    NotResident {
        /// Its name.
        name: TensorName,
    },
    /// A float tensor holds NaN or infinity.
    NotFinite {
        /// Its name.
        name: TensorName,
    },
    /// The row scales of a matrix are not one positive number.
    RowScale {
        /// Its name.
        name: TensorName,
        /// The first row whose scale is wrong.
        row: usize,
        /// The scale of that row.
        found: f32,
        /// The scale of the rows before it, or `None` for row 0.
        expected: Option<f32>,
    },
    /// A tensor's floats do not lie at a multiple of four bytes in memory.
    Unaligned {
        /// Its name.
        name: TensorName,
    },
    /// The caller's memory is too small.
    Memory {
        /// What for.
        what: &'static str,
        /// Elements needed.
        expected: usize,
        /// Elements given.
        actual: usize,
    },
    /// The lane asked for is not in the file.
    Lane {
        /// The tensor that lacks it.
        name: TensorName,
        /// The lane.
        lane: crate::lane::PrecisionLane,
    },
    /// The decoder has no policy to choose lanes with.
    NoPolicy,
    /// The backend does not compute at the lane that a tensor is read at.
    Backend {
        /// The tensor.
        name: TensorName,
        /// The lane.
        lane: crate::lane::PrecisionLane,
    },
    /// A token is not in the vocabulary.
    Token {
        /// The token.
        token: u32,
        /// Tokens in the vocabulary.
        vocabulary: usize,
    },
    /// There are no tokens, or more than there is room for.
    Sequence {
        /// Tokens given.
        tokens: usize,
        /// The most that the model, and the memory it was given, take.
        capacity: usize,
    },
    /// A computed value, or the sum of squares of a norm's input, is NaN or infinite.
    Diverged {
        /// The layer in which it was found; the number of layers stands for the output.
        layer: usize,
    },
    /// The key-value cache.
    Cache(CacheError),
    /// A step of the computation (which a loaded model does not fail).
    Compute(LinearError),
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey { key } => write!(f, "metadata key {key} is missing"),
            Self::Value { key, expected } => {
                write!(f, "metadata key {key}: expected {expected}")
            }
            Self::Architecture => {
                write!(
                    f,
                    "general.architecture: expected {}, found another one",
                    Architecture::NAMES
                )
            }
            Self::MissingTensor { name } => write!(f, "tensor {name} is missing"),
            Self::TensorShape { name, expected, found } => write!(
                f,
                "tensor {name}: expected {}×{} (rows × columns), found {}×{}",
                expected.0, expected.1, found.0, found.1
            ),
            Self::PartShape { name, suffix, expected, found } => write!(
                f,
                "tensor {name}{suffix}: expected {}×{} (rows × columns), found {}×{}",
                expected.0, expected.1, found.0, found.1
            ),
            Self::PartType { name, suffix, expected, found } => {
                write!(f, "tensor {name}{suffix}: expected type {expected}, found {found}")
            }
            Self::Tensor { name, error } => write!(f, "tensor {name}: {error}"),
            Self::NotInPlanes { name } => {
                write!(f, "tensor {name}: expected digit planes, found a block type")
            }
            Self::NotResident { name } => write!(f, "tensor {name} is not in memory"),
            Self::NotFinite { name } => write!(f, "tensor {name} holds NaN or infinity"),
            Self::RowScale { name, row, found, expected: Some(scale) } => {
                write!(
                    f,
                    "tensor {name}, row {row}: expected scale {scale} as before, found {found}"
                )
            }
            Self::RowScale { name, row, found, expected: None } => {
                write!(f, "tensor {name}, row {row}: expected a positive scale, found {found}")
            }
            Self::Unaligned { name } => {
                write!(f, "tensor {name} does not lie at a multiple of four bytes")
            }
            Self::Memory { what, expected, actual } => {
                write!(f, "memory for {what}: expected {expected} elements, found {actual}")
            }
            Self::Lane { name, lane } => {
                write!(f, "tensor {name} is not stored at lane {lane}")
            }
            Self::NoPolicy => f.write_str("the decoder was given no policy to choose lanes with"),
            Self::Backend { name, lane } => {
                write!(f, "tensor {name} is read at lane {lane}, which this build does not compute")
            }
            Self::Token { token, vocabulary } => {
                write!(f, "token {token} is outside the vocabulary of {vocabulary}")
            }
            Self::Sequence { tokens, capacity } => {
                write!(f, "a text of {tokens} tokens: expected 1 to {capacity}")
            }
            Self::Diverged { layer } => write!(f, "layer {layer} computed NaN or infinity"),
            Self::Cache(e) => e.fmt(f),
            Self::Compute(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for ModelError {}

impl From<CacheError> for ModelError {
    fn from(e: CacheError) -> Self {
        Self::Cache(e)
    }
}

impl From<AttentionError> for ModelError {
    fn from(e: AttentionError) -> Self {
        match e {
            AttentionError::Shape(e) => e.into(),
            AttentionError::Cache(e) => e.into(),
        }
    }
}

impl From<LinearError> for ModelError {
    fn from(e: LinearError) -> Self {
        Self::Compute(e)
    }
}

impl From<ShapeError> for ModelError {
    fn from(e: ShapeError) -> Self {
        Self::Compute(e.into())
    }
}
