//! Feed-forward blocks stored by neuron: what files hold of them, and how a decoder runs them.

use super::arena::SparseBuffers;
use super::planes::{Listed, find};
use super::weights::{Layer, floats, linear};
use super::{Header, ModelError, TensorName, Weights};
use crate::gguf::Gguf;
use crate::kernel::{Backend, Pool};
use crate::lane::PrecisionLane;
use crate::nn::{
    Activation, FullGate, LinearError, LowRank, Magnitude, Neurons, Predictor, Selection,
    SparseReads, SparseScratch, SparsityConfig, Tier0,
};
use crate::quant::ActivationsBuf;

/// Whether such blocks are compiled in; a model that has them is refused where they are not.
pub(super) const COMPILED: bool = cfg!(feature = "sparse");

/// Metadata keys of a file whose feed-forward blocks are stored by neuron.
pub mod keys {
    /// Rank of the low-rank predictors, 0 for none (u32). Its presence says that blocks are stored
    /// by neuron.
    pub const RANK: &str = "trilane.sparsity.rank";
    /// Name of the predictor that was calibrated best (string, see
    /// [`PredictorKind::name`](super::PredictorKind::name)).
    pub const PREDICTOR: &str = "trilane.sparsity.predictor";
    /// Share of the dense bytes that was calibrated as enough (f32, 0 to 1).
    pub const BYTES: &str = "trilane.sparsity.bytes";
}

/// Names of tensors of such a file, after the layer's prefix and without `.weight`.
pub mod parts {
    /// The second matrix: hidden × dim.
    pub const DOWN: &str = "ffn_down_t";
    /// The norm of each neuron's row of it: hidden floats.
    pub const IMPORTANCE: &str = "ffn_importance";
    /// P of the low-rank predictor: rank × dim.
    pub const PREDICT_DOWN: &str = "ffn_predict_down";
    /// Q of the low-rank predictor: hidden × rank.
    pub const PREDICT_UP: &str = "ffn_predict_up";
    /// Quantiles of the gate's magnitude, for thresholds: 33 floats, if at all.
    pub const MAGNITUDES: &str = "ffn_magnitudes";
    /// b of the low-rank predictor: hidden floats.
    pub const PREDICT_BIAS: &str = "ffn_predict_bias";
}

/// Quantiles of a layer's magnitudes in a file.
pub const QUANTILES: usize = 33;

/// Which predictor a decoder asks, see [`nn::Predictor`](crate::nn::Predictor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictorKind {
    /// [`Tier0`] of gate and up.
    Tier0,
    /// [`Tier0`] of the gate alone.
    Tier0Gate,
    /// [`FullGate`].
    FullGate,
    /// [`Magnitude`], whose thresholds the file has to hold.
    Magnitude,
    /// [`LowRank`], which the file has to hold.
    LowRank,
}

impl PredictorKind {
    /// Every predictor.
    pub const ALL: [Self; 5] =
        [Self::Tier0, Self::Tier0Gate, Self::FullGate, Self::Magnitude, Self::LowRank];

    /// The name used on command lines and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tier0 => "tier0",
            Self::Tier0Gate => "tier0-gate",
            Self::FullGate => "gate",
            Self::Magnitude => "magnitude",
            Self::LowRank => "low-rank",
        }
    }

    /// The predictor of that [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How a decoder runs feed-forward blocks that are stored by neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeedForwardMode {
    /// What predicts.
    pub predictor: PredictorKind,
    /// What is chosen.
    pub config: SparsityConfig,
}

impl FeedForwardMode {
    /// Every neuron, at the lane of the token.
    pub const DENSE: Self = Self { predictor: PredictorKind::Tier0, config: SparsityConfig::ALL };
}

/// The rank that the file states, where its blocks are stored by neuron.
pub(super) fn rank(file: &Gguf<'_>, hidden: usize) -> Result<Option<usize>, ModelError> {
    let Some(value) = file.get(keys::RANK) else { return Ok(None) };
    match value.as_u32() {
        Some(rank) if rank as usize <= hidden => Ok(Some(rank as usize)),
        _ => {
            let expected = "a u32, at most feed_forward_length";
            Err(ModelError::Value { key: keys::RANK, expected })
        }
    }
}

/// What a layer has besides the three matrices where its block is stored by neuron.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sparse<'m> {
    importance: &'m [f32],
    magnitude: Option<Magnitude<'m>>,
    low_rank: Option<LowRank<'m>>,
}

impl<'m> Sparse<'m> {
    pub(super) fn load(
        file: &Gguf<'m>,
        listed: Option<&Listed<'_>>,
        layer: usize,
        header: &Header,
        rank: usize,
    ) -> Result<Self, ModelError> {
        let name = |part| TensorName { layer: Some(layer), part };
        let matrix = |part, rows, cols| {
            let matrix = linear(file, listed, name(part), rows, cols)?.digits();
            matrix.ok_or(ModelError::NotInPlanes { name: name(part) })
        };
        let low_rank = if rank > 0 {
            Some(LowRank {
                down: matrix(parts::PREDICT_DOWN, rank, header.dim)?,
                up: matrix(parts::PREDICT_UP, header.hidden, rank)?,
                bias: floats(file, name(parts::PREDICT_BIAS), header.hidden)?,
            })
        } else {
            None
        };
        let importance = floats(file, name(parts::IMPORTANCE), header.hidden)?;
        let at = name(parts::MAGNITUDES);
        let magnitude = if find(file, at, "").is_some() {
            Some(Magnitude { quantiles: floats(file, at, QUANTILES)? })
        } else {
            None
        };
        Ok(Self { importance, magnitude, low_rank })
    }
}

