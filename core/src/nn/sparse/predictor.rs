//! What each neuron will contribute, before it is computed.

use super::combine::combine;
use super::{Lists, NeuronRows, Neurons, SparseScratch};
use crate::digits::DigitMatrix;
use crate::kernel::{Backend, Pool};
use crate::lane::PrecisionLane;
use crate::nn::{LinearError, same_len};
use crate::quant::Activations;

/// Integer sums of rows that a prediction has left in the scratch memory, one for each neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// None.
    Nothing,
    /// Of the gate, at that lane.
    Gate(PrecisionLane),
    /// Of gate and up, at that lane.
    GateAndUp(PrecisionLane),
}

impl Known {
    /// The lane of the gate's sums.
    pub(super) fn gate(self) -> Option<PrecisionLane> {
        match self {
            Self::Nothing => None,
            Self::Gate(lane) | Self::GateAndUp(lane) => Some(lane),
        }
    }

    /// The lane of up's.
    pub(super) fn up(self) -> Option<PrecisionLane> {
        match self {
            Self::Nothing | Self::Gate(_) => None,
            Self::GateAndUp(lane) => Some(lane),
        }
    }
}

/// What a prediction works with besides the block.
#[derive(Clone, Copy)]
pub struct PredictorInput<'p, B> {
    /// The kernels.
    pub backend: B,
    /// The threads.
    pub pool: &'p dyn Pool,
    /// The lane of the block.
    pub lane: PrecisionLane,
    /// The block's input.
    pub x: &'p Activations<'p>,
}

/// Predicts the magnitude of what each neuron adds to the output of a block.
pub trait Predictor<B> {
    /// Writes one prediction for each neuron to [`SparseScratch::scores`], none of them negative or
    /// NaN.
    ///
    /// # Errors
    /// [`LinearError`]: a slice that does not match, a lane that is not stored, or values that are
    /// not finite.
    fn predict(
        &self,
        block: &Neurons<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<Known, LinearError>;

    /// Bytes of weights that a prediction reads.
    ///
    /// # Errors
    /// [`LinearError::Matrix`] when a lane is not stored.
    fn bytes(&self, block: &Neurons<'_>, lane: PrecisionLane) -> Result<usize, LinearError>;
}

/// The lowest lane of the block's own weights: `|act(g₃)·u₃| · importance`. Nothing is read twice,
/// since the sums of the chosen neurons are refined by the tiers that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier0 {
    /// Whether `u₃` is left out, and its matrix not read: for activations that are zero for most
    /// neurons, such as ReLU.
    pub gate_only: bool,
}

impl<B: Backend> Predictor<B> for Tier0 {
    fn predict(
        &self,
        block: &Neurons<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<Known, LinearError> {
        let lane = block.gate.read_at(PrecisionLane::Bit3);
        let up = if self.gate_only { None } else { block.up };
        predict_with(block, up, lane, input, scratch)?;
        Ok(if up.is_some() { Known::GateAndUp(lane) } else { Known::Gate(lane) })
    }

    fn bytes(&self, block: &Neurons<'_>, _: PrecisionLane) -> Result<usize, LinearError> {
        let up = block.up.filter(|_| !self.gate_only);
        let up = up.map_or(Ok(0), |up| up.bytes(PrecisionLane::Bit3))?;
        Ok(block.gate.bytes(PrecisionLane::Bit3)? + up + size_of_val(block.importance))
    }
}

/// The lowest lane of the gate with a margin: `max(g₃ + bias + margin, 0) · importance`, for plain
/// blocks whose activation is zero below zero. With margins as large as the error of Bit3, a neuron
/// that is active is not missed because its prediction falls just below zero.
#[derive(Clone, Copy, Debug)]
pub struct MarginTier0<'w> {
    /// What is added to each prediction before the importance: hidden values.
    pub margins: &'w [f32],
}

impl<B: Backend> Predictor<B> for MarginTier0<'_> {
    fn predict(
        &self,
        block: &Neurons<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<Known, LinearError> {
        same_len(block.hidden(), self.margins.len())?;
        let lane = block.gate.read_at(PrecisionLane::Bit3);
        let SparseScratch { scores, gate_sums, rows, .. } = scratch;
        block.gate.products(lane, input, rows, gate_sums, scores)?;
        if let Some(bias) = block.gate_bias {
            scores.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias);
        }
        add_positive(self.margins, scores);
        scores.iter_mut().zip(block.importance).for_each(|(score, norm)| *score *= norm);
        Ok(Known::Gate(lane))
    }

    fn bytes(&self, block: &Neurons<'_>, _: PrecisionLane) -> Result<usize, LinearError> {
        let vectors = size_of_val(block.importance) + size_of_val(self.margins);
        Ok(block.gate.bytes(PrecisionLane::Bit3)? + vectors)
    }
}

/// The gate as the block computes it: `|act(g)| · importance`. With all that is not zero the block's
/// result is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullGate;

