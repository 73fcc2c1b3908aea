//! Reading the numbers of an architecture from metadata, each checked on the way.

use super::ModelError;
use crate::gguf::{Gguf, Value};

/// Largest value of any count in a header.
pub(super) const LARGEST: usize = 1 << 24;

/// The keys of a file that begin with `<architecture>.`; errors name them without it.
pub(super) struct Hyperparameters<'f, 'a> {
    file: &'f Gguf<'a>,
    architecture: &'static str,
}

impl<'f, 'a> Hyperparameters<'f, 'a> {
    pub(super) fn new(file: &'f Gguf<'a>, architecture: &'static str) -> Self {
        Self { file, architecture }
    }

    pub(super) fn architecture(&self) -> &'static str {
        self.architecture
    }

    /// The value of `<architecture>.<key>`.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        let is = |k: &str| {
            k.strip_prefix(self.architecture).and_then(|k| k.strip_prefix('.')) == Some(key)
        };
        self.file.metadata().find(|(k, _)| is(k)).map(|(_, v)| v)
    }

    /// A count from 1 to 2²⁴, if it is there.
    pub(super) fn count(&self, key: &'static str) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if (1..=LARGEST).contains(&n) => Ok(Some(n)),
            _ => Err(ModelError::Value { key, expected: "a count from 1 to 2^24" }),
        }
    }

    /// A count that has to be there.
    pub(super) fn needed(&self, key: &'static str) -> Result<usize, ModelError> {
        self.count(key)?.ok_or(ModelError::MissingKey { key })
    }

    /// A positive, finite number, if it is there.
    pub(super) fn positive(&self, key: &'static str) -> Result<Option<f32>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_f32() {
            Some(x) if x.is_finite() && x > 0.0 => Ok(Some(x)),
            _ => Err(ModelError::Value { key, expected: "a positive, finite f32" }),
        }
    }

    /// Tokens in the vocabulary: `vocab_size`, or as many as there are pieces.
    pub(super) fn vocabulary(&self) -> Result<usize, ModelError> {
        let tokens = self.file.get("tokenizer.ggml.tokens").and_then(|v| v.as_array());
        match (self.count("vocab_size")?, tokens.map(|t| t.len())) {
            (Some(n), _) => Ok(n),
            (None, Some(n)) if (1..=LARGEST).contains(&n) => Ok(n),
            _ => Err(ModelError::MissingKey { key: "vocab_size" }),
        }
    }
}
