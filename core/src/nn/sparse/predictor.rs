//! What each neuron will contribute, before it is computed.

use super::{NeuronRows, Neurons, SparseScratch};
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

/// What a prediction has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predicted {
    /// The sums that it leaves.
    pub known: Known,
    /// Bytes of weights, vectors included.
    pub bytes: usize,
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
    /// [`LinearError`]: a slice that does not match, a lane that is not stored, values that are not
    /// finite, or a file that cannot be read.
    fn predict(
        &self,
        block: &Neurons<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<Predicted, LinearError>;
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
    ) -> Result<Predicted, LinearError> {
        let up = block.up.filter(|_| !self.gate_only);
        let read = magnitudes(block, up, PrecisionLane::Bit3, input, scratch)?;
        Ok(weigh(block, read, scratch.scores))
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
    ) -> Result<Predicted, LinearError> {
        same_len(block.hidden(), self.margins.len())?;
        let lane = block.gate.read_at(PrecisionLane::Bit3);
        let SparseScratch { scores, gate_sums, rows, .. } = scratch;
        block.gate.products(lane, input, rows, gate_sums, scores)?;
        if let Some(bias) = block.gate_bias {
            scores.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias);
        }
        add_positive(self.margins, scores);
        let bytes = block.gate.bytes(lane)? + size_of_val(self.margins);
        Ok(weigh(block, Predicted { known: Known::Gate(lane), bytes }, scores))
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
    ) -> Result<Predicted, LinearError> {
        let read = magnitudes(block, None, input.lane, input, scratch)?;
        Ok(weigh(block, read, scratch.scores))
    }
}

/// `scores = |act(g)·u|` at a lane, or without `u`; leaves the sums.
pub(super) fn magnitudes<B: Backend>(
    block: &Neurons<'_>,
    up: Option<NeuronRows<'_>>,
    lane: PrecisionLane,
    input: PredictorInput<'_, B>,
    scratch: &mut SparseScratch<'_>,
) -> Result<Predicted, LinearError> {
    let lane = block.gate.read_at(lane);
    let SparseScratch { scores, second, gate_sums, up_sums, rows, .. } = scratch;
    block.gate.products(lane, input, rows, gate_sums, scores)?;
    block.activate(input.backend, 0..block.hidden() as u32, scores)?;
    let mut read = Predicted { known: Known::Gate(lane), bytes: block.gate.bytes(lane)? };
    if let Some(up) = up {
        up.products(lane, input, rows, up_sums, second)?;
        scores.iter_mut().zip(second.iter()).for_each(|(score, up)| *score *= up);
        read = Predicted { known: Known::GateAndUp(lane), bytes: read.bytes + up.bytes(lane)? };
    }
    scores.iter_mut().for_each(|score| *score = score.abs());
    Ok(read)
}

/// `scores *= importance`, which has been read as well.
fn weigh(block: &Neurons<'_>, read: Predicted, scores: &mut [f32]) -> Predicted {
    // A product with infinity is refused where the neuron is computed.
    scores
        .iter_mut()
        .zip(block.importance)
        .for_each(|(score, norm)| *score = (*score * norm).abs());
    Predicted { bytes: read.bytes + size_of_val(block.importance), ..read }
}

/// `scores = max(scores + bias, 0)`; NaN becomes 0.
fn add_positive(bias: &[f32], scores: &mut [f32]) {
    for (score, bias) in scores.iter_mut().zip(bias) {
        let predicted = *score + bias;
        *score = if predicted > 0.0 { predicted } else { 0.0 };
    }
}
