//! What each neuron will contribute, by a smaller model of its own.

use super::combine::combine;
use super::predictor::add_positive;
use super::{Known, Lists, Neurons, Predicted, Predictor, PredictorInput, SparseScratch};
use crate::digits::DigitMatrix;
use crate::error::ShapeError;
use crate::kernel::Backend;
use crate::nn::{LinearError, same_len};

/// A low-rank approximation of what matters: `max(Q·(P·x) + b, 0)` (Liu et al. 2023, Deja Vu).
///
/// P, Q and b are fitted to recorded activations, with the importance of each neuron and the
/// threshold that gives the recall wanted already in Q and b.
#[derive(Clone, Copy, Debug)]
pub struct LowRank<'w> {
    /// P: rank × dim.
    pub down: DigitMatrix<'w>,
    /// Q: hidden × rank.
    pub up: DigitMatrix<'w>,
    /// b: hidden.
    pub bias: &'w [f32],
}

impl<B: Backend> Predictor<B> for LowRank<'_> {
    fn predict(
        &self,
        block: &Neurons<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<Predicted, LinearError> {
        let PredictorInput { backend, pool, .. } = input;
        let (hidden, rank) = (block.hidden(), self.down.rows());
        same_len(hidden, self.up.rows())?;
        same_len(rank, self.up.cols())?;
        same_len(hidden, self.bias.len())?;
        let inner = project(&self.down, input, scratch.second)?;
        let inner = backend.quantize(inner, &mut scratch.inner)?;
        let up = self.up.lane(self.up.top_lane())?;
        pool.spread(scratch.scores, 1, hidden * rank, &|first, y| {
            backend.lane_matvec(&up, &inner, first, y);
        });
        add_positive(self.bias, scratch.scores);
        read(&self.down, &self.up, self.bias)
    }
}

/// As [`LowRank`], with Q stored by column: a sum of `rank` long rows instead of `hidden` products
/// of a few weights each, which is what vector instructions are good at. The values of `P·x` are
/// 16-bit integers.
#[derive(Clone, Copy, Debug)]
pub struct LowRankColumns<'w> {
    /// P: rank × dim.
    pub down: DigitMatrix<'w>,
    /// Qᵀ: rank × hidden.
    pub up: DigitMatrix<'w>,
    /// b: hidden.
    pub bias: &'w [f32],
}

impl<B: Backend> Predictor<B> for LowRankColumns<'_> {
    fn predict(
        &self,
        block: &Neurons<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<Predicted, LinearError> {
        let PredictorInput { backend, pool, .. } = input;
        let (hidden, rank) = (block.hidden(), self.down.rows());
        same_len(rank, self.up.rows())?;
        same_len(hidden, self.up.cols())?;
        same_len(hidden, self.bias.len())?;
        let SparseScratch { scores, second, rows, q, .. } = scratch;
        let inner = project(&self.down, input, second)?;
        let short = ShapeError::Length { expected: rank, actual: rows.len().min(q.len()) };
        let (rows, q) = rows.get_mut(..rank).zip(q.get_mut(..rank)).ok_or(short)?;
        rows.iter_mut().zip(0..).for_each(|(row, number)| *row = number);
        let lists = Lists { rows, counts: [rank, 0, 0], lane: self.up.top_lane() };
        combine(backend, pool, &self.up.into(), &lists, inner, q, scores)?;
        add_positive(self.bias, scores);
        read(&self.down, &self.up, self.bias)
    }
}

/// `P·x`, at the beginning of `y`.
fn project<'y, B: Backend>(
    down: &DigitMatrix<'_>,
    input: PredictorInput<'_, B>,
    y: &'y mut [f32],
) -> Result<&'y mut [f32], LinearError> {
    let PredictorInput { backend, pool, x, .. } = input;
    same_len(x.len(), down.cols())?;
    let (rank, actual) = (down.rows(), y.len());
    let y = y.get_mut(..rank).ok_or(ShapeError::Length { expected: rank, actual })?;
    let view = down.lane(down.top_lane())?;
    pool.spread(y, 1, rank * x.len(), &|first, y| backend.lane_matvec(&view, x, first, y));
    Ok(y)
}

/// What such a prediction has read: none of the block's own weights.
fn read(
    down: &DigitMatrix<'_>,
    up: &DigitMatrix<'_>,
    bias: &[f32],
) -> Result<Predicted, LinearError> {
    let bytes = |m: &DigitMatrix<'_>| Ok::<_, LinearError>(m.lane(m.top_lane())?.bytes());
    let bytes = bytes(down)? + bytes(up)? + size_of_val(bias);
    Ok(Predicted { known: Known::Nothing, bytes })
}
