//! What each neuron will contribute, by a smaller model of its own.

use super::combine::combine;
use super::{Known, Lists, Neurons, Predicted, Predictor, PredictorInput, SparseScratch};
use crate::digits::DigitMatrix;
use crate::error::ShapeError;
use crate::kernel::Backend;
use crate::nn::{LinearError, same_len};

/// A map of low rank in place of the rows themselves: `|act(ĝ)·û| · importance`, with
/// `ĝ = Q·(P·x) + b` and `û` alike, or without `û` (Liu et al. 2023, Deja Vu, who predict whether a
/// neuron is active; of a gated block that is no linear map of the input, but both factors are).
///
/// P, Q and b are fitted to recorded activations; margins, where an activation has zeros, are in b.
/// Q is stored by column: a product is a sum of `rank` long rows, which is what vector instructions
/// are good at. The values of `P·x` are 16-bit integers there.
#[derive(Clone, Copy, Debug)]
pub struct LowRank<'w> {
    /// P: rank × dim.
    pub down: DigitMatrix<'w>,
    /// Qᵀ for the gate: rank × hidden.
    pub gate: DigitMatrix<'w>,
    /// Qᵀ for up: rank × hidden. Without it the gate alone counts.
    pub up: Option<DigitMatrix<'w>>,
    /// b: hidden for the gate, then with `up` hidden for it.
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
        for up in [Some(&self.gate), self.up.as_ref()].into_iter().flatten() {
            same_len(rank, up.rows())?;
            same_len(hidden, up.cols())?;
        }
        same_len(if self.up.is_some() { 2 * hidden } else { hidden }, self.bias.len())?;
        let (gate_bias, up_bias) = self.bias.split_at(hidden.min(self.bias.len()));
        let SparseScratch { scores, first, second, rows, q, .. } = scratch;
        // A sum of rows overwrites its factors, so that they are kept in the scores meanwhile.
        project(&self.down, input, scores)?;
        let short = ShapeError::Length { expected: rank, actual: second.len() };
        let inner = second.get_mut(..rank).ok_or(short)?;
        let (rows, q) = rows.get_mut(..rank).zip(q.get_mut(..rank)).ok_or(short)?;
        rows.iter_mut().zip(0..).for_each(|(row, number)| *row = number);
        inner.copy_from_slice(scores.get(..rank).unwrap_or(&[]));
        let mut sum = |matrix: &DigitMatrix<'_>, inner: &mut [f32], bias: &[f32], y: &mut [f32]| {
            let lists = Lists { rows, counts: [rank, 0, 0], lane: matrix.top_lane() };
            combine(backend, pool, &(*matrix).into(), &lists, inner, q, y)?;
            y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            Ok::<_, LinearError>(())
        };
        if let Some(up) = &self.up {
            sum(up, inner, up_bias, first)?;
            inner.copy_from_slice(scores.get(..rank).unwrap_or(&[]));
        }
        sum(&self.gate, inner, gate_bias, scores)?;
        block.activation.apply(backend, scores);
        if self.up.is_some() {
            scores.iter_mut().zip(first.iter()).for_each(|(score, up)| *score *= up);
        }
        scores.iter_mut().zip(block.importance).for_each(|(score, norm)| *score *= norm);
        for score in scores.iter_mut() {
            // Infinity times zero is a prediction of nothing.
            *score = if score.is_nan() { 0.0 } else { score.abs() };
        }
        Ok(Predicted {
            known: Known::Nothing,
            bytes: self.bytes()? + size_of_val(block.importance),
        })
    }
}

impl LowRank<'_> {
    /// Bytes of the map.
    fn bytes(&self) -> Result<usize, LinearError> {
        let bytes = |m: &DigitMatrix<'_>| Ok::<_, LinearError>(m.lane(m.top_lane())?.bytes());
        let up = self.up.as_ref().map_or(Ok(0), bytes)?;
        Ok(bytes(&self.down)? + bytes(&self.gate)? + up + size_of_val(self.bias))
    }
}

/// `P·x`, at the beginning of `y`.
fn project<B: Backend>(
    down: &DigitMatrix<'_>,
    input: PredictorInput<'_, B>,
    y: &mut [f32],
) -> Result<(), LinearError> {
    let PredictorInput { backend, pool, x, .. } = input;
    same_len(x.len(), down.cols())?;
    let (rank, actual) = (down.rows(), y.len());
    let y = y.get_mut(..rank).ok_or(ShapeError::Length { expected: rank, actual })?;
    let view = down.lane(down.top_lane())?;
    pool.spread(y, 1, rank * x.len(), &|first, y| backend.lane_matvec(&view, x, first, y));
    Ok(())
}
