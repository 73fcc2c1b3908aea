//! The families of decoders, and where they differ.

use super::ModelError;
use super::hyperparameters::Hyperparameters;
#[cfg(feature = "lfm2")]
use super::hyperparameters::LARGEST;
#[cfg(feature = "lfm2")]
use crate::gguf::Array;
use crate::gguf::Gguf;

/// The family of a decoder, `general.architecture` in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Architecture {
    /// `llama` (Touvron et al. 2023): attention in every block.
    Llama,
    /// `lfm2` (Liquid AI 2025): attention in some blocks, with a norm over every head of queries and
    /// keys, and short convolutions in the others (see [`ShortConv`](crate::nn::ShortConv)).
    #[cfg(feature = "lfm2")]
    Lfm2 {
        /// Blocks of attention.
        attention: usize,
        /// Tokens that a short convolution sees.
        taps: usize,
    },
}

/// What the names of tensors with the weights of a short convolution end in: F32, dim rows of taps,
/// whatever the matrices are stored as.
pub const TAPS: &str = "shortconv.conv.weight";

impl Architecture {
    /// Names of the families that are compiled in, as messages list them.
    pub const NAMES: &'static str =
        if cfg!(feature = "lfm2") { "\"llama\" or \"lfm2\"" } else { "\"llama\"" };

    /// The family of a file, and how many keys and values each of its blocks of attention has.
    pub(super) fn read(
        numbers: &Hyperparameters<'_, '_>,
        heads: usize,
    ) -> Result<(Self, usize), ModelError> {
        match numbers.architecture() {
            #[cfg(feature = "lfm2")]
            LFM2 => {
                let blocks = Blocks::read(numbers)?;
                let (attention, kv_heads) = blocks.attention()?;
                let window = numbers.get("attention.sliding_window");
                if window.is_some_and(|tokens| tokens.as_u64() != Some(0)) {
                    let key = "attention.sliding_window";
                    return Err(ModelError::Value { key, expected: "0: windows are not computed" });
                }
                Ok((Self::Lfm2 { attention, taps: numbers.needed("shortconv.l_cache")? }, kv_heads))
            }
            _ => Ok((Self::Llama, numbers.count(KV_HEADS)?.unwrap_or(heads))),
        }
    }

    /// Of so many blocks, those of attention.
    pub(super) const fn attention_blocks(self, blocks: usize) -> usize {
        match self {
            Self::Llama => blocks,
            #[cfg(feature = "lfm2")]
            Self::Lfm2 { attention, .. } => attention,
        }
    }

    /// The name of the norm before the output.
    pub(super) const fn output_norm(self) -> &'static str {
        match self {
            Self::Llama => "output_norm",
            #[cfg(feature = "lfm2")]
            Self::Lfm2 { .. } => "token_embd_norm",
        }
    }
}

const KV_HEADS: &str = "attention.head_count_kv";

/// The numbers of a file of a family that runs.
pub(super) fn hyperparameters<'f, 'a>(
    file: &'f Gguf<'a>,
) -> Result<Hyperparameters<'f, 'a>, ModelError> {
    let key = "general.architecture";
    let name = file.get(key).ok_or(ModelError::MissingKey { key })?;
    match name.as_str() {
        Some("llama") => Ok(Hyperparameters::new(file, "llama")),
        #[cfg(feature = "lfm2")]
        Some(LFM2) => Ok(Hyperparameters::new(file, LFM2)),
        _ => Err(ModelError::Architecture),
    }
}

#[cfg(feature = "lfm2")]
const LFM2: &str = "lfm2";

/// What is in each block of an LFM2 model: a number of key heads for one of attention, 0 for a short
/// convolution.
#[cfg(feature = "lfm2")]
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    kv_heads: Array<'a>,
}

#[cfg(feature = "lfm2")]
impl<'a> Blocks<'a> {
    pub(super) fn read(numbers: &Hyperparameters<'_, 'a>) -> Result<Self, ModelError> {
        let value = numbers.get(KV_HEADS).ok_or(ModelError::MissingKey { key: KV_HEADS })?;
        let blocks = numbers.needed("block_count")?;
        let kv_heads = value.as_array().filter(|array| array.len() == blocks);
        let expected = "an array of block_count numbers";
        Ok(Self { kv_heads: kv_heads.ok_or(ModelError::Value { key: KV_HEADS, expected })? })
    }

    /// How many blocks are attention, and how many key heads each of these has.
    fn attention(&self) -> Result<(usize, usize), ModelError> {
        let expected = "0 for some blocks, for the others one count from 1 to 2^24";
        let wrong = ModelError::Value { key: KV_HEADS, expected };
        let (mut attention, mut kv_heads) = (0, 0);
        for value in self.kv_heads.iter() {
            let count = value.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or(wrong)?;
            if count > 0 {
                if count > LARGEST || (attention > 0 && count != kv_heads) {
                    return Err(wrong);
                }
                (attention, kv_heads) = (attention + 1, count);
            }
        }
        if attention > 0 { Ok((attention, kv_heads)) } else { Err(wrong) }
    }

    /// Whether a block is attention.
    pub(super) fn is_attention(&self, block: usize) -> bool {
        self.kv_heads.get(block).and_then(|value| value.as_u64()) != Some(0)
    }
}
