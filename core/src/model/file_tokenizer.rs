//! The tokenizer that a GGUF file carries.

use super::tokenizer::{SpecialTokens, Tokenizer, TokenizerError};
use crate::gguf::{Array, Gguf, ValueType};

/// Metadata keys of a vocabulary.
pub mod keys {
    /// Which tokenizer the vocabulary is for (string).
    pub const MODEL: &str = "tokenizer.ggml.model";
    /// The pieces (strings).
    pub const TOKENS: &str = "tokenizer.ggml.tokens";
    /// Their scores (f32).
    pub const SCORES: &str = "tokenizer.ggml.scores";
    /// What each stands for (i32); may be missing.
    pub const TYPES: &str = "tokenizer.ggml.token_type";
    /// Begin of text, 1 if missing.
    pub const BOS: &str = "tokenizer.ggml.bos_token_id";
    /// End of text, 2 if missing.
    pub const EOS: &str = "tokenizer.ggml.eos_token_id";
    /// The unknown token, 0 if missing.
    pub const UNK: &str = "tokenizer.ggml.unknown_token_id";
    /// Whether texts begin with the begin token (bool), true if missing.
    pub const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
    /// Whether texts get a space in front (bool), true if missing.
    pub const ADD_SPACE_PREFIX: &str = "tokenizer.ggml.add_space_prefix";
}

impl<'a> Tokenizer<'a> {
    /// The tokenizer of a file; `index` is as long as [`index_len`](super::tokenizer::index_len)
    /// says for the vocabulary's tokens, or longer.
    ///
    /// # Errors
    /// [`TokenizerError::MissingKey`], [`TokenizerError::Value`], or what [`new`](Self::new)
    /// refuses. Only SentencePiece vocabularies (`tokenizer.ggml.model` = `llama`) are read.
    pub fn read(file: &Gguf<'a>, index: &'a mut [u32]) -> Result<Self, TokenizerError> {
        let key = keys::MODEL;
        let model = file.get(key).ok_or(TokenizerError::MissingKey { key })?;
        if model.as_str() != Some("llama") {
            return Err(TokenizerError::Value { key, expected: "\"llama\"" });
        }
        let needed =
            |key, element| array(file, key, element)?.ok_or(TokenizerError::MissingKey { key });
        let tokens = needed(keys::TOKENS, ValueType::Str)?;
        let scores = needed(keys::SCORES, ValueType::F32)?.payload();
        let types = array(file, keys::TYPES, ValueType::I32)?.map(|types| types.payload());
        let count = tokens.len();
        let special = SpecialTokens {
            bos: token(file, keys::BOS, 1, count)?,
            eos: token(file, keys::EOS, 2, count)?,
            unk: token(file, keys::UNK, 0, count)?,
            add_bos: switch(file, keys::ADD_BOS)?,
            add_space_prefix: switch(file, keys::ADD_SPACE_PREFIX)?,
        };
        Self::new(tokens.payload(), count, scores, types, special, index)
    }
}

fn array<'a>(
    file: &Gguf<'a>,
    key: &'static str,
    element: ValueType,
) -> Result<Option<Array<'a>>, TokenizerError> {
    let Some(value) = file.get(key) else { return Ok(None) };
    let wrong = |expected| TokenizerError::Value { key, expected };
    let array = value.as_array().ok_or(wrong("an array"))?;
    if array.element() == element {
        return Ok(Some(array));
    }
    Err(wrong(match element {
        ValueType::Str => "an array of strings",
        ValueType::F32 => "an array of f32",
        _ => "an array of i32",
    }))
}

/// The token of a role, or `default` where the vocabulary has that many.
fn token(
    file: &Gguf<'_>,
    key: &'static str,
    default: u32,
    count: usize,
) -> Result<Option<u32>, TokenizerError> {
    let Some(value) = file.get(key) else {
        return Ok(Some(default).filter(|&token| (token as usize) < count));
    };
    value.as_u32().map(Some).ok_or(TokenizerError::Value { key, expected: "a token" })
}

fn switch(file: &Gguf<'_>, key: &'static str) -> Result<bool, TokenizerError> {
    let Some(value) = file.get(key) else { return Ok(true) };
    value.as_bool().ok_or(TokenizerError::Value { key, expected: "a boolean" })
}
