//! A layer and its predictors in digit planes, and one inference.

use super::error::check;
use super::matrix::Matrix;
use super::{EngineError, FfnWeights, Method};
use crate::memory::{Integers, SparseMemory};
use trilane_core::kernel::{Backend, Level, Serial};
use trilane_core::lane::{PrecisionLane, dequantize_row};
use trilane_core::nn::{
    Activation, LowRank, MarginTier0, Neurons, Predictor, SparseReads, SparsityConfig, Tier0,
};

/// The lane that is computed at.
pub(super) const LANE: PrecisionLane = PrecisionLane::Bit7;

/// The weights of a layer.
pub(super) struct Layer {
    /// hidden × input.
    pub(super) gate: Matrix,
    pub(super) gate_bias: Vec<f32>,
    pub(super) activation: Activation,
    /// hidden × output, for sums of chosen neurons.
    down: Matrix,
    /// output × hidden, for products with all.
    dense_down: Matrix,
    down_bias: Vec<f32>,
    /// The norm of each neuron's row of `down`.
    pub(super) importance: Vec<f32>,
}

/// What predictions are made with.
#[derive(Default)]
pub(super) struct Predictors {
    /// Of tier 0; none before calibration.
    pub(super) margins: Option<Vec<f32>>,
    pub(super) low_rank: Option<LowRankParts>,
}

/// `w1·x + b1` with margins: `upᵀ · (down · x) + bias`.
pub(super) struct LowRankParts {
    /// rank × input.
    pub(super) down: Matrix,
    /// rank × hidden.
    pub(super) up: Matrix,
    pub(super) bias: Vec<f32>,
}

/// How a layer is computed.
#[derive(Clone, Copy)]
pub(super) struct Way<'p> {
    pub(super) method: Method,
    pub(super) predictors: &'p Predictors,
    pub(super) config: SparsityConfig,
}

/// Memory for one inference at a time.
pub(super) struct Scratch {
    input: Integers,
    hidden: Integers,
    block: SparseMemory,
}

impl Scratch {
    pub(super) fn new(layer: &Layer) -> Self {
        Self {
            input: Integers::new(layer.dim()),
            hidden: Integers::new(layer.hidden()),
            block: SparseMemory::new(layer.hidden()),
        }
    }

    /// The neurons that the last sparse inference computed.
    pub(super) fn chosen(&self, reads: &SparseReads) -> &[u32] {
        self.block.rows.get(..reads.computed.iter().sum()).unwrap_or(&[])
    }
}

impl Layer {
    pub(super) fn new(weights: &FfnWeights<'_>) -> Result<Self, EngineError> {
        let FfnWeights { shape: [dim, hidden, outputs], w1, b1, activation, w2, b2 } = *weights;
        check("w1", hidden.saturating_mul(dim), w1)?;
        check("b1", hidden, b1)?;
        check("w2", outputs.saturating_mul(hidden), w2)?;
        check("b2", outputs, b2)?;
        let column =
            |i: usize| -> Vec<f32> { w2.iter().skip(i).step_by(hidden).copied().collect() };
        let norm = |i: usize| -> f32 {
            let squares = column(i).iter().map(|&w| f64::from(w) * f64::from(w)).sum::<f64>();
            libm::sqrt(squares) as f32
        };
        Ok(Self {
            gate: Matrix::quantized(hidden, dim, |i| w1[i * dim..][..dim].to_vec())?,
            gate_bias: b1.to_vec(),
            activation,
            down: Matrix::quantized(hidden, outputs, column)?,
            dense_down: Matrix::quantized(outputs, hidden, |i| {
                w2[i * hidden..][..hidden].to_vec()
            })?,
            down_bias: b2.to_vec(),
            importance: (0..hidden).map(norm).collect(),
        })
    }

    pub(super) fn dim(&self) -> usize {
        self.gate.get().cols()
    }

    pub(super) fn hidden(&self) -> usize {
        self.gate.get().rows()
    }

