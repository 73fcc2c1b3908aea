//! The weights of a decoder, uploaded once.

use crate::buffer::Buffer;
use crate::error::CudaError;
use crate::matrix::Matrix;
use crate::sparse::{LowRankMap, SparseBlock, SparseBuffers, SparsePredictor};
use crate::stream::Stream;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{
    Architecture, FeedForwardMode, ModelError, PredictorKind, SparseLayer, TensorName, Weights,
};
use trilane_core::nn::{Linear, SparsityConfig};

/// The weights of a layer.
#[derive(Debug)]
pub(super) struct DeviceLayer {
    pub(super) attn_norm: Buffer<f32>,
    pub(super) q: Matrix,
    pub(super) k: Matrix,
    pub(super) v: Matrix,
    pub(super) output: Matrix,
    pub(super) ffn_norm: Buffer<f32>,
    pub(super) ffn: FeedForward,
}

/// The weights of a feed-forward block.
#[derive(Debug)]
pub(super) enum FeedForward {
    Dense(Box<[Matrix; 3]>),
    ByNeuron(Box<ByNeuron>),
}

/// A block stored by neuron, and how it is run.
#[derive(Debug)]
pub(super) struct ByNeuron {
    pub(super) block: SparseBlock,
    pub(super) predictor: SparsePredictor,
    pub(super) config: SparsityConfig,
}

impl ByNeuron {
    fn upload(stream: &Stream, layer: &SparseLayer<'_>) -> Result<Self, CudaError> {
        let FeedForwardMode { predictor, config } = FeedForwardMode::DENSE;
        Ok(Self {
            block: SparseBlock::upload(stream, &layer.neurons(predictor))?,
            predictor: SparsePredictor::Tier0 { gate_only: false },
            config,
        })
    }

    /// Runs the block in another mode from now on.
    fn set(
        &mut self,
        stream: &Stream,
        layer: &SparseLayer<'_>,
        mode: FeedForwardMode,
    ) -> Result<(), CudaError> {
        let neurons = layer.neurons(mode.predictor);
        let predictor = match (mode.predictor, layer.low_rank()) {
            (PredictorKind::LowRank, Some(map)) => {
                LowRankMap::upload(stream, &map, neurons.hidden())?
            }
            (PredictorKind::Tier0Gate, _) => SparsePredictor::Tier0 { gate_only: true },
            (PredictorKind::FullGate, _) => SparsePredictor::FullGate,
            (PredictorKind::Magnitude, _) => SparsePredictor::Magnitude,
            _ => SparsePredictor::Tier0 { gate_only: false },
        };
        self.block.set_importance(stream, neurons.importance)?;
        (self.predictor, self.config) = (predictor, layer.config(mode));
        Ok(())
    }
}

/// The weights of a decoder.
#[derive(Debug)]
pub(super) struct DeviceWeights {
    pub(super) token_embd: Matrix,
    pub(super) layers: Vec<DeviceLayer>,
    pub(super) output_norm: Buffer<f32>,
    /// `None` where the embedding table is the output matrix as well.
    output: Option<Matrix>,
    /// Whether the model can be read at each lane, in the order of [`PrecisionLane::ALL`].
    lanes: [bool; 5],
}

