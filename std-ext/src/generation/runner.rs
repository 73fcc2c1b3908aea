//! A model that keeps its cache from one text to the next.

use super::{End, Generation, GenerationConfig, GenerationError, Step};
use crate::text::Text;
use std::fmt;
use std::ops::ControlFlow;
use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::Lanes;
use trilane_core::model::Decoder;

/// A vocabulary and a decoder, which go on with one prompt after another.
///
/// A prompt that begins like the text before it takes only the tokens that differ; keys and values
/// of the others are still in the cache. What follows is the same text, to the bit, as from an
/// empty cache.
///
/// ```
/// # #[cfg(feature = "mapped")]
/// # {
/// use trilane_core::kernel::Serial;
/// use trilane_core::lane::PrecisionLane::Bit5;
/// use trilane_core::model::{Decoder, Header, Weights};
/// use trilane_std::generation::{GenerationConfig, ModelRunner};
/// use trilane_std::{level, mapped::MappedFile, memory, text};
///
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/shakespeare.gguf");
/// let file = MappedFile::open(path.as_ref())?;
/// let model = file.gguf()?;
/// let mut layers = memory::layers(&model, &Header::read(&model)?);
/// let weights = Weights::load(&model, &mut layers)?;
/// let mut arena = memory::arena(weights.header(), 64)?;
/// let decoder = Decoder::new(weights, level::detect(), 64, &mut arena)?;
/// let mut index = text::index(&model);
/// let mut backend = ModelRunner::new(text::Text::new(&model, &mut index)?, decoder);
///
/// let config = GenerationConfig { max_tokens: 8, ..GenerationConfig::new(Bit5) };
/// let output: String = backend.generate(&Serial, "My lord,", &config)?.collect::<Result<_, _>>()?;
/// assert!(!output.is_empty());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ModelRunner<'a, B> {
    text: Text<'a>,
    decoder: Decoder<'a, 'a, B>,
    /// The tokens in the decoder's cache, and the lanes that they were taken at.
    cached: Vec<u32>,
    lanes: Option<Lanes<'static>>,
}

impl<'a, B: Backend> ModelRunner<'a, B> {
    /// A runner with an empty cache.
    pub fn new(text: Text<'a>, mut decoder: Decoder<'a, 'a, B>) -> Self {
        decoder.truncate(0);
        Self { text, decoder, cached: Vec::new(), lanes: None }
    }

    /// The vocabulary.
    pub fn text(&self) -> &Text<'a> {
        &self.text
    }

    /// The tokens in the cache.
    pub fn cached(&self) -> &[u32] {
        &self.cached
    }

    /// Tokens that the cache has room for.
    pub fn capacity(&self) -> usize {
        self.decoder.capacity()
    }

    /// Goes on with a prompt.
    ///
    /// # Errors
    /// [`GenerationError`]: the prompt is empty or longer than the context, a value of the
    /// configuration is out of range, or there is no memory.
    pub fn generate<'r>(
        &'r mut self,
        pool: &'r dyn Pool,
        prompt: &str,
        config: &GenerationConfig,
    ) -> Result<Pieces<'r, 'a, B>, GenerationError> {
        let tokens = self.text.encode(prompt)?;
        let capacity = self.decoder.capacity();
        if tokens.len() > capacity {
            return Err(GenerationError::PromptLength { tokens: tokens.len(), capacity });
        }
        if self.lanes != Some(config.lanes) {
            // What other lanes computed is not what these would have.
            self.decoder.truncate(0);
            self.cached.clear();
            self.lanes = Some(config.lanes);
        }
        let generation =
            Generation::after(self.text, tokens, prompt.is_empty(), config, &self.cached)?;
        let reused = generation.taken();
        Ok(Pieces { runner: self, pool, generation, reused })
    }
}

/// What a generation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended; `None` when the caller ended it.
    pub end: Option<End>,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of the prompt that were in the cache already.
    pub reused: usize,
    /// Tokens generated.
    pub generated: usize,
    /// Tokens that the decoder took.
    pub forwards: usize,
}

/// A text that goes on, as an iterator over the pieces that it comes in; each is of at least one
/// character. After an error the next call tries the same step again.
pub struct Pieces<'r, 'a, B> {
    runner: &'r mut ModelRunner<'a, B>,
    pool: &'r dyn Pool,
    generation: Generation<'a>,
    reused: usize,
}

impl<B: Backend> Pieces<'_, '_, B> {
    /// What came of it so far.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            end: self.generation.end(),
            prompt: self.generation.prompt_len(),
            reused: self.reused,
            generated: self.generation.generated(),
            forwards: self.generation.taken() - self.reused,
        }
    }

    /// Hands every piece to `each`, until the text ends or `each` breaks off.
    ///
    /// # Errors
    /// [`GenerationError`] of the first step that failed.
    pub fn stream(
        mut self,
        each: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Outcome, GenerationError> {
        for piece in self.by_ref() {
            if each(&piece?).is_break() {
                break;
            }
        }
        Ok(self.outcome())
    }
}

impl<B: Backend> Iterator for Pieces<'_, '_, B> {
    type Item = Result<String, GenerationError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ended = self.generation.end().is_some();
            let step = self.generation.step(&mut self.runner.decoder, self.pool);
            let piece = match step {
                Ok(Step::Prompt) => String::new(),
                Ok(Step::Piece(piece) | Step::End(_, piece)) => piece.into(),
                Err(error) => return Some(Err(error)),
            };
            // What the decoder holds is a beginning of what this generation has.
            let position = self.runner.decoder.position();
            self.runner.cached.clear();
            self.runner.cached.extend(self.generation.tokens().iter().take(position));
            if !piece.is_empty() {
                return Some(Ok(piece));
            }
            if ended || self.generation.end().is_some() {
                return None;
            }
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for Pieces<'_, '_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").field("runner", &self.runner).finish_non_exhaustive()
    }
}
