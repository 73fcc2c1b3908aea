//! The multilayer perceptron: int8 features in, integer class scores out, no float on the way.
//!
//! Not one float instruction, so that a processor without them needs no software for it: row scales
//! are compared by their bits, and [`Mlp::scale`] multiplies only when it is called.

mod header;
mod verify;

pub use header::{MLP_MAX_LAYERS, MlpHeader};
pub use verify::VERIFY_INPUTS;

use super::arena::{Line, take};
use super::planes::{Listed, digits, find};
use super::{ModelError, TensorName};
use crate::digits::LaneView;
use crate::error::ShapeError;
use crate::gguf::Gguf;
use crate::kernel::Backend;
use crate::nn::{Linear, LinearError};
use crate::quant::{ActivationsBuf, activation_lens, requantize, requantize_shift};

/// Called with each layer's index and sums.
type Observer<'o> = &'o mut dyn FnMut(usize, &[i64]);

/// A classifier of rectified layers, borrowed from a file and checked.
///
/// ```text
/// S_0 = W_0 · features                        exact integers
/// k_l = the smallest shift that takes max(S_l) to at most 127       (requantize_shift)
/// a_l = min(⌊max(S_l, 0) / 2^k_l + ½⌋, 127)   int8, one shift for the layer    (requantize)
/// S_l = W_l · a_{l−1}
/// scores = S_last,   scale = Π row_scale_l · Π 2^k_l
/// ```
///
/// `W` stands for the integers of [`PrecisionLane`](crate::lane::PrecisionLane) times their group
/// scales. Each matrix is read at the highest lane that it is stored at. All rows of a matrix have
/// one row scale, so a class is the largest score without any scale.
#[derive(Clone, Debug)]
pub struct Mlp<'m> {
    header: MlpHeader,
    layers: heapless::Vec<Layer<'m>, MLP_MAX_LAYERS>,
}

/// A matrix, and the scale of all its rows.
#[derive(Clone, Copy, Debug)]
struct Layer<'m> {
    weights: LaneView<'m>,
    scale: f32,
}

/// What an input was scored, in the memory that it was computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scores<'s> {
    /// One for each class; the largest is that of the likeliest.
    pub values: &'s [i64],
    /// The shift `k` of each layer's output; 0 for the last layer, and where there is none.
    pub shifts: [u8; MLP_MAX_LAYERS],
}

impl Scores<'_> {
    /// The class of the largest score, the first among equals. Exact.
    pub fn class(&self) -> usize {
        let mut best = (0, i64::MIN);
        for (class, &score) in self.values.iter().enumerate() {
            if score > best.1 {
                best = (class, score);
            }
        }
        best.0
    }
}

impl<'m> Mlp<'m> {
    /// Finds and checks header and weights.
    ///
    /// # Errors
    /// [`ModelError`] with the key or the tensor's name, what was expected and what was found;
    /// [`ModelError::RowScale`] for a matrix whose rows do not have one positive scale.
    pub fn load(file: &Gguf<'m>) -> Result<Self, ModelError> {
        let header = MlpHeader::read(file)?;
        let listed = Listed::read(file)?;
        let mut layers = heapless::Vec::new();
        for index in 0..header.layers {
            let name = TensorName { layer: Some(index), part: "linear" };
            let layer = layer(file, listed.as_ref(), name, header.shape(index))?;
            let actual = MLP_MAX_LAYERS;
            let full = ModelError::Memory { what: "layers", expected: header.layers, actual };
            layers.push(layer).map_err(|_| full)?;
        }
        Ok(Self { header, layers })
    }

    /// The header.
    pub fn header(&self) -> &MlpHeader {
        &self.header
    }

