//! Feed-forward blocks that compute only the neurons that matter: the device's form of
//! [`Neurons`], with its bits.
//!
//! Predictions, the choice of neurons and the number of those chosen stay on the device, so that a
//! block can be recorded and replayed.

mod rows;
mod selection;

use crate::activations::{Activations, Status};
use crate::buffer::Buffer;
use crate::error::{CudaError, counted, same_len};
use crate::matrix::Matrix;
use crate::stream::Stream;
use rows::{Hidden, List, Sums};
use selection::{Costs, LISTS, select};
use trilane_core::digits::DigitMatrix;
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{
    Activation, Linear, LowRank, NeuronRows, Neurons, Selection, SparsityConfig,
};

/// A feed-forward block stored by neuron, in the memory of a device.
#[derive(Debug)]
pub struct SparseBlock {
    gate: Matrix,
    gate_bias: Option<Buffer<f32>>,
    activation: Activation,
    up: Option<Matrix>,
    down: Matrix,
    down_bias: Option<Buffer<f32>>,
    importance: Option<Buffer<f32>>,
}

/// What each neuron will contribute, before it is computed.
#[derive(Debug)]
#[non_exhaustive]
pub enum SparsePredictor {
    /// [`Tier0`](trilane_core::nn::Tier0), perhaps of the gate alone.
    Tier0 {
        /// Whether up is left out.
        gate_only: bool,
    },
    /// [`FullGate`](trilane_core::nn::FullGate).
    FullGate,
    /// [`Magnitude`](trilane_core::nn::Magnitude), for thresholds of its own.
    Magnitude,
    /// [`LowRank`].
    LowRank(Box<LowRankMap>),
}

/// The matrices of a [`LowRank`] predictor, in the memory of a device.
#[derive(Debug)]
pub struct LowRankMap {
    down: Matrix,
    gate: Matrix,
    gate_bias: Buffer<f32>,
    up: Option<(Matrix, Buffer<f32>)>,
}

/// Memory that sparse blocks of one shape compute in.
#[derive(Debug)]
pub struct SparseBuffers {
    batch: usize,
    hidden: usize,
    outputs: usize,
    scores: Buffer<f32>,
    first: Buffer<f32>,
    second: Buffer<f32>,
    gate_sums: Buffer<i64>,
    up_sums: Buffer<i64>,
    rows: Buffer<u32>,
    counts: Buffer<i32>,
    all: bool,
    sums: Sums,
    wide: Sums,
}

impl SparseBuffers {
    /// Room for `batch` vectors and blocks of the shape of this one.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn new(stream: &Stream, block: &SparseBlock, batch: usize) -> Result<Self, CudaError> {
        let (hidden, outputs) = (block.gate.rows(), block.down.cols());
        let all = batch * hidden;
        Ok(Self {
            batch,
            hidden,
            outputs,
            scores: Buffer::zeros(stream, all)?,
            first: Buffer::zeros(stream, all)?,
            second: Buffer::zeros(stream, all)?,
            gate_sums: Buffer::zeros(stream, all)?,
            up_sums: Buffer::zeros(stream, all)?,
            rows: Buffer::zeros(stream, all)?,
            counts: Buffer::zeros(stream, batch * LISTS)?,
            all: true,
            sums: Sums::new(stream, batch, hidden, outputs)?,
            wide: Sums::new(stream, batch, hidden, hidden)?,
        })
    }

    /// Waits for the queue: how many neurons were computed last for each vector, at Bit7, Bit5 and
    /// Bit3; a lower lane of the block stands in for a higher one.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn computed(&self, stream: &Stream) -> Result<Vec<[usize; LISTS]>, CudaError> {
        if self.all {
            return Ok(vec![[self.hidden, 0, 0]; self.batch]);
        }
        let counts = self.counts.to_vec(stream)?;
        let (vectors, _) = counts.as_chunks();
        Ok(vectors.iter().map(|counts| counts.map(|n: i32| n.unsigned_abs() as usize)).collect())
    }
}

