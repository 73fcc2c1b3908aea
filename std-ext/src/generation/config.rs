//! What decides how a text goes on.

use super::GenerationError;
use trilane_core::lane::Lanes;
use trilane_core::model::sampler::{Sampler, SamplerConfig};

/// What decides how a text goes on, and where it ends. Checked by
/// [`Generation::new`](super::Generation::new).
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// The lanes that the weights are read at.
    pub lanes: Lanes<'static>,
    /// The most tokens to generate.
    pub max_tokens: usize,
    /// How tokens are chosen: temperature, top-k, top-p, min-p, repetition penalty, seed.
    pub sampler: SamplerConfig,
    /// Tokens that end the text, beside those that the vocabulary names. They are not shown.
    pub stop_tokens: Vec<u32>,
    /// Texts that end the text where the first of them begins. They are not shown, nor is what
    /// could become one of them until it cannot any more.
    pub stop: Vec<String>,
}

impl GenerationConfig {
    /// At most 128 tokens at a lane, or at those of the decoder's policy, chosen as llama.cpp does by default.
    pub fn new(lanes: impl Into<Lanes<'static>>) -> Self {
        Self {
            lanes: lanes.into(),
            max_tokens: 128,
            sampler: SamplerConfig::default(),
            stop_tokens: Vec::new(),
            stop: Vec::new(),
        }
    }

    /// Checks every value, for a vocabulary of that many tokens.
    ///
    /// # Errors
    /// [`GenerationError::Sampler`] for the first number out of its range,
    /// [`GenerationError::StopToken`], [`GenerationError::EmptyStop`].
    pub fn validate(&self, vocabulary: usize) -> Result<(), GenerationError> {
        Sampler::new(self.sampler)?;
        if let Some(&token) = self.stop_tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(GenerationError::StopToken { token, vocabulary });
        }
        match self.stop.iter().position(String::is_empty) {
            Some(index) => Err(GenerationError::EmptyStop { index }),
            None => Ok(()),
        }
    }
}
