//! Feed-forward blocks stored by neuron: what files hold of them, and how a decoder runs them.

use super::arena::SparseBuffers;
use super::planes::{Listed, find, parts as planes};
use super::weights::{Layer, Place, floats, linear};
use super::{Header, ModelError, TensorName, Weights};
use crate::digits::DigitMatrix;
use crate::gguf::Gguf;
use crate::kernel::{Backend, Pool};
use crate::lane::PrecisionLane;
use crate::nn::{
    Activation, FullGate, Linear, LinearError, LowRank, Magnitude, NeuronRows, Neurons, Predictor,
    Selection, SparseReads, SparseScratch, SparsityConfig, Tier0,
};
use crate::quant::ActivationsBuf;

/// Whether such blocks are compiled in; a model that has them is refused where they are not.
pub(super) const COMPILED: bool = cfg!(feature = "sparse");

/// Metadata keys of a file whose feed-forward blocks are stored by neuron.
pub mod keys {
    /// The largest rank of the low-rank predictors, 0 for none (u32). Its presence says that blocks are stored
    /// by neuron.
    pub const RANK: &str = "trilane.sparsity.rank";
    /// Whether the rows of the second matrix have norm 1, theirs being in those of up (bool): then up
    /// says how much a neuron matters.
    pub const UNIT_DOWN: &str = "trilane.sparsity.unit_down";
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
    /// The norm of each neuron's row of it, before it became 1 where it did: hidden floats.
    pub const IMPORTANCE: &str = "ffn_importance";
    /// P of the low-rank predictor: rank × dim, of each layer its own rank.
    pub const PREDICT_DOWN: &str = "ffn_predict_down";
    /// Q of the low-rank predictor for the gate, by column: rank × hidden.
    pub const PREDICT_GATE: &str = "ffn_predict_gate";
    /// Q of the low-rank predictor for up, by column: rank × hidden.
    pub const PREDICT_UP: &str = "ffn_predict_up";
    /// Quantiles of the gate's magnitude, for thresholds: 33 floats, if at all.
    pub const MAGNITUDES: &str = "ffn_magnitudes";
    /// b of the low-rank predictor: hidden floats for the gate, then as many for up.
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
    /// Whether the rows of up have these norms as a factor.
    unit_down: bool,
    magnitude: Option<Magnitude<'m>>,
    low_rank: Option<LowRank<'m>>,
}

impl<'m> Sparse<'m> {
    pub(super) fn load(
        place: &Place<'m>,
        listed: Option<&Listed<'_>>,
        layer: usize,
        header: &Header,
        rank: usize,
    ) -> Result<Self, ModelError> {
        let name = |part| TensorName { layer: Some(layer), part };
        let matrix = |part, rows, cols| {
            let matrix = in_memory(linear(place, listed, name(part), rows, cols)?);
            matrix.ok_or(ModelError::NotInPlanes { name: name(part) })
        };
        let low_rank = if rank > 0 {
            let at = name(parts::PREDICT_DOWN);
            let stored =
                [planes::HIGH, ""].into_iter().find_map(|part| find(&place.file, at, part));
            // Another rank than one from 1 on is refused below, with both.
            let rank = stored.map_or(rank, |tensor| tensor.rows().clamp(1, rank));
            Some(LowRank {
                down: matrix(parts::PREDICT_DOWN, rank, header.dim)?,
                gate: matrix(parts::PREDICT_GATE, rank, header.hidden)?,
                up: Some(matrix(parts::PREDICT_UP, rank, header.hidden)?),
                bias: floats(place, name(parts::PREDICT_BIAS), 2 * header.hidden)?,
            })
        } else {
            None
        };
        let importance = floats(place, name(parts::IMPORTANCE), header.hidden)?;
        let at = name(parts::MAGNITUDES);
        let magnitude = if find(&place.file, at, "").is_some() {
            Some(Magnitude { quantiles: floats(place, at, QUANTILES)? })
        } else {
            None
        };
        let unit_down = place.file.get(keys::UNIT_DOWN).and_then(|v| v.as_bool()).unwrap_or(false);
        Ok(Self { importance, unit_down, magnitude, low_rank })
    }
}