/// A copy of floats on the device; none of none.
fn floats(stream: &Stream, values: &[f32]) -> Result<Option<Buffer<f32>>, CudaError> {
    if values.is_empty() { Ok(None) } else { Buffer::from_host(stream, values).map(Some) }
}

/// A copy of a matrix on the device.
fn planes(stream: &Stream, matrix: DigitMatrix<'_>) -> Result<Matrix, CudaError> {
    Matrix::upload(stream, &Linear::Digits { matrix, floor: PrecisionLane::Bit3 })
}

/// What a prediction leaves and has read: the lanes of the sums of gate and up, and bytes.
#[derive(Default)]
struct Predicted {
    gate: Option<PrecisionLane>,
    up: Option<PrecisionLane>,
    bytes: usize,
}

/// Bytes of floats, if there are any.
fn bytes_of(values: Option<&Buffer<f32>>) -> usize {
    values.map_or(0, |values| size_of::<f32>() * values.len())
}

impl LowRankMap {
    /// Bytes of the map.
    fn bytes(&self) -> usize {
        let of = |matrix: &Matrix| matrix.bytes(None, top_lane(matrix));
        let up = self.up.as_ref().map_or(0, |(up, bias)| of(up) + bytes_of(Some(bias)));
        of(&self.down) + of(&self.gate) + bytes_of(Some(&self.gate_bias)) + up
    }

    /// A copy of the predictor of a block with so many neurons.
    ///
    /// # Errors
    /// [`CudaError::Shape`] when its parts do not fit each other, [`CudaError::Memory`].
    pub fn upload(
        stream: &Stream,
        map: &LowRank<'_>,
        hidden: usize,
    ) -> Result<SparsePredictor, CudaError> {
        for up in [Some(&map.gate), map.up.as_ref()].into_iter().flatten() {
            same_len(map.down.rows(), up.rows())?;
            same_len(hidden, up.cols())?;
        }
        same_len(if map.up.is_some() { 2 * hidden } else { hidden }, map.bias.len())?;
        let (gate_bias, up_bias) = map.bias.split_at(hidden);
        let up =
            |up| Ok::<_, CudaError>((planes(stream, up)?, Buffer::from_host(stream, up_bias)?));
        Ok(SparsePredictor::LowRank(Box::new(Self {
            down: planes(stream, map.down)?,
            gate: planes(stream, map.gate)?,
            gate_bias: Buffer::from_host(stream, gate_bias)?,
            up: map.up.map(up).transpose()?,
        })))
    }
}

