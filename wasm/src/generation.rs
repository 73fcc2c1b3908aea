//! A text that goes on, a token at a time.

use crate::argument::{lane, utf8};
use crate::failure::Failure;
use crate::model::{Loaded, Model};
use crate::sequence::Sequence;
use js_sys::Uint8Array;
use self_cell::self_cell;
use std::rc::Rc;
use trilane_core::kernel::Serial;
use trilane_core::model::sampler::SamplerConfig;
use trilane_std::generation::{End, GenerationConfig, GenerationError, Step};
use wasm_bindgen::prelude::wasm_bindgen;

type Underway<'a> = trilane_std::generation::Generation<'a>;

self_cell!(
    struct Cell {
        owner: Rc<Loaded>,
        #[covariant]
        dependent: Underway,
    }
);

/// How tokens are chosen.
#[wasm_bindgen]
pub struct Sampling {
    config: SamplerConfig,
}

#[wasm_bindgen]
impl Sampling {
    /// The library's defaults.
    #[wasm_bindgen(constructor)]
    #[must_use]
    #[allow(clippy::new_without_default, reason = "JavaScript has constructors")]
    pub fn new() -> Self {
        Self { config: SamplerConfig::default() }
    }

    /// Sets the temperature.
    #[wasm_bindgen(setter)]
    pub fn set_temperature(&mut self, value: f32) {
        self.config.temperature = value;
    }

    /// Sets how many of the likeliest tokens are kept.
    #[wasm_bindgen(setter, js_name = topK)]
    pub fn set_top_k(&mut self, value: u32) {
        self.config.top_k = value as usize;
    }

    /// Sets the probability that the tokens kept reach together.
    #[wasm_bindgen(setter, js_name = topP)]
    pub fn set_top_p(&mut self, value: f32) {
        self.config.top_p = value;
    }

    /// Sets the least share of the greatest probability.
    #[wasm_bindgen(setter, js_name = minP)]
    pub fn set_min_p(&mut self, value: f32) {
        self.config.min_p = value;
    }

    /// Sets the penalty of recent tokens.
    #[wasm_bindgen(setter, js_name = repeatPenalty)]
    pub fn set_repeat_penalty(&mut self, value: f32) {
        self.config.repetition_penalty = value;
    }

    /// Sets how many tokens are recent.
    #[wasm_bindgen(setter, js_name = repeatWindow)]
    pub fn set_repeat_window(&mut self, value: u32) {
        self.config.repetition_window = value as usize;
    }

    /// Sets the start of the random sequence.
    #[wasm_bindgen(setter)]
    pub fn set_seed(&mut self, value: u64) {
        self.config.seed = value;
    }
}

/// A text that goes on.
#[wasm_bindgen]
pub struct Generation {
    sequence: Sequence,
    cell: Cell,
}

#[wasm_bindgen]
impl Generation {
    /// A text at its prompt, in UTF-8; at most `limit` tokens follow.
    ///
    /// # Errors
    /// `text`, `lane`, `option`, `context`, `memory`.
    #[wasm_bindgen(constructor)]
    pub fn new(
        model: &Model,
        prompt: &Uint8Array,
        lane: u8,
        limit: u32,
        sampling: &Sampling,
    ) -> Result<Self, Failure> {
        let found = model.loaded().borrow_dependent();
        let (lane, limit) = (self::lane(lane)?, limit as usize);
        found.weights.check_lane(lane)?;
        let tokens = found.text()?.encode(&utf8(prompt)?)?;
        let (len, context) = (tokens.len(), found.weights.header().context);
        if len > context {
            return Err(GenerationError::PromptLength { tokens: len, capacity: context }.into());
        }
        let config = GenerationConfig {
            max_tokens: limit,
            sampler: sampling.config,
            ..GenerationConfig::new(lane)
        };
        let cell = Cell::try_new(Rc::clone(model.loaded()), |model| {
            let text = model.borrow_dependent().text()?;
            let at_start = prompt.length() == 0;
            Ok::<_, Failure>(Underway::new(text, tokens, at_start, &config)?)
        })?;
        let capacity = context.min(len.saturating_add(limit));
        Ok(Self { sequence: Sequence::of(model.loaded(), capacity)?, cell })
    }

    /// Takes one token of the prompt, or chooses the next one; the characters that it completed.
    ///
    /// # Errors
    /// `value` when the model computes what is not finite.
    pub fn step(&mut self) -> Result<String, Failure> {
        let Self { sequence, cell } = self;
        cell.with_dependent_mut(|_, generation| {
            let step = sequence.with_decoder(|decoder| {
                generation.step(decoder, &Serial).map(|step| match step {
                    Step::Prompt => String::new(),
                    Step::Piece(piece) => piece.to_owned(),
                    Step::End(_, rest) => rest.to_owned(),
                })
            });
            Ok(step?)
        })
    }

    /// Tokens of the prompt.
    #[wasm_bindgen(getter, js_name = promptTokens)]
    pub fn prompt_tokens(&self) -> usize {
        self.cell.borrow_dependent().prompt_len()
    }

    /// Tokens that the model has taken, those of the prompt first.
    #[wasm_bindgen(getter)]
    pub fn taken(&self) -> usize {
        self.cell.borrow_dependent().taken()
    }

    /// Tokens generated so far.
    #[wasm_bindgen(getter)]
    pub fn tokens(&self) -> usize {
        self.cell.borrow_dependent().generated()
    }

    /// Why it ended, if it has: `limit`, `text` or `context`.
    #[wasm_bindgen(getter)]
    pub fn end(&self) -> Option<String> {
        let name = match self.cell.borrow_dependent().end()? {
            End::Limit => "limit",
            End::Text => "text",
            End::Stop => "stop",
            End::Context => "context",
        };
        Some(name.to_owned())
    }
}
