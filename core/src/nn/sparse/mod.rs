//! Feed-forward blocks that compute only the neurons that matter, each at its own lane.
//!
//! ```text
//! predict   s[i] ≈ |act(g[i])·u[i]| · ‖down[i]‖         a Predictor
//! assign    a lane, or none, to each neuron               a Selection
//! refine    g[i], u[i] at that lane                       the tiers that the prediction has not read
//! combine   y = Σ act(g[i])·u[i] · down[i]                rows of down, at the lane of the neuron
//! ```
//!
//! The second matrix is stored by neuron, hidden × dim, so that a neuron that is left out is a row
//! that is not read. Everything but the activations' floats is integers: the same bits on every
//! backend and with any number of threads.

mod combine;
mod config;
mod low_rank;
mod magnitude;
mod predictor;
mod rows;
mod selection;

pub use config::{SelectionError, SparsityConfig};
pub use low_rank::LowRank;
pub use magnitude::Magnitude;
pub use predictor::{FullGate, Known, MarginTier0, Predicted, Predictor, PredictorInput, Tier0};
pub use rows::NeuronRows;
pub use selection::Selection;

use super::ffn::Activation;
use super::{LinearError, same_len};
use crate::kernel::{Backend, Pool};
use crate::lane::PrecisionLane;
use crate::quant::ActivationsBuf;
use selection::{Costs, Counts, select};

/// A feed-forward block stored by neuron:
/// `y = Σ_i act(gate[i]·x + gate_bias[i]) · (up[i]·x) · down[i] + down_bias`,
/// without the factor `up[i]·x` for a plain block.
#[derive(Clone, Copy, Debug)]
pub struct Neurons<'w> {
    /// The matrix before the activation: hidden × dim. The only one in front of the hidden layer
    /// of a plain block.
    pub gate: NeuronRows<'w>,
    /// hidden values, or none for zeros.
    pub gate_bias: Option<&'w [f32]>,
    /// The function of the hidden layer.
    pub activation: Activation,
    /// hidden × dim, of a gated block.
    pub up: Option<NeuronRows<'w>>,
    /// hidden × outputs: what each neuron adds to the output.
    pub down: NeuronRows<'w>,
    /// outputs values, or none for zeros.
    pub down_bias: Option<&'w [f32]>,
    /// How much a hidden value matters, the norm of its row of `down`: hidden values, or none where
    /// they are all the same.
    pub importance: &'w [f32],
}

/// Memory that a sparse block computes in; for `hidden` neurons, each part of that length.
#[derive(Debug)]
pub struct SparseScratch<'a> {
    /// The predictions.
    pub scores: &'a mut [f32],
    /// Values of the chosen neurons.
    pub first: &'a mut [f32],
    /// Values of the chosen neurons.
    pub second: &'a mut [f32],
    /// Sums of rows of the gate.
    pub gate_sums: &'a mut [i64],
    /// Sums of rows of up.
    pub up_sums: &'a mut [i64],
    /// The chosen neurons.
    pub rows: &'a mut [u32],
    /// The hidden values as integers.
    pub q: &'a mut [i16],
}

/// What blocks have read, for one input or for several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SparseReads {
    /// Neurons of the block.
    pub neurons: usize,
    /// Neurons computed at Bit7, Bit5 and Bit3; a lower lane of the block stands in for a higher
    /// one.
    pub computed: [usize; 3],
    /// Bytes of weights read, those of the prediction included.
    pub bytes: usize,
    /// Bytes that the whole block has at its lane.
    pub dense_bytes: usize,
}

impl core::ops::AddAssign for SparseReads {
    fn add_assign(&mut self, other: Self) {
        self.neurons += other.neurons;
        self.computed.iter_mut().zip(other.computed).for_each(|(sum, n)| *sum += n);
        self.bytes += other.bytes;
        self.dense_bytes += other.dense_bytes;
    }
}

/// Rows at a time between integers and floats.
const CHUNK: usize = 64;

/// The chosen neurons: one list for each lane.
#[derive(Clone, Copy)]
struct Lists<'a> {
    rows: &'a [u32],
    counts: Counts,
    /// The lane of the block.
    lane: PrecisionLane,
}

impl<'a> Lists<'a> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    /// Each list with its lane.
    fn each(&self) -> impl Iterator<Item = (PrecisionLane, &'a [u32])> {
        let (lane, mut rest) = (self.lane, self.rows);
        let lanes = [lane, lane.min(PrecisionLane::Bit5), lane.min(PrecisionLane::Bit3)];
        lanes.into_iter().zip(self.counts).map(move |(lane, count)| {
            let (list, after) = rest.split_at(count.min(rest.len()));
            rest = after;
            (lane, list)
        })
    }
}

