//! A text that goes on, one token at a time: prompt in, pieces of text out.
//!
//! The caller decides how to wait between tokens; the text depends on nothing but the model, the
//! lane, the prompt and the sampler's configuration.

use crate::memory::{OutOfMemory, filled};
use crate::text::{Text, TextError, TextStream};
use std::fmt;
use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::sampler::{Candidate, Sampler, SamplerConfig, SamplerError};
use trilane_core::model::{Decoder, ModelError};

/// What decides how a text goes on.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The lane that the weights are read at.
    pub lane: PrecisionLane,
    /// The most tokens to generate.
    pub limit: usize,
    /// How tokens are chosen.
    pub sampler: SamplerConfig,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As many tokens as were asked for.
    Limit,
    /// The model ended its text.
    Text,
    /// No room for another token.
    Context,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'s> {
    /// Took a token of the prompt that is not its last.
    Prompt,
    /// Chose a token; the characters that it completed, which may be none.
    Piece(&'s str),
    /// Nothing more comes but this, which stands for a character that was not completed.
    End(End, &'static str),
}

/// Why a text cannot go on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GenerationError {
    /// There is no token to begin with.
    EmptyPrompt,
    /// The prompt is longer than the context.
    PromptLength {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that there is room for.
        capacity: usize,
    },
    /// The model.
    Model(ModelError),
    /// The vocabulary.
    Text(TextError),
    /// The sampler.
    Sampler(SamplerError),
    /// The system does not have the memory.
    Memory(OutOfMemory),
}

impl fmt::Display for GenerationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPrompt => {
                f.write_str("the prompt is empty, and the model has no token to begin a text with")
            }
            Self::PromptLength { tokens, capacity } => {
                write!(f, "the prompt has {tokens} tokens, the context {capacity}")
            }
            Self::Model(e) => e.fmt(f),
            Self::Text(e) => e.fmt(f),
            Self::Sampler(e) => e.fmt(f),
            Self::Memory(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for GenerationError {}

impl From<ModelError> for GenerationError {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl From<TextError> for GenerationError {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl From<SamplerError> for GenerationError {
    fn from(error: SamplerError) -> Self {
        Self::Sampler(error)
    }
}

impl From<OutOfMemory> for GenerationError {
    fn from(error: OutOfMemory) -> Self {
        Self::Memory(error)
    }
}

/// A text that goes on. The decoder is lent to each [`step`](Self::step), always the same one.
#[derive(Clone, Debug)]
pub struct Generation<'a> {
    text: Text<'a>,
    lane: PrecisionLane,
    sampler: Sampler,
    candidates: Vec<Candidate>,
    stream: TextStream<'a>,
    /// The prompt, and what was generated.
    tokens: Vec<u32>,
    prompt: usize,
    /// Tokens, of the prompt and generated, after which to stop.
    limit: usize,
    /// Tokens that the decoder has taken.
    taken: usize,
    end: Option<End>,
}

impl<'a> Generation<'a> {
    /// A text at its prompt, `tokens`. `at_start` says that what is generated begins a text, since
    /// the prompt has none.
    ///
    /// # Errors
    /// [`GenerationError::EmptyPrompt`], [`GenerationError::Sampler`] for a configuration out of
    /// range, [`GenerationError::Memory`].
    pub fn new(
        text: Text<'a>,
        tokens: Vec<u32>,
        at_start: bool,
        options: &Options,
    ) -> Result<Self, GenerationError> {
        if tokens.is_empty() {
            return Err(GenerationError::EmptyPrompt);
        }
        let sampler = Sampler::new(options.sampler)?;
        let vocabulary = text.tokenizer().vocabulary_len();
        Ok(Self {
            text,
            lane: options.lane,
            sampler,
            candidates: filled("candidates", Candidate::default(), vocabulary)?,
            stream: text.stream(at_start)?,
            prompt: tokens.len(),
            limit: tokens.len().saturating_add(options.limit),
            tokens,
            taken: 0,
            end: None,
        })
    }

    /// Tokens of the prompt.
    pub fn prompt_len(&self) -> usize {
        self.prompt
    }

    /// Tokens that the decoder has taken, those of the prompt first.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Tokens generated so far.
    pub fn generated(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    /// Why it ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes one token of the prompt, or chooses the next one. The first step empties the decoder.
    ///
    /// # Errors
    /// [`GenerationError::PromptLength`] when the decoder has less room than the prompt needs, and
    /// what decoder, sampler and vocabulary refuse. The step can then be taken again.
    pub fn step<B: Backend>(
        &mut self,
        decoder: &mut Decoder<'_, '_, B>,
        pool: &dyn Pool,
    ) -> Result<Step<'_>, GenerationError> {
        if self.taken == 0 {
            decoder.truncate(0);
            let (tokens, capacity) = (self.prompt, decoder.capacity());
            if tokens > capacity {
                return Err(GenerationError::PromptLength { tokens, capacity });
            }
        }
        if let Some(end) = self.end {
            return Ok(Step::End(end, ""));
        }
        if self.taken >= self.prompt {
            if self.tokens.len() >= self.limit {
                return Ok(self.finish(End::Limit));
            }
            if decoder.position() == decoder.capacity() {
                return Ok(self.finish(End::Context));
            }
        }
        let token = self.tokens.get(self.taken).copied().unwrap_or_default();
        let logits = decoder.forward(pool, token, self.lane)?;
        if self.taken + 1 < self.prompt || self.limit == self.prompt {
            self.taken += 1;
            return Ok(Step::Prompt);
        }
        let next = self.sampler.sample(logits, &self.tokens, &mut self.candidates)?;
        self.taken += 1;
        if self.text.ends(next) {
            return Ok(self.finish(End::Text));
        }
        self.tokens.push(next);
        Ok(Step::Piece(self.stream.push(next)?))
    }

    fn finish(&mut self, end: End) -> Step<'_> {
        self.end = Some(end);
        Step::End(end, self.stream.finish())
    }
}