    /// Bytes of weights that one input reads: planes and scales.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.weights.bytes()).sum()
    }

    /// Every matrix with its name, as it is read.
    pub fn matrices(&self) -> impl Iterator<Item = (TensorName, &LaneView<'m>)> {
        let name = |layer| TensorName { layer: Some(layer), part: "linear" };
        self.layers.iter().enumerate().map(move |(i, layer)| (name(i), &layer.weights))
    }

    /// Scores `features`, which are as many as the header says, each −127..=127.
    ///
    /// The arena is memory of [`MlpHeader::arena_lines`] lines, whatever they hold. Exact.
    ///
    /// # Errors
    /// [`ModelError::Compute`] when `features` has another length or holds −128,
    /// [`ModelError::Memory`] when the arena is too short, [`ModelError::Backend`] for a matrix at
    /// a lane that the backend does not compute.
    pub fn scores<'s>(
        &self,
        backend: impl Backend,
        features: &[i8],
        arena: &'s mut [Line],
    ) -> Result<Scores<'s>, ModelError> {
        let (expected, actual) = (self.header.features, features.len());
        if expected != actual {
            return Err(ShapeError::Length { expected, actual }.into());
        }
        let feature = |i| features.get(i).copied().unwrap_or(0);
        self.run(backend, feature, arena, &mut |_, _| {})
    }

    /// What a score is worth: the logit of a class is its score times this, which is positive and
    /// the only float. Its products are taken from the first layer to the last; they may overflow
    /// to infinity, or vanish. Ordered: the same for every backend.
    pub fn scale(&self, scores: &Scores<'_>) -> f32 {
        let mut scale = 1.0;
        for (layer, &shift) in self.layers.iter().zip(&scores.shifts) {
            scale *= layer.scale;
            scale *= 1u64.checked_shl(shift.into()).unwrap_or(0) as f32;
        }
        scale
    }

    /// [`scores`](Self::scores) of features given by their position, showing every layer's sums.
    fn run<'s>(
        &self,
        backend: impl Backend,
        feature: impl Fn(usize) -> i8,
        arena: &'s mut [Line],
        observe: Observer<'_>,
    ) -> Result<Scores<'s>, ModelError> {
        let (sums, mut buf) = cut(&self.header, arena)?;
        let (mut shifts, mut len) = ([0; MLP_MAX_LAYERS], 0);
        for (index, layer) in self.layers.iter().enumerate() {
            let lane = layer.weights.lane();
            if !backend.computes(lane) {
                let name = TensorName { layer: Some(index), part: "linear" };
                return Err(ModelError::Backend { name, lane });
            }
            let x = if index == 0 {
                buf.integers(self.header.features, &feature).map_err(LinearError::Quant)?
            } else {
                let hidden = sums.get(..len).unwrap_or(&[]);
                let shift = requantize_shift(hidden.iter().copied().max().unwrap_or(0));
                if let Some(place) = shifts.get_mut(index - 1) {
                    *place = shift as u8;
                }
                let value = |i: usize| requantize(hidden.get(i).copied().unwrap_or(0), shift);
                buf.integers(len, value).map_err(LinearError::Quant)?
            };
            len = layer.weights.rows();
            let y = sums.get_mut(..len).unwrap_or(&mut []);
            backend.lane_sums(&layer.weights, &x, 0, y);
            observe(index, y);
        }
        Ok(Scores { values: sums.get(..len).unwrap_or(&[]), shifts })
    }
}

/// The matrix of that name, rows and columns, in digit planes with one scale for all rows.
fn layer<'m>(
    file: &Gguf<'m>,
    listed: Option<&Listed<'m>>,
    name: TensorName,
    (rows, cols): (usize, usize),
) -> Result<Layer<'m>, ModelError> {
    let Some(entry) = listed.and_then(|listed| listed.entry(name)) else {
        return Err(match find(file, name, "") {
            None => ModelError::MissingTensor { name },
            Some(tensor) => {
                let error = LinearError::Unsupported { kind: tensor.kind() };
                ModelError::Tensor { name, error }
            }
        });
    };
    let Linear::Digits { matrix, .. } = digits(file, name, entry?, rows, cols)? else {
        return Err(ModelError::MissingTensor { name });
    };
    let weights =
        matrix.lane(matrix.top_lane()).map_err(|e| ModelError::Tensor { name, error: e.into() })?;
    let scale = weights.row_scale(0);
    // Finite, as every scale of a checked matrix.
    if scale.is_sign_negative() || scale.to_bits() == 0 {
        return Err(ModelError::RowScale { name, row: 0, found: scale, expected: None });
    }
    match (0..rows).find(|&row| weights.row_scale(row).to_bits() != scale.to_bits()) {
        None => Ok(Layer { weights, scale }),
        Some(row) => {
            let found = weights.row_scale(row);
            Err(ModelError::RowScale { name, row, found, expected: Some(scale) })
        }
    }
}

/// Sums and activations, cut from an arena of at least [`MlpHeader::arena_lines`].
fn cut<'s>(
    header: &MlpHeader,
    arena: &'s mut [Line],
) -> Result<(&'s mut [i64], ActivationsBuf<'s>), ModelError> {
    let (expected, actual) = (header.arena_lines(), arena.len());
    let error = ModelError::Memory { what: "the arena (in lines of 64 bytes)", expected, actual };
    let mut rest = arena.get_mut(..expected).ok_or(error)?;
    let (q, multipliers, halves) = activation_lens(header.longest_input());
    let sums = take(&mut rest, Some(header.longest_output())).ok_or(error)?;
    let buf = ActivationsBuf::new(
        take(&mut rest, Some(q)).ok_or(error)?,
        take(&mut rest, Some(multipliers)).ok_or(error)?,
        take(&mut rest, Some(halves)).ok_or(error)?,
    );
    Ok((sums, buf))
}
