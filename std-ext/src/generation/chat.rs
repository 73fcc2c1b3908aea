//! A conversation: turns that go on with one text.

use super::{GenerationConfig, GenerationError, ModelRunner, Outcome};
use std::ops::ControlFlow;
use trilane_core::kernel::{Backend, Pool};

/// A text that two write in turn: the caller, and the model.
///
/// Each turn goes on with the whole text so far, so it is what a new prompt with that text would
/// give; but only what the cache does not hold is taken.
#[derive(Debug)]
pub struct Chat<'a, B> {
    runner: ModelRunner<'a, B>,
    transcript: String,
}

impl<'a, B: Backend> Chat<'a, B> {
    /// A conversation without a word.
    pub fn new(runner: ModelRunner<'a, B>) -> Self {
        Self { runner, transcript: String::new() }
    }

    /// Everything so far: all turns, and what the model made of them.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// The model.
    pub fn runner(&self) -> &ModelRunner<'a, B> {
        &self.runner
    }

    /// Adds `turn` to the text, and then what the model goes on with, every piece of which `each`
    /// gets first and may break off after. What was shown is part of the text, stop strings are
    /// not.
    ///
    /// # Errors
    /// What [`ModelRunner::generate`] and [`Pieces::stream`](super::Pieces::stream) refuse. The
    /// text is then as before the turn.
    pub fn say(
        &mut self,
        pool: &dyn Pool,
        turn: &str,
        config: &GenerationConfig,
        each: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Outcome, GenerationError> {
        let before = self.transcript.len();
        self.transcript.push_str(turn);
        let mut answer = String::new();
        let outcome = self.runner.generate(pool, &self.transcript, config).and_then(|pieces| {
            pieces.stream(&mut |piece| {
                answer.push_str(piece);
                each(piece)
            })
        });
        match outcome {
            Ok(_) => self.transcript.push_str(&answer),
            Err(_) => self.transcript.truncate(before),
        }
        outcome
    }
}