impl Neurons<'_> {
    /// Neurons of the hidden layer.
    pub fn hidden(&self) -> usize {
        self.gate.rows()
    }

    /// Values of an input.
    pub fn dim(&self) -> usize {
        self.gate.cols()
    }

    /// Values of an output; as many as of an input where the block is part of a residual stream.
    pub fn outputs(&self) -> usize {
        self.down.cols()
    }

    /// Whether all parts fit each other.
    ///
    /// # Errors
    /// [`LinearError::Shape`] with the first length that does not.
    pub fn check(&self) -> Result<(), LinearError> {
        let (hidden, outputs) = (self.hidden(), self.outputs());
        if let Some(up) = &self.up {
            same_len(hidden, up.rows())?;
            same_len(self.dim(), up.cols())?;
        }
        same_len(hidden, self.down.rows())?;
        same_len(hidden, self.gate_bias.map_or(hidden, <[f32]>::len))?;
        same_len(outputs, self.down_bias.map_or(outputs, <[f32]>::len))?;
        let importances = self.importance.len();
        Ok(same_len(if importances == 0 { 0 } else { hidden }, importances)?)
    }

    /// Computes the block on a vector, at `lane` at most.
    ///
    /// Shapes: `x` dim, `y` outputs; `integers` for dim activations; `scratch` as it says. Sums
    /// Exact, activations Ordered, and so is the choice of neurons.
    ///
    /// # Errors
    /// [`LinearError`]: a slice that does not match, a lane that is not stored, values that are not
    /// finite, or a file that cannot be read.
    #[allow(clippy::too_many_arguments, reason = "inputs, scratch and output")]
    pub fn forward<B: Backend>(
        &self,
        backend: B,
        pool: &dyn Pool,
        lane: PrecisionLane,
        predictor: &dyn Predictor<B>,
        config: SparsityConfig,
        x: &[f32],
        integers: &mut ActivationsBuf<'_>,
        scratch: &mut SparseScratch<'_>,
        y: &mut [f32],
    ) -> Result<SparseReads, LinearError> {
        let hidden = self.hidden();
        same_len(self.dim(), x.len())?;
        same_len(self.outputs(), y.len())?;
        for len in [scratch.scores.len(), scratch.first.len(), scratch.second.len()]
            .into_iter()
            .chain([scratch.gate_sums.len(), scratch.up_sums.len()])
            .chain([scratch.rows.len(), scratch.q.len()])
        {
            same_len(hidden, len)?;
        }
        let lane = self.gate.read_at(lane);
        let x = backend.quantize(x, integers)?;
        let input = PredictorInput { backend, pool, lane, x: &x };
        let all = config.selection() == Selection::All;
        let Predicted { known, bytes: prediction } = if all {
            Predicted { known: Known::Nothing, bytes: 0 }
        } else {
            predictor.predict(self, input, scratch)?
        };
        let neuron = self.neuron_bytes(lane, known)?;
        let costs = Costs { neuron, prediction, dense: self.bytes(lane)? };
        let SparseScratch { scores, first, second, gate_sums, up_sums, rows, q, .. } = scratch;
        let counts = select(config.selection(), scores, costs, rows);
        let chosen = counts.iter().sum::<usize>().min(hidden);
        let lists = Lists { rows: rows.get(..chosen).unwrap_or(&[]), counts, lane };
        let first = first.get_mut(..chosen).unwrap_or(&mut []);
        let second = second.get_mut(..chosen).unwrap_or(&mut []);
        let gate_known = known.gate().map(|lane| (lane, &**gate_sums));
        let up_known = known.up().map(|lane| (lane, &**up_sums));
        self.gate.refine(input, gate_known, &lists, first)?;
        self.activate(backend, lists.rows.iter().copied(), first)?;
        if let Some(up) = &self.up {
            up.refine(input, up_known, &lists, second)?;
            first.iter_mut().zip(second.iter()).for_each(|(h, up)| *h *= up);
        }
        let q = q.get_mut(..chosen).unwrap_or(&mut []);
        combine::combine(backend, pool, &self.down, &lists, first, q, y)?;
        if let Some(bias) = self.down_bias {
            y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
        let neurons = counts.iter().zip(neuron).map(|(n, cost)| n * cost).sum::<usize>();
        let bytes = if all { costs.dense } else { prediction + neurons };
        Ok(SparseReads { neurons: hidden, computed: counts, bytes, dense_bytes: costs.dense })
    }

    /// `h[i] = act(h[i] + gate_bias[rows[i]])`.
    fn activate(
        &self,
        backend: impl Backend,
        rows: impl Iterator<Item = u32>,
        h: &mut [f32],
    ) -> Result<(), LinearError> {
        if let Some(bias) = self.gate_bias {
            same_len(self.hidden(), bias.len())?;
            for (h, row) in h.iter_mut().zip(rows) {
                *h += bias.get(row as usize).copied().unwrap_or(0.0);
            }
        }
        self.activation.apply(backend, h);
        Ok(())
    }

    /// Bytes of weights of the whole block at a lane.
    ///
    /// # Errors
    /// [`LinearError::Matrix`] when the lane is not stored.
    pub fn bytes(&self, lane: PrecisionLane) -> Result<usize, LinearError> {
        let up = self.up.map_or(Ok(0), |up| up.bytes(lane))?;
        Ok(self.gate.bytes(lane)? + up + self.down.bytes(lane)?)
    }

    /// Bytes of a neuron at the lanes of the lists, after a prediction.
    fn neuron_bytes(&self, lane: PrecisionLane, known: Known) -> Result<[usize; 3], LinearError> {
        let row = |matrix: &NeuronRows<'_>, known, lane| {
            Ok::<_, LinearError>(matrix.bytes_beyond(known, lane)? / matrix.rows().max(1))
        };
        let neuron = |lane| {
            let up = self.up.as_ref().map_or(Ok(0), |up| row(up, known.up(), lane))?;
            let (gate, down) = (row(&self.gate, known.gate(), lane)?, row(&self.down, None, lane)?);
            Ok::<_, LinearError>(gate + up + down)
        };
        let (five, three) = (lane.min(PrecisionLane::Bit5), lane.min(PrecisionLane::Bit3));
        Ok([neuron(lane)?, neuron(five)?, neuron(three)?])
    }
}
