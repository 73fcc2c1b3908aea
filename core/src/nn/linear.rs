//! Linear layers: one matrix, however it is stored.

use super::same_len;
#[cfg(feature = "stored")]
use super::{RowSource, StoredMatrix, StoredParts};
use crate::digits::{DigitMatrix, MatrixError};
use crate::error::ShapeError;
use crate::gguf::TensorType;
use crate::gguf::blocks::{Stored, is_supported};
use crate::kernel::{Backend, Pool};
use crate::lane::{PrecisionLane, dequantize_row};
use crate::quant::{Activations, ActivationsBuf, QuantError};
use core::fmt;

/// What can go wrong with a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinearError {
    /// A slice does not match the matrix.
    Shape(ShapeError),
    /// The planes of the matrix are wrong, or a lane is not stored.
    Matrix(MatrixError),
    /// The activations hold NaN or infinity.
    Quant(QuantError),
    /// The block type is not one that expands.
    Unsupported {
        /// The type found.
        kind: TensorType,
    },
    /// Bytes of the file could not be read; its `RowSource` knows why.
    Unread {
        /// Where they begin.
        offset: usize,
        /// How many there are.
        len: usize,
    },
}

impl fmt::Display for LinearError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(e) => e.fmt(f),
            Self::Matrix(e) => e.fmt(f),
            Self::Quant(e) => write!(f, "activations: {e}"),
            Self::Unsupported { kind } => write!(f, "weights of type {kind} cannot be computed on"),
            Self::Unread { offset, len } => {
                write!(f, "{len} bytes at {offset} of the file could not be read")
            }
        }
    }
}

impl core::error::Error for LinearError {}

impl From<ShapeError> for LinearError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl From<MatrixError> for LinearError {
    fn from(e: MatrixError) -> Self {
        Self::Matrix(e)
    }
}

impl From<QuantError> for LinearError {
    fn from(e: QuantError) -> Self {
        Self::Quant(e)
    }
}

/// A matrix of rows × cols weights.
#[derive(Clone, Copy, Debug)]
pub enum Linear<'a> {
    /// Digit planes. Read at the lane asked for, but never below `floor`, and at the highest lane
    /// stored when that is lower.
    Digits {
        /// The planes.
        matrix: DigitMatrix<'a>,
        /// The lowest lane that this layer may be read at.
        floor: PrecisionLane,
    },
    /// A block type of GGUF, computed on as the floats it expands to.
    Blocks {
        /// The type.
        kind: TensorType,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
        /// The stored rows, and the [trailer](TensorType::trailer_bytes) of the type.
        data: &'a [u8],
    },
    /// A matrix that stays in its file and is computed on piece by piece, with the same bits: rows
    /// do not depend on each other.
    #[cfg(feature = "stored")]
    Stored {
        /// Where it lies.
        matrix: StoredMatrix,
        /// What reads it.
        source: &'a dyn RowSource,
    },
}

impl<'a> Linear<'a> {
    /// A matrix in a block type; `data` holds rows · cols weights, and the trailer of the type.
    ///
    /// # Errors
    /// [`LinearError::Unsupported`] for a type that does not expand, [`MatrixError::Size`] for no
    /// rows or no columns, [`LinearError::Shape`] when the data has another length or a row is not
    /// a whole number of blocks.
    pub fn blocks(
        kind: TensorType,
        rows: usize,
        cols: usize,
        data: &'a [u8],
    ) -> Result<Self, LinearError> {
        if !is_supported(kind) {
            return Err(LinearError::Unsupported { kind });
        }
        if rows == 0 || cols == 0 {
            return Err(MatrixError::Size { rows, cols }.into());
        }
        let blocks = cols.div_ceil(kind.block_len());
        same_len(cols, blocks.saturating_mul(kind.block_len()))?;
        let bytes = rows.checked_mul(blocks).and_then(|n| n.checked_mul(kind.block_bytes()));
        let bytes = bytes.and_then(|n| n.checked_add(kind.trailer_bytes()));
        same_len(bytes.unwrap_or(usize::MAX), data.len())?;
        Ok(Self::Blocks { kind, rows, cols, data })
    }

    /// Rows of the matrix: the length of an output.
    pub fn rows(&self) -> usize {
        match self {
            Self::Digits { matrix, .. } => matrix.rows(),
            Self::Blocks { rows, .. } => *rows,
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => matrix.rows(),
        }
    }

    /// Columns of the matrix: the length of an input.
    pub fn cols(&self) -> usize {
        match self {
            Self::Digits { matrix, .. } => matrix.cols(),
            Self::Blocks { cols, .. } => *cols,
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => matrix.cols(),
        }
    }

    /// The lane at which the layer is read when `lane` is asked for.
    pub fn lane(&self, lane: PrecisionLane) -> PrecisionLane {
        match self {
            Self::Digits { matrix, floor } => lane.max(*floor).min(matrix.top_lane()),
            Self::Blocks { .. } => PrecisionLane::Float32,
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => matrix.lane(lane),
        }
    }

