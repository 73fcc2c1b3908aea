//! A model as floats, its feed-forward blocks by neuron: what is then converted to lanes.

use super::{LowRankFit, Recording};
use crate::gguf_writer::{GgufWriter, WriteError, write_atomically};
use std::path::Path;
use trilane_core::gguf::{Gguf, TensorType, Value};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{
    ModelError, TAPS, TensorName, Weights, keys, sparsity_keys, sparsity_parts,
};
use trilane_core::nn::Linear;

/// What a rewritten model is made of.
#[derive(Debug)]
pub struct Rewrite<'r> {
    /// What its neurons did.
    pub recording: &'r Recording,
    /// A [`predictor`](super::predictor) for each layer, or none at all.
    pub predictors: &'r [LowRankFit],
    /// The gate's [`magnitudes`](super::magnitudes) of each layer.
    pub magnitudes: &'r [Vec<f32>],
    /// Name of the predictor to use, and the share of the dense bytes that is enough.
    pub defaults: (&'static str, f32),
}

/// Why a model could not be rewritten.
#[derive(Debug)]
#[non_exhaustive]
pub enum RewriteError {
    /// The model cannot be read.
    Model(ModelError),
    /// The file cannot be written.
    Write(WriteError),
}

impl std::fmt::Display for RewriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model(e) => e.fmt(f),
            Self::Write(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for RewriteError {}

impl From<WriteError> for RewriteError {
    fn from(e: WriteError) -> Self {
        Self::Write(e)
    }
}

impl From<std::io::Error> for RewriteError {
    fn from(e: std::io::Error) -> Self {
        Self::Write(e.into())
    }
}

impl From<ModelError> for RewriteError {
    fn from(e: ModelError) -> Self {
        Self::Model(e)
    }
}

impl From<trilane_core::nn::LinearError> for RewriteError {
    fn from(e: trilane_core::nn::LinearError) -> Self {
        Self::Model(e.into())
    }
}

/// A tensor of the new file.
enum Source<'a, 'm> {
    /// Copied from the file.
    Copy(trilane_core::gguf::Tensor<'m>),
    /// The rows of a matrix.
    Rows(String, &'a Linear<'m>),
    /// The rows of a matrix that belong to neurons.
    Ordered(String, &'a Linear<'m>, Order<'a>),
    /// The columns of a matrix, which belong to neurons, as rows.
    Columns(String, &'a Linear<'m>, Order<'a>),
    /// Values of our own, with the length of a row.
    Values(String, Vec<f32>, usize),
}

/// The neurons in the order in which they are stored, and what their weights are multiplied by.
#[derive(Clone, Copy)]
struct Order<'a> {
    neurons: &'a [u32],
    factor: &'a dyn Fn(usize, u32) -> f32,
    layer: usize,
}

impl Order<'_> {
    /// Each neuron, with its factor.
    fn each(&self) -> impl Iterator<Item = (usize, f32)> {
        self.neurons.iter().map(|&i| (i as usize, (self.factor)(self.layer, i)))
    }
}

impl Source<'_, '_> {
    /// Name and dimensions, row length first.
    fn declared(&self) -> (&str, Vec<u64>) {
        let dims = |cols: usize, rows: usize| vec![cols as u64, rows as u64];
        match self {
            Self::Copy(t) => (t.name(), t.dims().iter().map(|&d| d as u64).collect()),
            Self::Rows(name, linear) | Self::Ordered(name, linear, _) => {
                (name, dims(linear.cols(), linear.rows()))
            }
            Self::Columns(name, linear, _) => (name, dims(linear.rows(), linear.cols())),
            Self::Values(name, values, cols) if values.len() == *cols => (name, vec![*cols as u64]),
            Self::Values(name, values, cols) => (name, dims(*cols, values.len() / cols.max(&1))),
        }
    }

    fn floats(&self, lane: PrecisionLane) -> Result<Vec<f32>, RewriteError> {
        let all = |linear: &Linear<'_>| -> Result<Vec<f32>, RewriteError> {
            let mut rows = vec![0.0; linear.rows() * linear.cols()];
            for (i, row) in rows.chunks_mut(linear.cols().max(1)).enumerate() {
                linear.row(lane, i, row)?;
            }
            Ok(rows)
        };
        Ok(match self {
            Self::Copy(_) => Vec::new(),
            Self::Values(_, values, _) => values.clone(),
            Self::Rows(_, linear) => all(linear)?,
            Self::Ordered(_, linear, order) => {
                let (rows, cols) = (&all(linear)?, linear.cols());
                let row = |(i, factor)| rows[i * cols..][..cols].iter().map(move |w| factor * w);
                order.each().flat_map(row).collect()
            }
            Self::Columns(_, linear, order) => {
                let (rows, cols) = (&all(linear)?, linear.cols());
                let column =
                    |(i, factor)| (0..linear.rows()).map(move |r| factor * rows[r * cols + i]);
                order.each().flat_map(column).collect()
            }
        })
    }
}

/// Writes a model as floats, its feed-forward blocks by neuron and in the order of a recording.
///
/// # Errors
/// [`RewriteError`]; nothing has then been written.
pub fn rewrite(
    file: &Gguf<'_>,
    weights: &Weights<'_, '_>,
    lane: PrecisionLane,
    with: &Rewrite<'_>,
    out: &Path,
) -> Result<(), RewriteError> {
    let orders: Vec<Vec<u32>> = with.recording.layers.iter().map(|l| l.order()).collect();
    let norm = |layer: usize, i: u32| {
        with.recording.layers.get(layer).map_or(1.0, |activity| activity.norm(i as usize))
    };
    let inverse = |layer: usize, i: u32| 1.0 / norm(layer, i);
    let tied = !file.tensors().any(|t| t.name().starts_with("output.weight"));
    let mut sources = Vec::new();
    for tensor in file.tensors().filter(|t| t.kind() == TensorType::F32) {
        // Not the parts of matrices in digit planes that happen to have one row.
        let norm = tensor.rows() < 2 && tensor.name().ends_with("norm.weight");
        if norm || tensor.name().ends_with(TAPS) {
            sources.push(Source::Copy(tensor));
        }
    }
    for (name, linear) in weights.linears() {
        let text = name.to_string();
        let place = name.layer.and_then(|layer| Some((layer, orders.get(layer)?)));
        let Some((layer, neurons)) = place else {
            if name.part != "output" || !tied {
                sources.push(Source::Rows(text, linear));
            }
            continue;
        };
        let order = |factor| Order { neurons, factor, layer };
        sources.push(match name.part {
            "ffn_gate" => Source::Ordered(text, linear, order(&|_, _| 1.0)),
            "ffn_up" => Source::Ordered(text, linear, order(&norm)),
            "ffn_down" => {
                let part = sparsity_parts::DOWN;
                let text = TensorName { part, ..name }.to_string();
                Source::Columns(text, linear, order(&inverse))
            }
            _ => Source::Rows(text, linear),
        });
    }
    for (layer, (activity, order)) in with.recording.layers.iter().zip(&orders).enumerate() {
        let name = |part| TensorName { layer: Some(layer), part }.to_string();
        let importance = order.iter().map(|&i| activity.importance[i as usize]).collect();
        sources.push(Source::Values(name(sparsity_parts::IMPORTANCE), importance, order.len()));
        if let Some(values) = with.magnitudes.get(layer).filter(|values| !values.is_empty()) {
            let text = name(sparsity_parts::MAGNITUDES);
            sources.push(Source::Values(text, values.clone(), values.len()));
        }
        if let Some(fit) = with.predictors.get(layer) {
            let hidden = order.len();
            // By column, in the order of the neurons; those of up follow those of the gate.
            let columns = |first: usize| -> Vec<f32> {
                let row = |r| order.iter().map(move |&i| (first + i as usize) * fit.rank + r);
                (0..fit.rank).flat_map(row).map(|at| fit.up[at]).collect()
            };
            let biases = [0, hidden]
                .into_iter()
                .flat_map(|first| order.iter().map(move |&i| fit.bias[first + i as usize]));
            let values = [
                (sparsity_parts::PREDICT_DOWN, fit.down.clone(), fit.dim),
                (sparsity_parts::PREDICT_GATE, columns(0), hidden),
                (sparsity_parts::PREDICT_UP, columns(hidden), hidden),
                (sparsity_parts::PREDICT_BIAS, biases.collect(), 2 * hidden),
            ];
            sources.extend(values.map(|(part, v, cols)| Source::Values(name(part), v, cols)));
        }
    }

    let mut writer = GgufWriter::new(64)?;
    let ours = [
        keys::NAMES,
        keys::COLS,
        keys::GROUP,
        keys::FLOOR,
        keys::VERSION,
        trilane_core::gguf::ALIGNMENT_KEY,
        sparsity_keys::RANK,
        sparsity_keys::UNIT_DOWN,
        sparsity_keys::PREDICTOR,
        sparsity_keys::BYTES,
    ];
    for (key, value) in file.metadata().filter(|(key, _)| !ours.contains(key)) {
        writer.add(key, value)?;
    }
    let rank = with.predictors.iter().map(|fit| fit.rank).max().unwrap_or(0);
    writer.add(sparsity_keys::RANK, Value::U32(rank as u32))?;
    writer.add(sparsity_keys::UNIT_DOWN, Value::Bool(true))?;
    writer.add(sparsity_keys::PREDICTOR, Value::Str(with.defaults.0))?;
    writer.add(sparsity_keys::BYTES, Value::F32(with.defaults.1))?;
    for source in &sources {
        let (name, dims) = source.declared();
        let len = 4 * dims.iter().product::<u64>();
        writer.declare(name, TensorType::F32, &dims, len)?;
    }
    write_atomically(out, |out| {
        let mut data = writer.begin(out)?;
        for source in &sources {
            match source {
                Source::Copy(t) => data.write_tensor(t.name(), t.data())?,
                source => {
                    let floats = source.floats(lane)?;
                    data.write_tensor(source.declared().0, bytemuck::cast_slice(&floats))?;
                }
            }
        }
        data.finish()?;
        Ok(())
    })
}
