//! The numbers of a BERT-family encoder, read from GGUF metadata.

use super::super::ModelError;
use super::super::hyperparameters::{Hyperparameters, LARGEST};
use super::super::planes::keys;
use crate::gguf::Gguf;
use crate::nn::Attention;

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean, the begin and end token included.
    Mean,
    /// The vector of the first token.
    First,
}

/// Hyperparameters of a BERT-family encoder, checked against each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderHeader {
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Kinds of token, of which only the first is used.
    pub types: usize,
    /// Values in the vector of a token, and in an embedding.
    pub dim: usize,
    /// Hidden neurons of a feed-forward block.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Shape of the attention blocks.
    pub attention: Attention,
    /// Added under the root of every norm.
    pub norm_eps: f32,
    /// Positions: tokens of the longest text.
    pub context: usize,
    /// How an embedding is made of the vectors of the last layer.
    pub pooling: Pooling,
    /// Whether every matrix has centres for the first and the last token of a text, and the exact
    /// products of these (see [`Encoder`](super::Encoder)).
    pub centred: bool,
}

impl EncoderHeader {
    /// Reads and checks the header. Without `bert.pooling_type` pooling is the mean.
    ///
    /// # Errors
    /// [`ModelError::MissingKey`], or [`ModelError::Value`] with what was expected.
    pub fn read(file: &Gguf<'_>) -> Result<Self, ModelError> {
        let key = "general.architecture";
        let architecture = file.get(key).ok_or(ModelError::MissingKey { key })?;
        if architecture.as_str() != Some("bert") {
            return Err(ModelError::Value { key, expected: "\"bert\"" });
        }
        let bert = Hyperparameters::new(file, "bert");
        let dim = bert.needed("embedding_length")?;
        let heads = bert.needed("attention.head_count")?;
        if dim.checked_rem(heads) != Some(0) {
            let key = "attention.head_count";
            return Err(ModelError::Value { key, expected: "a divisor of embedding_length" });
        }
        if bert.get("attention.causal").is_some_and(|v| v.as_bool() != Some(false)) {
            let key = "attention.causal";
            return Err(ModelError::Value { key, expected: "false" });
        }
        let key = "pooling_type";
        let pooling = match bert.get(key).map(|v| v.as_u64()) {
            None | Some(Some(1)) => Pooling::Mean,
            Some(Some(2)) => Pooling::First,
            _ => return Err(ModelError::Value { key, expected: "1 (mean) or 2 (first token)" }),
        };
        let key = "tokenizer.ggml.token_type_count";
        let types = match file.get(key) {
            None => 2,
            Some(value) => value
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=LARGEST).contains(n))
                .ok_or(ModelError::Value { key, expected: "a count from 1 to 2^24" })?,
        };
        let key = keys::CENTRED;
        let centred = match file.get(key) {
            None => false,
            Some(value) => {
                value.as_bool().ok_or(ModelError::Value { key, expected: "true or false" })?
            }
        };
        let key = "attention.layer_norm_epsilon";
        Ok(Self {
            vocabulary: bert.vocabulary()?,
            types,
            dim,
            hidden: bert.needed("feed_forward_length")?,
            layers: bert.needed("block_count")?,
            attention: Attention { heads, kv_heads: heads, head_dim: dim / heads },
            norm_eps: bert.positive(key)?.ok_or(ModelError::MissingKey { key })?,
            context: bert.needed("context_length")?,
            pooling,
            centred,
        })
    }

    /// The longest vector that a linear layer takes.
    pub(super) const fn longest_input(&self) -> usize {
        if self.dim > self.hidden { self.dim } else { self.hidden }
    }
}
