//! The numbers of a decoder, read from GGUF metadata.

use super::architecture::{Architecture, hyperparameters};
use super::hyperparameters::LARGEST;
use super::{ModelError, sparse};
use crate::gguf::Gguf;
use crate::nn::{Activation, Attention};

/// Hyperparameters of a decoder, checked against each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    /// The family.
    pub architecture: Architecture,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Values in the residual stream.
    pub dim: usize,
    /// Hidden neurons of a feed-forward block.
    pub hidden: usize,
    /// Function of the gate in the feed-forward blocks.
    pub activation: Activation,
    /// Layers.
    pub layers: usize,
    /// Shape of the attention blocks.
    pub attention: Attention,
    /// Rotated values of a head.
    pub rope_dim: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// Added under the root of every norm.
    pub norm_eps: f32,
    /// Longest context that the model was trained for, in tokens.
    pub context: usize,
    /// Where the feed-forward blocks are stored by neuron, the rank of their low-rank predictors: 0
    /// for none.
    pub sparse_rank: Option<usize>,
}

/// The function of the gate; SiLU where none is stated.
fn activation(file: &Gguf<'_>) -> Result<Activation, ModelError> {
    let key = "trilane.feed_forward.activation";
    let Some(value) = file.get(key) else { return Ok(Activation::Silu) };
    let expected = "\"identity\", \"relu\", \"relu2\", \"gelu\" or \"silu\"";
    value.as_str().and_then(Activation::named).ok_or(ModelError::Value { key, expected })
}

impl Header {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// [`ModelError::Architecture`], [`ModelError::MissingKey`], or [`ModelError::Value`] with what
    /// was expected. Position scaling other than none is refused, since it is not computed.
    pub fn read(file: &Gguf<'_>) -> Result<Self, ModelError> {
        let numbers = hyperparameters(file)?;
        let dim = numbers.needed("embedding_length")?;
        let heads = numbers.needed("attention.head_count")?;
        let (architecture, kv_heads) = Architecture::read(&numbers, heads)?;
        let head_dim = match numbers.count("attention.key_length")? {
            Some(length) => length,
            None if dim.checked_rem(heads) == Some(0) => dim / heads,
            None => {
                let key = "attention.head_count";
                return Err(ModelError::Value { key, expected: "a divisor of embedding_length" });
            }
        };
        if heads.checked_rem(kv_heads) != Some(0) {
            let key = "attention.head_count_kv";
            return Err(ModelError::Value { key, expected: "a divisor of head_count" });
        }
        // Also keeps the number of queries, and with it every row, within 32 bits.
        if heads.checked_mul(head_dim).is_none_or(|query_len| query_len > LARGEST) {
            let key = "attention.key_length";
            return Err(ModelError::Value { key, expected: "at most 2^24 / head_count" });
        }
        if numbers.count("attention.value_length")?.is_some_and(|length| length != head_dim) {
            let key = "attention.value_length";
            return Err(ModelError::Value { key, expected: "the same as key_length" });
        }
        let rope_dim = numbers.count("rope.dimension_count")?.unwrap_or(head_dim);
        if rope_dim > head_dim || rope_dim % 2 != 0 {
            let key = "rope.dimension_count";
            return Err(ModelError::Value { key, expected: "even, at most the head size" });
        }
        let scaling = numbers.get("rope.scaling.type");
        if scaling.is_some_and(|v| v.as_str() != Some("none"))
            || file.tensor("rope_freqs.weight").is_some()
        {
            let key = "rope.scaling.type";
            return Err(ModelError::Value { key, expected: "no position scaling" });
        }
        if numbers.get("expert_count").is_some_and(|experts| experts.as_u64() != Some(0)) {
            let key = "expert_count";
            return Err(ModelError::Value { key, expected: "0: experts are not computed" });
        }
        Ok(Self {
            architecture,
            vocabulary: numbers.vocabulary()?,
            dim,
            hidden: numbers.needed("feed_forward_length")?,
            activation: activation(file)?,
            layers: numbers.needed("block_count")?,
            attention: Attention { heads, kv_heads, head_dim },
            rope_dim,
            rope_base: numbers.positive("rope.freq_base")?.unwrap_or(10_000.0),
            norm_eps: numbers
                .positive("attention.layer_norm_rms_epsilon")?
                .ok_or(ModelError::MissingKey { key: "attention.layer_norm_rms_epsilon" })?,
            context: numbers.needed("context_length")?,
            sparse_rank: sparse::rank(file, numbers.needed("feed_forward_length")?)?,
        })
    }

    /// Blocks of attention.
    pub const fn attention_blocks(&self) -> usize {
        self.architecture.attention_blocks(self.layers)
    }

    /// Blocks of short convolutions.
    pub const fn convolution_blocks(&self) -> usize {
        self.layers.saturating_sub(self.attention_blocks())
    }

    /// Values in the queries of a token.
    pub const fn query_len(&self) -> usize {
        self.attention.heads * self.attention.head_dim
    }

    /// Values in the keys, or in the values, of a token.
    pub const fn kv_len(&self) -> usize {
        self.attention.kv_heads * self.attention.head_dim
    }

    /// The longest vector that a linear layer takes.
    pub const fn longest_input(&self) -> usize {
        let q = self.query_len();
        let a = if self.dim > self.hidden { self.dim } else { self.hidden };
        if a > q { a } else { q }
    }
}
