//! A text that goes on, one token at a time: prompt in, pieces of text out.
//!
//! The caller decides how to wait between tokens; the text depends on nothing but the model, the
//! lane, the prompt and the sampler's configuration.

mod batch;
mod chat;
mod config;
mod model;
mod runner;
mod stop;

pub use batch::{Completion, generate_batch};
pub use chat::Chat;
pub use config::GenerationConfig;
pub use model::LanguageModel;
pub use runner::{ModelRunner, Outcome, Pieces};

use crate::memory::{OutOfMemory, filled};
use crate::text::{Text, TextError, TextStream};
use std::fmt;
use stop::StopStrings;
use trilane_core::kernel::Pool;
use trilane_core::lane::Lanes;
use trilane_core::model::ModelError;
use trilane_core::model::sampler::{Candidate, Sampler, SamplerError};

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As many tokens as were asked for.
    Limit,
    /// The model ended its text.
    Text,
    /// A stop token or a stop string.
    Stop,
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
    /// Nothing more comes but this: what was held back, since it could have become a stop string,
    /// and what stands for a character that was not completed.
    End(End, &'s str),
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
    /// A stop token is outside the vocabulary.
    StopToken {
        /// The token.
        token: u32,
        /// Tokens of the vocabulary.
        vocabulary: usize,
    },
    /// A stop string is empty.
    EmptyStop {
        /// Which one, counted from 0.
        index: usize,
    },
    /// The model.
    Model(ModelError),
    /// The vocabulary.
    Text(TextError),
    /// The sampler.
    Sampler(SamplerError),
    /// The system does not have the memory.
    Memory(OutOfMemory),
    /// A device that computes the model.
    Device {
        /// What is wrong.
        what: String,
    },
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
            Self::StopToken { token, vocabulary } => {
                write!(f, "stop token {token} is outside the vocabulary of {vocabulary}")
            }
            Self::EmptyStop { index } => write!(f, "stop string {index} is empty"),
            Self::Model(e) => e.fmt(f),
            Self::Text(e) => e.fmt(f),
            Self::Sampler(e) => e.fmt(f),
            Self::Memory(e) => e.fmt(f),
            Self::Device { what } => f.write_str(what),
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

/// A text that goes on. The model is lent to each [`step`](Self::step), always the same one.
#[derive(Clone, Debug)]
pub struct Generation<'a> {
    text: Text<'a>,
    lanes: Lanes<'static>,
    sampler: Sampler,
    candidates: Vec<Candidate>,
    stop_tokens: Vec<u32>,
    stops: StopStrings,
    stream: TextStream<'a>,
    /// The prompt, and what was generated.
    tokens: Vec<u32>,
    prompt: usize,
    /// Tokens, of the prompt and generated, after which to stop.
    limit: usize,
    /// Tokens that the decoder has taken.
    taken: usize,
    /// Whether the decoder holds those tokens and no other.
    begun: bool,
    end: Option<End>,
}

impl<'a> Generation<'a> {
    /// A text at its prompt, `tokens`. `at_start` says that what is generated begins a text, since
    /// the prompt has none.
    ///
    /// # Errors
    /// [`GenerationError::EmptyPrompt`], what [`GenerationConfig::validate`] refuses,
    /// [`GenerationError::Memory`].
    pub fn new(
        text: Text<'a>,
        tokens: Vec<u32>,
        at_start: bool,
        config: &GenerationConfig,
    ) -> Result<Self, GenerationError> {
        Self::after(text, tokens, at_start, config, &[])
    }

