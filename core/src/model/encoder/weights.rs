//! Finding and checking the weight tensors of an encoder.

use super::super::planes::Listed;
use super::super::weights::{NOTHING, Place, check_computable, check_lane, floats, linear};
use super::super::{ModelError, TensorName};
use super::EncoderHeader;
use crate::gguf::Gguf;
use crate::kernel::Backend;
use crate::lane::PrecisionLane;
use crate::nn::Linear;

/// A matrix and what is added to its product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense<'m> {
    pub(super) weight: Linear<'m>,
    pub(super) bias: &'m [f32],
}

/// Gain and bias of a norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm<'m> {
    pub(super) gain: &'m [f32],
    pub(super) bias: &'m [f32],
}

/// The weights of one layer of an encoder.
#[derive(Clone, Copy, Debug)]
pub struct EncoderLayer<'m> {
    pub(super) attn_q: Dense<'m>,
    pub(super) attn_k: Dense<'m>,
    pub(super) attn_v: Dense<'m>,
    pub(super) attn_output: Dense<'m>,
    pub(super) attn_output_norm: Norm<'m>,
    pub(super) ffn_up: Dense<'m>,
    pub(super) ffn_down: Dense<'m>,
    pub(super) layer_output_norm: Norm<'m>,
}

const NO_MATRIX: Dense<'static> = Dense { weight: NOTHING, bias: &[] };
const NO_NORM: Norm<'static> = Norm { gain: &[], bias: &[] };

impl<'m> EncoderLayer<'m> {
    /// A place for a layer's weights.
    pub const EMPTY: Self = Self {
        attn_q: NO_MATRIX,
        attn_k: NO_MATRIX,
        attn_v: NO_MATRIX,
        attn_output: NO_MATRIX,
        attn_output_norm: NO_NORM,
        ffn_up: NO_MATRIX,
        ffn_down: NO_MATRIX,
        layer_output_norm: NO_NORM,
    };

    /// The linear layers, with their names.
    fn linears(&self) -> [(&'static str, &Linear<'m>); 6] {
        [
            ("attn_q", &self.attn_q.weight),
            ("attn_k", &self.attn_k.weight),
            ("attn_v", &self.attn_v.weight),
            ("attn_output", &self.attn_output.weight),
            ("ffn_up", &self.ffn_up.weight),
            ("ffn_down", &self.ffn_down.weight),
        ]
    }
}

/// The weights of a BERT-family encoder, borrowed from a file and checked.
#[derive(Clone, Copy, Debug)]
pub struct EncoderWeights<'a, 'm> {
    pub(super) header: EncoderHeader,
    pub(super) token_embd: Linear<'m>,
    pub(super) token_types: Linear<'m>,
    pub(super) position_embd: Linear<'m>,
    pub(super) token_embd_norm: Norm<'m>,
    pub(super) layers: &'a [EncoderLayer<'m>],
}

