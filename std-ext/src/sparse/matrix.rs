//! A nested matrix of the engine, checked once.

use super::EngineError;
use crate::packed_matrix::{PackedMatrix, RowError};
use self_cell::self_cell;
use trilane_core::digits::{DigitMatrix, Group};
use trilane_core::lane::PrecisionLane;

/// The groups of every matrix of an engine.
const GROUP: Group = Group::G64;

self_cell!(
    struct Checked {
        owner: PackedMatrix,
        #[covariant]
        dependent: DigitMatrix,
    }
);

/// A nested matrix and the view of it.
pub(super) struct Matrix(Checked);

impl Matrix {
    /// Quantises rows × cols weights, given by row.
    pub(super) fn quantized(
        rows: usize,
        cols: usize,
        row: impl Fn(usize) -> Vec<f32> + Sync + Send,
    ) -> Result<Self, EngineError> {
        let refused = |_, error| match error {
            RowError::Quant(error) => EngineError::from(error),
            RowError::Pack(error) => EngineError::from(error),
        };
        let shape = (rows, cols);
        let row = |r| Ok(row(r));
        let packed = PackedMatrix::quantize(shape, PrecisionLane::Bit7, GROUP, row, refused)?;
        Ok(Self(Checked::try_new(packed, |packed| packed.matrix())?))
    }

    /// The view that the kernels take.
    pub(super) fn get(&self) -> DigitMatrix<'_> {
        *self.0.borrow_dependent()
    }
}
