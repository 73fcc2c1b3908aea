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
    pub(super) part: &'static str,
    pub(super) weight: Linear<'m>,
    pub(super) bias: &'m [f32],
    /// The centres of a text's first and last token, one after the other, or nothing.
    pub(super) centres: &'m [f32],
    /// `W c + b` of each centre.
    pub(super) products: &'m [f32],
}

impl<'m> Dense<'m> {
    /// What a token's input is measured from, if it is an end of its text and the model has centres.
    pub(super) fn centre(&self, end: Option<End>) -> Option<&'m [f32]> {
        end.and_then(|end| self.centres.chunks_exact(self.weight.cols().max(1)).nth(end as usize))
    }

    /// What is added to the product of a token's input.
    pub(super) fn added(&self, end: Option<End>) -> &'m [f32] {
        let rows = self.weight.rows().max(1);
        end.and_then(|end| self.products.chunks_exact(rows).nth(end as usize)).unwrap_or(self.bias)
    }
}

/// The ends of a text, in the order in which they are stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    First,
    Last,
}

impl End {
    /// Which end of a text of `tokens` tokens token `t` is, if any.
    pub(super) fn of(t: usize, tokens: usize) -> Option<Self> {
        match t {
            0 => Some(Self::First),
            t if t + 1 == tokens => Some(Self::Last),
            _ => None,
        }
    }
}

/// Suffixes of the tensors that a matrix `NAME.weight` of a centred encoder has besides: F32, the
/// first token's values and then the last one's.
pub mod parts {
    /// The inputs: 2 · columns. `attn_q`, `attn_k` and `attn_v` share those of `attn_q`.
    pub const CENTRES: &str = ".centres";
    /// Their products, the bias added: 2 · rows.
    pub const PRODUCTS: &str = ".centre_products";
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

const NO_MATRIX: Dense<'static> =
    Dense { part: "", weight: NOTHING, bias: &[], centres: &[], products: &[] };
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
            let values = |part, len| floats(place, TensorName { layer, part }, len);
            let ends = |part, len: usize| match header.centred {
                true => values(part, 2 * len),
                false => Ok(&[][..]),
            };
            let dense = |[part, bias, centres, products]: [&'static str; 4], rows, cols| {
                Ok::<_, ModelError>(Dense {
                    part,
                    weight: matrix(TensorName { layer, part }, rows, cols)?,
                    bias: values(bias, rows)?,
                    centres: ends(centres, cols)?,
                    products: ends(products, rows)?,
                })
            };
            *to = EncoderLayer {
                attn_q: dense(
                    ["attn_q", "attn_q.bias", "attn_q.centres", "attn_q.centre_products"],
                    dim,
                    dim,
                )?,
                attn_k: dense(
                    ["attn_k", "attn_k.bias", "attn_q.centres", "attn_k.centre_products"],
                    dim,
                    dim,
                )?,
                attn_v: dense(
                    ["attn_v", "attn_v.bias", "attn_q.centres", "attn_v.centre_products"],
                    dim,
                    dim,
                )?,
                attn_output: dense(
                    [
                        "attn_output",
                        "attn_output.bias",
                        "attn_output.centres",
                        "attn_output.centre_products",
                    ],
                    dim,
                    dim,
                )?,
                attn_output_norm: norm(layer, ["attn_output_norm", "attn_output_norm.bias"])?,
                ffn_up: dense(
                    ["ffn_up", "ffn_up.bias", "ffn_up.centres", "ffn_up.centre_products"],
                    hidden,
                    dim,
                )?,
                ffn_down: dense(
                    ["ffn_down", "ffn_down.bias", "ffn_down.centres", "ffn_down.centre_products"],
                    dim,
                    hidden,
                )?,
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