impl DeviceWeights {
    /// Copies every tensor to the device.
    pub(super) fn upload(stream: &Stream, weights: &Weights<'_, '_>) -> Result<Self, CudaError> {
        let header = weights.header();
        let unsupported = |what: &str| CudaError::Unsupported { what: what.into() };
        if header.architecture != Architecture::Llama {
            return Err(unsupported("blocks of short convolutions"));
        }
        let find = |name: TensorName| {
            let mut linears = weights.linears();
            let found = linears.find(|(other, _)| *other == name).map(|(_, linear)| linear);
            found.ok_or_else(|| CudaError::Unsupported { what: format!("a model without {name}") })
        };
        let upload = |name: TensorName| {
            let named = |error| match error {
                CudaError::Unsupported { what } => {
                    CudaError::Unsupported { what: format!("{name}: {what}") }
                }
                error => error,
            };
            Matrix::upload(stream, find(name)?).map_err(named)
        };
        let layers = weights.layers().iter().enumerate().map(|(index, layer)| {
            let part = |part| upload(TensorName { layer: Some(index), part });
            Ok(DeviceLayer {
                attn_norm: Buffer::from_host(stream, layer.attn_norm())?,
                q: part("attn_q")?,
                k: part("attn_k")?,
                v: part("attn_v")?,
                output: part("attn_output")?,
                ffn_norm: Buffer::from_host(stream, layer.ffn_norm())?,
                ffn: match weights.sparse_layer(index) {
                    Some(layer) => {
                        FeedForward::ByNeuron(Box::new(ByNeuron::upload(stream, &layer)?))
                    }
                    None => FeedForward::Dense(Box::new([
                        part("ffn_gate")?,
                        part("ffn_up")?,
                        part("ffn_down")?,
                    ])),
                },
            })
        });
        let layers = layers.collect::<Result<_, CudaError>>()?;
        let outside = |part| TensorName { layer: None, part };
        let (embedding, output) = (outside("token_embd"), outside("output"));
        let shared = same(find(embedding)?, find(output)?);
        Ok(Self {
            token_embd: upload(embedding)?,
            layers,
            output_norm: Buffer::from_host(stream, weights.output_norm())?,
            output: if shared { None } else { Some(upload(output)?) },
            lanes: PrecisionLane::ALL.map(|lane| weights.check_lane(lane).is_ok()),
        })
    }

    /// Runs the feed-forward blocks in another mode from now on.
    pub(super) fn set_feed_forward(
        &mut self,
        stream: &Stream,
        weights: &Weights<'_, '_>,
        mode: FeedForwardMode,
    ) -> Result<(), CudaError> {
        let unsupported = |e: ModelError| CudaError::Unsupported { what: e.to_string() };
        weights.check_feed_forward(mode).map_err(unsupported)?;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            if let (FeedForward::ByNeuron(own), Some(layer)) =
                (&mut layer.ffn, weights.sparse_layer(index))
            {
                own.set(stream, &layer, mode)?;
            }
        }
        Ok(())
    }

    /// Memory for the blocks that are stored by neuron, if there are any.
    pub(super) fn sparse_buffers(
        &self,
        stream: &Stream,
        sequences: usize,
    ) -> Result<Option<SparseBuffers>, CudaError> {
        let blocks = self.layers.iter().filter_map(|layer| match &layer.ffn {
            FeedForward::ByNeuron(own) => Some(&own.block),
            FeedForward::Dense(_) => None,
        });
        blocks.take(1).map(|block| SparseBuffers::new(stream, block, sequences)).next().transpose()
    }

    /// The output matrix.
    pub(super) fn output(&self) -> &Matrix {
        self.output.as_ref().unwrap_or(&self.token_embd)
    }

    /// Whether the model can be read at a lane, as [`Weights::check_lane`].
    pub(super) fn check_lane(&self, lane: PrecisionLane) -> Result<(), CudaError> {
        if self.lanes.get(lane as usize) == Some(&true) {
            return Ok(());
        }
        Err(CudaError::Unsupported { what: format!("lane {lane}, which the model does not store") })
    }
}

/// Whether two linear layers are the same bytes of a file.
fn same(a: &Linear<'_>, b: &Linear<'_>) -> bool {
    use trilane_core::digits::DigitPlanes::{Nested, Ternary};
    let first = |linear: &Linear<'_>| match linear {
        Linear::Digits { matrix, .. } => match matrix.planes() {
            Ternary { digits, .. } => digits.as_ptr(),
            Nested { high, .. } => high.as_ptr(),
        },
        Linear::Blocks { data, .. } => data.as_ptr(),
        #[allow(unreachable_patterns, reason = "a feature of the core adds matrices in files")]
        _ => std::ptr::null(),
    };
    std::ptr::eq(first(a), first(b))
}