impl SparseBlock {
    /// A copy of a block on the device.
    ///
    /// # Errors
    /// [`CudaError::Shape`] when its parts do not fit each other, [`CudaError::Unsupported`] for
    /// matrices that stay in their file, [`CudaError::Memory`].
    pub fn upload(stream: &Stream, block: &Neurons<'_>) -> Result<Self, CudaError> {
        block.check().map_err(|error| match error {
            trilane_core::nn::LinearError::Shape(shape) => shape.into(),
            other => CudaError::Unsupported { what: other.to_string() },
        })?;
        let rows = |rows: NeuronRows<'_>| match rows {
            NeuronRows::Resident(matrix) => planes(stream, matrix),
            #[allow(unreachable_patterns, reason = "a feature of the core adds matrices in files")]
            _ => Err(CudaError::Unsupported { what: "neurons that stay in their file".into() }),
        };
        Ok(Self {
            gate: rows(block.gate)?,
            gate_bias: floats(stream, block.gate_bias.unwrap_or(&[]))?,
            activation: block.activation,
            up: block.up.map(rows).transpose()?,
            down: rows(block.down)?,
            down_bias: floats(stream, block.down_bias.unwrap_or(&[]))?,
            importance: floats(stream, block.importance)?,
        })
    }

    /// Multiplies scores by other numbers from now on, one for each neuron, or by none.
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another number of them, [`CudaError::Memory`].
    pub fn set_importance(&mut self, stream: &Stream, importance: &[f32]) -> Result<(), CudaError> {
        if !importance.is_empty() {
            same_len(self.gate.rows(), importance.len())?;
        }
        self.importance = floats(stream, importance)?;
        Ok(())
    }

    /// Computes the block on a batch of vectors, at `lane` at most, with the bits of
    /// [`Neurons::forward`].
    ///
    /// Shapes: `x` of as many values as the gate has columns, `y` outputs for each vector. Values
    /// that are not finite are noted in `status`, under `layer`.
    ///
    /// # Errors
    /// [`CudaError::Shape`] when a size does not match, [`CudaError::Unsupported`] for a lane that
    /// is not stored, [`CudaError::Size`] for a choice by bytes among more than 2²¹ neurons.
    #[allow(clippy::too_many_arguments, reason = "inputs, scratch, output and where it notes")]
    pub fn forward(
        &self,
        stream: &Stream,
        lane: PrecisionLane,
        predictor: &SparsePredictor,
        config: SparsityConfig,
        x: &Activations,
        scratch: &mut SparseBuffers,
        y: &mut Buffer<f32>,
        status: &mut Status,
        layer: usize,
    ) -> Result<(), CudaError> {
        let batch = x.batch();
        same_len(self.gate.cols(), x.len())?;
        same_len(scratch.batch, batch)?;
        same_len(scratch.hidden, self.gate.rows())?;
        same_len(scratch.outputs, self.down.cols())?;
        same_len(batch * self.down.cols(), y.len())?;
        same_len(batch, status.0.len())?;
        let (lane, layer) = (read_at(&self.gate, lane), counted("layers", layer)?);
        scratch.all = config.selection() == Selection::All;
        let Predicted { gate: gate_known, up: up_known, bytes } = if scratch.all {
            Predicted::default()
        } else {
            self.predict(stream, lane, predictor, x, scratch, status, layer)?
        };
        let costs = self.costs(lane, [gate_known, up_known], bytes);
        let lists = select(stream, config.selection(), lane, costs, scratch)?;
        for list in &lists {
            let known = gate_known.map(|lane| (lane, &scratch.gate_sums));
            let at = list.at(read_at(&self.gate, list.lane));
            rows::products(stream, &self.gate, x, &at, known, None, &mut scratch.first)?;
            let Some(up) = &self.up else { continue };
            let known = up_known.map(|lane| (lane, &scratch.up_sums));
            let at = list.at(read_at(up, list.lane));
            rows::products(stream, up, x, &at, known, None, &mut scratch.second)?;
        }
        let hidden = Hidden {
            activation: self.activation,
            gate: &scratch.first,
            bias: self.gate_bias.as_ref(),
            up: self.up.as_ref().map(|_| &scratch.second),
        };
        let (down, bias) = (&self.down, self.down_bias.as_ref());
        scratch.sums.combine(stream, down, &lists, hidden, bias, y, status, layer)
    }

    /// Bytes that a neuron and the whole block read at a lane, after a prediction of so many.
    fn costs(
        &self,
        lane: PrecisionLane,
        [gate, up]: [Option<PrecisionLane>; 2],
        prediction: usize,
    ) -> Costs {
        let beyond = |matrix: &Matrix, known: Option<PrecisionLane>, lane| {
            let lane = read_at(matrix, lane);
            if known >= Some(lane) { 0 } else { matrix.bytes(known, lane) }
        };
        let row = |matrix: &Matrix, known, lane| beyond(matrix, known, lane) / matrix.rows().max(1);
        let neuron = |lane| {
            let of_up = self.up.as_ref().map_or(0, |matrix| row(matrix, up, lane));
            row(&self.gate, gate, lane) + of_up + row(&self.down, None, lane)
        };
        let (five, three) = (lane.min(PrecisionLane::Bit5), lane.min(PrecisionLane::Bit3));
        let matrices = [Some(&self.gate), self.up.as_ref(), Some(&self.down)];
        Costs {
            neuron: [neuron(lane), neuron(five), neuron(three)],
            prediction,
            dense: matrices.into_iter().flatten().map(|matrix| beyond(matrix, None, lane)).sum(),
        }
    }

    /// Predicts what each neuron contributes.
    #[allow(clippy::too_many_arguments, reason = "inputs, scratch and where it notes")]
    fn predict(
        &self,
        stream: &Stream,
        lane: PrecisionLane,
        predictor: &SparsePredictor,
        x: &Activations,
        scratch: &mut SparseBuffers,
        status: &mut Status,
        layer: i32,
    ) -> Result<Predicted, CudaError> {
        let tier0 = read_at(&self.gate, PrecisionLane::Bit3);
        let importance = self.importance.as_ref();
        let (lane, up, importance) = match predictor {
            SparsePredictor::Tier0 { gate_only } => {
                (tier0, self.up.as_ref().filter(|_| !gate_only), importance)
            }
            SparsePredictor::FullGate => (lane, None, importance),
            SparsePredictor::Magnitude => (lane, None, None),
            SparsePredictor::LowRank(map) => {
                self.predict_by_map(stream, map, x, scratch, status, layer)?;
                let bytes = map.bytes() + bytes_of(importance);
                return Ok(Predicted { bytes, ..Predicted::default() });
            }
        };
        let size = (scratch.hidden, scratch.batch);
        let all = List::all(size.0, size.1, lane)?;
        let SparseBuffers { scores, second, gate_sums, up_sums, .. } = scratch;
        rows::products(stream, &self.gate, x, &all, None, Some(gate_sums), scores)?;
        if let Some(up) = up {
            rows::products(stream, up, x, &all, None, Some(up_sums), second)?;
        }
        let factors = [self.gate_bias.as_ref(), up.map(|_| &*second), importance];
        rows::scores(stream, self.activation, scores, factors, size, false)?;
        let read = self.gate.bytes(None, lane) + up.map_or(0, |up| up.bytes(None, lane));
        let bytes = read + bytes_of(importance);
        Ok(Predicted { gate: Some(lane), up: up.map(|_| lane), bytes })
    }

    /// Predicts by a map of low rank.
    fn predict_by_map(
        &self,
        stream: &Stream,
        map: &LowRankMap,
        x: &Activations,
        scratch: &mut SparseBuffers,
        status: &mut Status,
        layer: i32,
    ) -> Result<(), CudaError> {
        let (hidden, rank, batch) = (scratch.hidden, map.down.rows(), scratch.batch);
        same_len(hidden, map.gate.cols())?;
        same_len(self.gate.cols(), map.down.cols())?;
        if rank > hidden {
            same_len(hidden, rank)?;
        }
        let SparseBuffers { scores, first, second, wide, .. } = scratch;
        let list = |matrix: &Matrix| List::all(rank, batch, top_lane(matrix));
        rows::products(stream, &map.down, x, &list(&map.down)?, None, None, first)?;
        let inner = Hidden { activation: Activation::Identity, gate: first, bias: None, up: None };
        let up = map.up.as_ref();
        if let Some((up, bias)) = up {
            let lists = [list(up)?];
            wide.combine(stream, up, &lists, inner, Some(bias), second, status, layer)?;
        }
        let lists = [list(&map.gate)?];
        let bias = Some(&map.gate_bias);
        wide.combine(stream, &map.gate, &lists, inner, bias, scores, status, layer)?;
        let factors = [None, up.map(|_| &*second), self.importance.as_ref()];
        rows::scores(stream, self.activation, scores, factors, (hidden, batch), true)
    }
}

/// The highest lane stored.
fn top_lane(matrix: &Matrix) -> PrecisionLane {
    matrix.top_lane().unwrap_or(PrecisionLane::Float32)
}

/// The lane at which a matrix is read when `lane` is asked for.
fn read_at(matrix: &Matrix, lane: PrecisionLane) -> PrecisionLane {
    match top_lane(matrix) {
        PrecisionLane::Ternary => PrecisionLane::Ternary,
        top => lane.min(top).max(PrecisionLane::Bit3),
    }
}
