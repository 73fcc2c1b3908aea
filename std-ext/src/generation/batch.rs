//! Several texts at a time, from one set of weights.

use super::{End, GenerationConfig, GenerationError, ModelRunner};
use crate::memory;
use crate::rows::for_each_row;
use crate::text::Text;
use std::convert::Infallible;
use std::ops::ControlFlow;
use trilane_core::kernel::{Backend, Serial};
use trilane_core::model::{Decoder, Weights};

/// A text that went on to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What followed the prompt.
    pub text: String,
    /// Why it ended.
    pub end: Option<End>,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens generated.
    pub generated: usize,
}

/// Goes on with every prompt, each in a cache of its own, which is as long as its text can become.
///
/// With the feature `parallel` the texts are spread over rayon's threads (inside
/// `Threads::install` those of that pool), each computed by one. What comes of a prompt depends on
/// no other, nor on the number of threads. Every text reads the weights for itself.
///
/// # Errors
/// Of each text its own: what [`ModelRunner::generate`] refuses, and [`GenerationError::Model`].
pub fn generate_batch<B: Backend>(
    text: &Text<'_>,
    weights: &Weights<'_, '_>,
    backend: B,
    requests: &[(&str, &GenerationConfig)],
) -> Vec<Result<Completion, GenerationError>> {
    let completions = for_each_row(requests.len(), |i| {
        let (prompt, config) = requests[i];
        Ok::<_, Infallible>(complete(text, weights, backend, prompt, config))
    });
    match completions {
        Ok(completions) => completions,
        Err(never) => match never {},
    }
}

fn complete<B: Backend>(
    text: &Text<'_>,
    weights: &Weights<'_, '_>,
    backend: B,
    prompt: &str,
    config: &GenerationConfig,
) -> Result<Completion, GenerationError> {
    let header = weights.header();
    let room = text.encode(prompt)?.len().saturating_add(config.max_tokens);
    let capacity = header.context.min(room.max(1));
    let mut arena = memory::arena(header, capacity)?;
    let decoder = Decoder::new(*weights, backend, capacity, &mut arena)?;
    let mut runner = ModelRunner::new(*text, decoder);
    let mut text = String::new();
    let outcome = runner.generate(&Serial, prompt, config)?.stream(&mut |piece| {
        text.push_str(piece);
        ControlFlow::Continue(())
    })?;
    let (end, prompt, generated) = (outcome.end, outcome.prompt, outcome.generated);
    Ok(Completion { text, end, prompt, generated })
}