    pub(super) fn outputs(&self) -> usize {
        self.dense_down.get().rows()
    }

    /// Whether a neuron that is not active adds exactly nothing.
    pub(super) fn has_zeros(&self) -> bool {
        matches!(self.activation, Activation::Relu | Activation::Relu2)
    }

    /// `w1` as it is computed with.
    pub(super) fn gate_rows(&self) -> Result<Vec<f32>, EngineError> {
        let view = self.gate.get().lane(LANE)?;
        let mut rows = vec![0.0; self.hidden() * self.dim()];
        for (i, row) in rows.chunks_mut(self.dim()).enumerate() {
            dequantize_row(&view, i, row);
        }
        Ok(rows)
    }

    /// `w1·x + b1` at a lane.
    pub(super) fn before_activation(
        &self,
        level: Level,
        lane: PrecisionLane,
        x: &[f32],
    ) -> Result<Vec<f32>, EngineError> {
        let mut integers = Integers::new(x.len());
        let mut buf = integers.buf();
        let x = level.quantize(x, &mut buf)?;
        let mut z = vec![0.0; self.hidden()];
        level.lane_matvec(&self.gate.get().lane(lane)?, &x, 0, &mut z);
        z.iter_mut().zip(&self.gate_bias).for_each(|(z, bias)| *z += bias);
        Ok(z)
    }

    /// One inference.
    pub(super) fn run(
        &self,
        level: Level,
        Way { method, predictors, config }: Way<'_>,
        x: &[f32],
        scratch: &mut Scratch,
        y: &mut [f32],
    ) -> Result<SparseReads, EngineError> {
        let tier0 = Tier0 { gate_only: true };
        let (margin_tier0, low_rank);
        let predictor: &dyn Predictor<Level> = match (method, predictors) {
            (Method::Dense, _) => return self.dense(level, x, scratch, y),
            (Method::LowRank, Predictors { low_rank: Some(parts), .. }) => {
                let (down, gate) = (parts.down.get(), parts.up.get());
                low_rank = LowRank { down, gate, up: None, bias: &parts.bias };
                &low_rank
            }
            (_, Predictors { margins: Some(margins), .. }) => {
                margin_tier0 = MarginTier0 { margins };
                &margin_tier0
            }
            _ => &tier0,
        };
        let block = Neurons {
            gate: self.gate.get().into(),
            gate_bias: Some(&self.gate_bias),
            activation: self.activation,
            up: None,
            down: self.down.get().into(),
            down_bias: Some(&self.down_bias),
            importance: &self.importance,
        };
        let (mut input, mut parts) = (scratch.input.buf(), scratch.block.scratch());
        Ok(block.forward(level, &Serial, LANE, predictor, config, x, &mut input, &mut parts, y)?)
    }

    fn dense(
        &self,
        level: Level,
        x: &[f32],
        scratch: &mut Scratch,
        y: &mut [f32],
    ) -> Result<SparseReads, EngineError> {
        let (gate, down) = (self.gate.get().lane(LANE)?, self.dense_down.get().lane(LANE)?);
        let Scratch { input, hidden, block: SparseMemory { first, .. } } = scratch;
        let mut input = input.buf();
        let x = level.quantize(x, &mut input)?;
        level.lane_matvec(&gate, &x, 0, first);
        first.iter_mut().zip(&self.gate_bias).for_each(|(h, bias)| *h += bias);
        self.activation.apply(level, first);
        let mut hidden = hidden.buf();
        let h = level.quantize(first, &mut hidden)?;
        level.lane_matvec(&down, &h, 0, y);
        y.iter_mut().zip(&self.down_bias).for_each(|(y, bias)| *y += bias);
        let (neurons, bytes) = (self.hidden(), gate.bytes() + down.bytes());
        Ok(SparseReads { neurons, computed: [neurons, 0, 0], bytes, dense_bytes: bytes })
    }
}