impl<B: Backend> Predictor<B> for FullGate {
    fn predict(
        &self,
        block: &Neurons<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<Known, LinearError> {
        let lane = block.gate.read_at(input.lane);
        predict_with(block, None, lane, input, scratch)?;
        Ok(Known::Gate(lane))
    }

    fn bytes(&self, block: &Neurons<'_>, lane: PrecisionLane) -> Result<usize, LinearError> {
        Ok(block.gate.bytes(lane)? + size_of_val(block.importance))
    }
}

/// `scores = |act(g)·u| · importance` at a lane, or without `u`; leaves the sums.
fn predict_with<B: Backend>(
    block: &Neurons<'_>,
    up: Option<NeuronRows<'_>>,
    lane: PrecisionLane,
    input: PredictorInput<'_, B>,
    scratch: &mut SparseScratch<'_>,
) -> Result<(), LinearError> {
    magnitudes(block, up, lane, input, scratch)?;
    // A product with infinity is refused where the neuron is computed.
    for (score, importance) in scratch.scores.iter_mut().zip(block.importance) {
        *score = (*score * importance).abs();
    }
    Ok(())
}

/// `scores = |act(g)·u|` at a lane, or without `u`; leaves the sums.
pub(super) fn magnitudes<B: Backend>(
    block: &Neurons<'_>,
    up: Option<NeuronRows<'_>>,
    lane: PrecisionLane,
    input: PredictorInput<'_, B>,
    scratch: &mut SparseScratch<'_>,
) -> Result<(), LinearError> {
    let SparseScratch { scores, second, gate_sums, up_sums, rows, .. } = scratch;
    block.gate.products(lane, input, rows, gate_sums, scores)?;
    block.activate(input.backend, 0..block.hidden() as u32, scores)?;
    if let Some(up) = up {
        up.products(lane, input, rows, up_sums, second)?;
        scores.iter_mut().zip(second.iter()).for_each(|(score, up)| *score *= up);
    }
    for score in scores.iter_mut() {
        *score = score.abs();
    }
    Ok(())
}

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
    ) -> Result<Known, LinearError> {
        let PredictorInput { backend, pool, x, .. } = input;
        let (hidden, rank) = (block.hidden(), self.down.rows());
        same_len(block.dim(), self.down.cols())?;
        same_len(hidden, self.up.rows())?;
        same_len(hidden, self.bias.len())?;
        same_len(rank, self.up.cols())?;
        let down = self.down.lane(self.down.top_lane())?;
        let up = self.up.lane(self.up.top_lane())?;
        let actual = scratch.second.len();
        let Some(inner) = scratch.second.get_mut(..rank) else {
            return Err(crate::error::ShapeError::Length { expected: rank, actual }.into());
        };
        pool.spread(inner, 1, rank * x.len(), &|first, y| backend.lane_matvec(&down, x, first, y));
        let inner = backend.quantize(inner, &mut scratch.inner)?;
        pool.spread(scratch.scores, 1, hidden * rank, &|first, y| {
            backend.lane_matvec(&up, &inner, first, y);
        });
        add_positive(self.bias, scratch.scores);
        Ok(Known::Nothing)
    }

    fn bytes(&self, _: &Neurons<'_>, _: PrecisionLane) -> Result<usize, LinearError> {
        low_rank_bytes(&self.down, &self.up, self.bias)
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
    ) -> Result<Known, LinearError> {
        let PredictorInput { backend, pool, x, .. } = input;
        let (hidden, rank) = (block.hidden(), self.down.rows());
        same_len(block.dim(), self.down.cols())?;
        same_len(rank, self.up.rows())?;
        same_len(hidden, self.up.cols())?;
        same_len(hidden, self.bias.len())?;
        let down = self.down.lane(self.down.top_lane())?;
        let SparseScratch { scores, second, rows, q, .. } = scratch;
        let short = crate::error::ShapeError::Length { expected: rank, actual: second.len() };
        let inner = second.get_mut(..rank).ok_or(short)?;
        let (rows, q) = rows.get_mut(..rank).zip(q.get_mut(..rank)).ok_or(short)?;
        pool.spread(inner, 1, rank * x.len(), &|first, y| backend.lane_matvec(&down, x, first, y));
        for (row, i) in rows.iter_mut().zip(0..) {
            *row = i;
        }
        let lists = Lists { rows, counts: [rank, 0, 0], lane: self.up.top_lane() };
        combine(backend, pool, &self.up.into(), &lists, inner, q, scores)?;
        add_positive(self.bias, scores);
        Ok(Known::Nothing)
    }

    fn bytes(&self, _: &Neurons<'_>, _: PrecisionLane) -> Result<usize, LinearError> {
        low_rank_bytes(&self.down, &self.up, self.bias)
    }
}

/// `scores = max(scores + bias, 0)`; NaN becomes 0.
fn add_positive(bias: &[f32], scores: &mut [f32]) {
    for (score, bias) in scores.iter_mut().zip(bias) {
        let predicted = *score + bias;
        *score = if predicted > 0.0 { predicted } else { 0.0 };
    }
}

fn low_rank_bytes(
    down: &DigitMatrix<'_>,
    up: &DigitMatrix<'_>,
    bias: &[f32],
) -> Result<usize, LinearError> {
    let bytes = |m: &DigitMatrix<'_>| Ok::<_, LinearError>(m.lane(m.top_lane())?.bytes());
    Ok(bytes(down)? + bytes(up)? + size_of_val(bias))
}