impl<'m> Sparse<'m> {
    /// What a predictor multiplies its scores with: nothing where it reads up, whose rows have the
    /// norms as a factor.
    fn importance(&self, kind: PredictorKind) -> &'m [f32] {
        let reads_up = matches!(kind, PredictorKind::Tier0 | PredictorKind::LowRank);
        if self.unit_down && reads_up { &[] } else { self.importance }
    }

    /// The predictor of a mode that was checked.
    fn predictor<B: Backend>(&self, kind: PredictorKind) -> &dyn Predictor<B> {
        match (kind, &self.magnitude, &self.low_rank) {
            (PredictorKind::LowRank, _, Some(low_rank)) => low_rank,
            (PredictorKind::Magnitude, Some(magnitude), _) => magnitude,
            (PredictorKind::Tier0Gate, ..) => &Tier0 { gate_only: true },
            (PredictorKind::FullGate, ..) => &FullGate,
            _ => &Tier0 { gate_only: false },
        }
    }

    /// What a mode selects: a share of the neurons is a threshold where magnitudes are cut.
    fn config(&self, mode: FeedForwardMode) -> SparsityConfig {
        match (mode.predictor, &self.magnitude, mode.config.selection()) {
            (PredictorKind::Magnitude, Some(magnitude), Selection::Share(share)) => {
                // A threshold between finite magnitudes is one.
                SparsityConfig::with_threshold(magnitude.threshold(share)).unwrap_or(mode.config)
            }
            _ => mode.config,
        }
    }
}

/// The digit planes of a matrix that has to be in memory, at its highest lane at least.
fn in_memory(linear: Linear<'_>) -> Option<DigitMatrix<'_>> {
    match linear {
        #[cfg(feature = "stored")]
        Linear::Stored { matrix, source } => {
            let lane = matrix.top_lane();
            let mut parts = [&[][..]; crate::nn::MAX_PARTS];
            for (to, extent) in parts.iter_mut().zip(matrix.extents(lane, 0..matrix.rows()).ok()?) {
                if extent.len > 0 {
                    *to = source.resident(extent)?;
                }
            }
            matrix.resident(lane, matrix.rows(), parts).ok()?.digits()
        }
        linear => linear.digits(),
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
        match parts.into_iter().find(|(_, linear)| !linear.takes_integers()) {
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
            gate: NeuronRows::of(&self.ffn_gate)?,
            gate_bias: None,
            activation,
            up: Some(NeuronRows::of(&self.ffn_up)?),
            down: NeuronRows::of(&self.ffn_down)?,
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
        let mut scratch = SparseScratch {
            scores: &mut *buffers.scores,
            first,
            second,
            gate_sums: &mut *buffers.gate_sums,
            up_sums: &mut *buffers.up_sums,
            rows: &mut *buffers.rows,
            q: &mut *buffers.q,
        };
        let Some(block) = self.by_neuron(activation) else { return Ok(None) };
        block.forward(backend, pool, lane, mode, x, integers, &mut scratch, y).map(Some)
    }
}

/// A feed-forward block of a model that stores it by neuron, with its predictors.
#[derive(Clone, Copy, Debug)]
pub struct SparseLayer<'m> {
    neurons: Neurons<'m>,
    sparse: Sparse<'m>,
}

impl<'m> SparseLayer<'m> {
    /// The block as a decoder that asks such a predictor runs it.
    pub fn neurons(&self, kind: PredictorKind) -> Neurons<'m> {
        Neurons { importance: self.sparse.importance(kind), ..self.neurons }
    }

    /// What a mode selects in this layer: of magnitudes a threshold in place of a share.
    pub fn config(&self, mode: FeedForwardMode) -> SparsityConfig {
        self.sparse.config(mode)
    }

    /// The low-rank predictor, where the file holds one.
    pub fn low_rank(&self) -> Option<LowRank<'m>> {
        self.sparse.low_rank
    }

    /// What the magnitude of a hidden value is multiplied with for what it adds to the output: one
    /// value for each neuron, or none where it is the same for all.
    pub fn importance(&self) -> &[f32] {
        self.sparse.importance(PredictorKind::Tier0)
    }

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
        let (predictor, config) = (self.sparse.predictor(mode.predictor), self.sparse.config(mode));
        let neurons = self.neurons(mode.predictor);
        neurons.forward(backend, pool, lane, predictor, config, x, integers, scratch, y)
    }
}

impl<'m> Weights<'_, 'm> {
    /// Checks that a decoder of these weights can run its feed-forward blocks in a mode.
    ///
    /// # Errors
    /// As [`Decoder::set_feed_forward`](super::Decoder::set_feed_forward).
    pub fn check_feed_forward(&self, mode: FeedForwardMode) -> Result<(), ModelError> {
        check(self, mode)
    }

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