    /// [`new`](Self::new) for a decoder that holds the tokens `cached`, taken at the same lane: as
    /// far as the prompt begins with them, they are not taken again. The last token of the prompt
    /// always is, for its logits.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn after(
        text: Text<'a>,
        tokens: Vec<u32>,
        at_start: bool,
        config: &GenerationConfig,
        cached: &[u32],
    ) -> Result<Self, GenerationError> {
        let Some((_, before_last)) = tokens.split_last() else {
            return Err(GenerationError::EmptyPrompt);
        };
        let vocabulary = text.tokenizer().vocabulary_len();
        config.validate(vocabulary)?;
        Ok(Self {
            text,
            lanes: config.lanes,
            sampler: Sampler::new(config.sampler)?,
            candidates: filled("candidates", Candidate::default(), vocabulary)?,
            stop_tokens: config.stop_tokens.clone(),
            stops: StopStrings::new(&config.stop),
            stream: text.stream(at_start)?,
            prompt: tokens.len(),
            limit: tokens.len().saturating_add(config.max_tokens),
            taken: before_last.iter().zip(cached).take_while(|(a, b)| a == b).count(),
            tokens,
            begun: false,
            end: None,
        })
    }

    /// Tokens of the prompt.
    pub fn prompt_len(&self) -> usize {
        self.prompt
    }

    /// Tokens that the decoder has taken, those of the prompt first, and those that it held before.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Tokens generated so far.
    pub fn generated(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    /// The prompt, and the tokens generated so far.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Why it ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes one token of the prompt, or chooses the next one. The first step empties the model
    /// of what the prompt does not begin with.
    ///
    /// # Errors
    /// [`GenerationError::PromptLength`] when the model has less room than the prompt needs, and
    /// what model, sampler and vocabulary refuse. The step can then be taken again.
    pub fn step<M: LanguageModel + ?Sized>(
        &mut self,
        model: &mut M,
        pool: &dyn Pool,
    ) -> Result<Step<'_>, GenerationError> {
        if !self.begun {
            self.begin(model.capacity())?;
            model.truncate(self.taken);
            self.taken = model.position();
            self.begun = true;
        }
        match self.next_token(model.position(), model.capacity()) {
            Ok(token) => {
                let logits = model.next_logits(pool, token, self.lanes)?;
                self.take(logits)
            }
            Err(end) => Ok(self.finish(end)),
        }
    }

    /// Whether a model of that capacity has room for the prompt.
    ///
    /// # Errors
    /// [`GenerationError::PromptLength`].
    pub fn begin(&self, capacity: usize) -> Result<(), GenerationError> {
        let tokens = self.prompt;
        if tokens > capacity {
            return Err(GenerationError::PromptLength { tokens, capacity });
        }
        Ok(())
    }

    /// The token that a model has to take next, which holds `position` tokens and has room for
    /// `capacity`; or why the text ends here. For callers that run several texts at a time: they
    /// hand the logits to [`take`](Self::take), or the end to [`finish`](Self::finish).
    ///
    /// # Errors
    /// The end of the text.
    pub fn next_token(&self, position: usize, capacity: usize) -> Result<u32, End> {
        if let Some(end) = self.end {
            return Err(end);
        }
        if self.taken >= self.prompt {
            if self.tokens.len() >= self.limit {
                return Err(End::Limit);
            }
            if position == capacity {
                return Err(End::Context);
            }
        }
        Ok(self.tokens.get(self.taken).copied().unwrap_or_default())
    }

    /// Goes on with the logits that the model gave for [`next_token`](Self::next_token).
    ///
    /// # Errors
    /// What sampler and vocabulary refuse.
    pub fn take(&mut self, logits: &mut [f32]) -> Result<Step<'_>, GenerationError> {
        if self.taken + 1 < self.prompt || self.limit == self.prompt {
            self.taken += 1;
            return Ok(Step::Prompt);
        }
        let next = self.sampler.sample(logits, &self.tokens, &mut self.candidates)?;
        self.taken += 1;
        if self.text.ends(next) {
            return Ok(self.finish(End::Text));
        }
        if self.stop_tokens.contains(&next) {
            return Ok(self.finish(End::Stop));
        }
        self.tokens.push(next);
        let (text, stopped) = self.stops.push(self.stream.push(next)?);
        if stopped {
            self.end = Some(End::Stop);
            return Ok(Step::End(End::Stop, text));
        }
        Ok(Step::Piece(text))
    }

    /// Ends the text, and gives what was held back; nothing if it has ended before.
    pub fn finish(&mut self, end: End) -> Step<'_> {
        if let Some(end) = self.end {
            return Step::End(end, "");
        }
        self.end = Some(end);
        Step::End(end, self.stops.finish(self.stream.finish()))
    }
}