impl Sparse<'_> {
    /// The predictor of a mode that was checked, and what it selects: a share of the neurons is a
    /// threshold where magnitudes are cut.
    fn predictor<B: Backend>(&self, mode: FeedForwardMode) -> (&dyn Predictor<B>, SparsityConfig) {
        let config = mode.config;
        match (mode.predictor, &self.magnitude, &self.low_rank) {
            (PredictorKind::LowRank, _, Some(low_rank)) => (low_rank, config),
            (PredictorKind::Magnitude, Some(magnitude), _) => {
                let cut = match config.selection() {
                    Selection::Share(share) => {
                        SparsityConfig::with_threshold(magnitude.threshold(share))
                    }
                    _ => Ok(config),
                };
                // A threshold between finite magnitudes is one.
                (magnitude, cut.unwrap_or(config))
            }
            (PredictorKind::Tier0Gate, ..) => (&Tier0 { gate_only: true }, config),
            (PredictorKind::FullGate, ..) => (&FullGate, config),
            _ => (&Tier0 { gate_only: false }, config),
        }
    }
}

impl<'m> Layer<'m> {
    /// That the matrices of a block stored by neuron are in digit planes.
    pub(super) fn check_planes(&self, layer: usize) -> Result<(), ModelError> {
        if self.sparse.is_none() {
            return Ok(());
        }
        let parts =
            [("ffn_gate", &self.ffn_gate), ("ffn_up", &self.ffn_up), (parts::DOWN, &self.ffn_down)];
        match parts.into_iter().find(|(_, linear)| linear.digits().is_none()) {
            Some((part, _)) => {
                Err(ModelError::NotInPlanes { name: TensorName { layer: Some(layer), part } })
            }
            None => Ok(()),
        }
    }

    /// The block, where it is stored by neuron.
    fn by_neuron(&self, activation: Activation) -> Option<SparseLayer<'m>> {
        let sparse = self.sparse?;
        let neurons = Neurons {
            gate: self.ffn_gate.digits()?,
            gate_bias: None,
            activation,
            up: Some(self.ffn_up.digits()?),
            down: self.ffn_down.digits()?,
            down_bias: None,
            importance: sparse.importance,
        };
        Some(SparseLayer { neurons, sparse })
    }

    /// Runs the block on `x` if it is stored by neuron; what it read.
    #[allow(clippy::too_many_arguments, reason = "inputs, scratch and output")]
    pub(super) fn sparse_forward<B: Backend>(
        &self,
        backend: B,
        pool: &dyn Pool,
        lane: PrecisionLane,
        mode: FeedForwardMode,
        activation: Activation,
        x: &[f32],
        integers: &mut ActivationsBuf<'_>,
        [first, second]: [&mut [f32]; 2],
        buffers: &mut SparseBuffers<'_>,
        y: &mut [f32],
    ) -> Result<Option<SparseReads>, LinearError> {
        let Some(block) = self.by_neuron(activation) else { return Ok(None) };
        let (q, multipliers, sums) = buffers.inner.parts();
        let mut scratch = SparseScratch {
            scores: &mut *buffers.scores,
            first,
            second,
            gate_sums: &mut *buffers.gate_sums,
            up_sums: &mut *buffers.up_sums,
            rows: &mut *buffers.rows,
            q: &mut *buffers.q,
            inner: ActivationsBuf::new(q, multipliers, sums),
        };
        block.forward(backend, pool, lane, mode, x, integers, &mut scratch, y).map(Some)
    }
}

/// A feed-forward block of a model that stores it by neuron, with its predictors.
#[derive(Clone, Copy, Debug)]
pub struct SparseLayer<'m> {
    /// The block.
    pub neurons: Neurons<'m>,
    sparse: Sparse<'m>,
}

impl SparseLayer<'_> {
    /// [`Neurons::forward`] as a decoder in that mode runs it. A mode whose predictor the file does
    /// not hold predicts with [`Tier0`].
    ///
    /// # Errors
    /// As [`Neurons::forward`].
    #[allow(clippy::too_many_arguments, reason = "inputs, scratch and output")]
    pub fn forward<B: Backend>(
        &self,
        backend: B,
        pool: &dyn Pool,
        lane: PrecisionLane,
        mode: FeedForwardMode,
        x: &[f32],
        integers: &mut ActivationsBuf<'_>,
        scratch: &mut SparseScratch<'_>,
        y: &mut [f32],
    ) -> Result<SparseReads, LinearError> {
        let (predictor, config) = self.sparse.predictor(mode);
        self.neurons.forward(backend, pool, lane, predictor, config, x, integers, scratch, y)
    }
}

impl<'m> Weights<'_, 'm> {
    /// The feed-forward block of a layer, where the file stores it by neuron.
    pub fn sparse_layer(&self, layer: usize) -> Option<SparseLayer<'m>> {
        self.layers.get(layer)?.by_neuron(self.header().activation)
    }
}

/// Whether a decoder can run in a mode.
pub(super) fn check(weights: &Weights<'_, '_>, mode: FeedForwardMode) -> Result<(), ModelError> {
    let cut = |layer: &Layer<'_>| layer.sparse.is_some_and(|sparse| sparse.magnitude.is_some());
    match (weights.header().sparse_rank, mode.predictor) {
        (None, _) => Err(ModelError::MissingKey { key: keys::RANK }),
        (_, PredictorKind::Magnitude) => match weights.layers.iter().position(|l| !cut(l)) {
            Some(layer) => {
                let name = TensorName { layer: Some(layer), part: parts::MAGNITUDES };
                Err(ModelError::MissingTensor { name })
            }
            None => Ok(()),
        },
        (Some(0), PredictorKind::LowRank) => {
            Err(ModelError::Value { key: keys::RANK, expected: "more than 0 for this predictor" })
        }
        _ => Ok(()),
    }
}