impl<'a, 'm> EncoderWeights<'a, 'm> {
    /// Finds and checks every tensor; `layers` is memory for as many layers as the header says.
    ///
    /// # Errors
    /// [`ModelError`] with the tensor's name, what was expected and what was found.
    pub fn load(file: &Gguf<'m>, layers: &'a mut [EncoderLayer<'m>]) -> Result<Self, ModelError> {
        let header = EncoderHeader::read(file)?;
        let actual = layers.len();
        let expected = header.layers;
        let Some(layers) = layers.get_mut(..expected) else {
            return Err(ModelError::Memory { what: "layers", expected, actual });
        };
        let listed = Listed::read(file)?;
        let place = &Place::memory(*file);
        let (dim, hidden) = (header.dim, header.hidden);
        let matrix = |name, rows, cols| linear(place, listed.as_ref(), name, rows, cols);
        let norm = |layer, [gain, bias]: [&'static str; 2]| -> Result<_, ModelError> {
            let values = |part| floats(place, TensorName { layer, part }, dim);
            Ok(Norm { gain: values(gain)?, bias: values(bias)? })
        };
        for (i, to) in layers.iter_mut().enumerate() {
            let layer = Some(i);
            let dense = |[weight, bias]: [&'static str; 2], rows, cols| -> Result<_, ModelError> {
                let weight = matrix(TensorName { layer, part: weight }, rows, cols)?;
                Ok(Dense { weight, bias: floats(place, TensorName { layer, part: bias }, rows)? })
            };
            *to = EncoderLayer {
                attn_q: dense(["attn_q", "attn_q.bias"], dim, dim)?,
                attn_k: dense(["attn_k", "attn_k.bias"], dim, dim)?,
                attn_v: dense(["attn_v", "attn_v.bias"], dim, dim)?,
                attn_output: dense(["attn_output", "attn_output.bias"], dim, dim)?,
                attn_output_norm: norm(layer, ["attn_output_norm", "attn_output_norm.bias"])?,
                ffn_up: dense(["ffn_up", "ffn_up.bias"], hidden, dim)?,
                ffn_down: dense(["ffn_down", "ffn_down.bias"], dim, hidden)?,
                layer_output_norm: norm(layer, ["layer_output_norm", "layer_output_norm.bias"])?,
            };
        }
        let name = |part| TensorName { layer: None, part };
        Ok(Self {
            header,
            token_embd: matrix(name("token_embd"), header.vocabulary, dim)?,
            token_types: matrix(name("token_types"), header.types, dim)?,
            position_embd: matrix(name("position_embd"), header.context, dim)?,
            token_embd_norm: norm(None, ["token_embd_norm", "token_embd_norm.bias"])?,
            layers,
        })
    }

    /// The same weights, with their layers where the caller has moved them: for owners that keep
    /// both side by side.
    ///
    /// # Errors
    /// [`ModelError::Memory`] for another number of layers.
    pub fn with_layers<'b>(
        &self,
        layers: &'b [EncoderLayer<'m>],
    ) -> Result<EncoderWeights<'b, 'm>, ModelError> {
        let (expected, actual) = (self.header.layers, layers.len());
        if expected != actual {
            return Err(ModelError::Memory { what: "layers", expected, actual });
        }
        Ok(EncoderWeights { layers, ..*self })
    }

    /// The weights without their layers, to be kept beside them: see
    /// [`with_layers`](Self::with_layers).
    pub fn without_layers<'b>(&self) -> EncoderWeights<'b, 'm> {
        EncoderWeights { layers: &[], ..*self }
    }

    /// The header.
    pub fn header(&self) -> &EncoderHeader {
        &self.header
    }

    /// Every linear layer with its name, the three embedding tables first.
    pub fn linears(&self) -> impl Iterator<Item = (TensorName, &Linear<'m>)> + Clone {
        let tables = [
            ("token_embd", &self.token_embd),
            ("token_types", &self.token_types),
            ("position_embd", &self.position_embd),
        ];
        let tables = tables.map(|(part, table)| (TensorName { layer: None, part }, table));
        let inside = self.layers.iter().enumerate().flat_map(|(i, layer)| {
            layer.linears().map(|(part, linear)| (TensorName { layer: Some(i), part }, linear))
        });
        tables.into_iter().chain(inside)
    }

    /// Checks that the model can be read at a lane, as
    /// [`Weights::check_lane`](super::super::Weights::check_lane).
    ///
    /// # Errors
    /// [`ModelError::Lane`] with a tensor that cannot.
    pub fn check_lane(&self, lane: PrecisionLane) -> Result<(), ModelError> {
        check_lane(self.linears(), lane)
    }

    /// [`check_lane`](Self::check_lane), and that the backend computes every lane that is read then.
    ///
    /// # Errors
    /// As [`check_lane`](Self::check_lane), and [`ModelError::Backend`] with a tensor whose lane is
    /// not compiled in.
    pub fn check_computable(
        &self,
        backend: impl Backend,
        lane: PrecisionLane,
    ) -> Result<(), ModelError> {
        check_computable(self.linears(), backend, lane)
    }
}