    /// The digit planes, where the matrix is stored in them and is in memory.
    pub fn digits(&self) -> Option<DigitMatrix<'a>> {
        match *self {
            Self::Digits { matrix, .. } => Some(matrix),
            Self::Blocks { .. } => None,
            #[cfg(feature = "stored")]
            Self::Stored { .. } => None,
        }
    }

    /// Bytes that one product reads at a lane.
    ///
    /// # Errors
    /// [`LinearError::Matrix`] when the lane is not stored.
    pub fn bytes(&self, lane: PrecisionLane) -> Result<usize, LinearError> {
        match self {
            Self::Digits { matrix, .. } => Ok(matrix.lane(self.lane(lane))?.bytes()),
            Self::Blocks { data, .. } => Ok(data.len()),
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => matrix.bytes(self.lane(lane)),
        }
    }

    /// Whether the product at this lane takes quantised activations.
    pub fn takes_integers(&self) -> bool {
        match self {
            Self::Digits { .. } => true,
            Self::Blocks { .. } => false,
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => matches!(matrix.parts(), StoredParts::Digits { .. }),
        }
    }

    /// `y = W x`.
    ///
    /// Shapes: `x` cols, `y` rows; `q`, the same vector as integers, is needed for digit planes.
    /// Digit planes: Exact up to one conversion and one multiplication; blocks: Ordered.
    ///
    /// # Errors
    /// [`LinearError::Shape`] when a slice does not match or the integers are missing,
    /// [`LinearError::Matrix`] when the lane is not stored, [`LinearError::Unread`] when a file
    /// cannot be read.
    pub fn matvec<B: Backend>(
        &self,
        backend: B,
        pool: &dyn Pool,
        lane: PrecisionLane,
        input: &Input<'_>,
        y: &mut [f32],
    ) -> Result<(), LinearError> {
        same_len(self.cols(), input.floats.len())?;
        same_len(self.rows(), y.len())?;
        let work = self.rows() * self.cols();
        match *self {
            Self::Digits { matrix, .. } => {
                let view = matrix.lane(self.lane(lane))?;
                let x = input.integers.as_ref();
                same_len(view.cols(), x.map_or(0, Activations::len))?;
                if let Some(x) = x {
                    pool.spread(y, 1, work, &|first, y| backend.lane_matvec(&view, x, first, y));
                }
            }
            Self::Blocks { kind, rows, data, .. } => {
                let row_bytes = data.len().saturating_sub(kind.trailer_bytes()) / rows.max(1);
                let x = input.floats;
                // A float product costs about as much as eight integer ones.
                pool.spread(y, 1, work.saturating_mul(8), &|first, y| {
                    let data = data.get(first * row_bytes..).unwrap_or(&[]);
                    match bytemuck::try_cast_slice(data) {
                        Ok(w) if kind == TensorType::F32 && cfg!(target_endian = "little") => {
                            backend.float_matvec(w, x, y);
                        }
                        _ => backend.block_matvec(kind, data, x, y),
                    }
                });
            }
            #[cfg(feature = "stored")]
            Self::Stored { matrix, source } => {
                let lane = self.lane(lane);
                source.rows(&matrix, lane, 0..matrix.rows(), &mut |first, piece| {
                    let y = y.get_mut(first..).and_then(|y| y.get_mut(..piece.rows()));
                    piece.matvec(backend, pool, lane, input, y.unwrap_or(&mut []))
                })?;
            }
        }
        Ok(())
    }

    /// Row `row` as floats, at the lane asked for: an entry of an embedding table.
    ///
    /// # Errors
    /// [`LinearError::Shape`] when there is no such row or `y` is not a row long,
    /// [`LinearError::Matrix`] when the lane is not stored.
    pub fn row(&self, lane: PrecisionLane, row: usize, y: &mut [f32]) -> Result<(), LinearError> {
        same_len(self.cols(), y.len())?;
        if row >= self.rows() {
            return Err(ShapeError::Length { expected: self.rows(), actual: row }.into());
        }
        match *self {
            Self::Digits { matrix, .. } => {
                let view = matrix.lane(self.lane(lane))?;
                dequantize_row(&view, row, y);
            }
            Self::Blocks { kind, cols, data, .. } => {
                Stored::new(kind, data)
                    .and_then(|stored| stored.expand(row * cols, y))
                    .map_err(|_| LinearError::Unsupported { kind })?;
            }
            #[cfg(feature = "stored")]
            Self::Stored { matrix, source } => {
                let lane = self.lane(lane);
                source.rows(&matrix, lane, row..row + 1, &mut |_, piece| piece.row(lane, 0, y))?;
            }
        }
        Ok(())
    }
}

/// The input of linear layers: floats, and the same as integers where a layer wants them.
#[derive(Debug)]
pub struct Input<'a> {
    floats: &'a [f32],
    integers: Option<Activations<'a>>,
}

impl<'a> Input<'a> {
    /// Prepares `x` for layers; quantises it when one of them takes integers. Ordered.
    ///
    /// # Errors
    /// [`LinearError::Quant`] when the values are not finite or the buffer is too short.
    pub fn new(
        backend: impl Backend,
        x: &'a [f32],
        buf: &'a mut ActivationsBuf<'_>,
        layers: &[&Linear<'_>],
    ) -> Result<Self, LinearError> {
        let integers = if layers.iter().any(|layer| layer.takes_integers()) {
            Some(backend.quantize(x, buf)?)
        } else {
            None
        };
        Ok(Self { floats: x, integers })
    }

    /// The vector.
    pub(super) fn floats(&self) -> &[f32] {
        self.floats
    }

    /// The same as integers, if a layer wanted them.
    pub(super) fn integers(&self) -> Option<&Activations<'a>> {
        self.integers.as_ref()
    }
}
