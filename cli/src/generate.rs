//! A text that goes on: prompt in, tokens out, with the time both took.

use crate::error::Error;
use crate::progress::bar;
use std::path::Path;
use std::time::{Duration, Instant};
use trilane::core::kernel::Pool;
use trilane::std::generation::{self, End, GenerationConfig, GenerationError, LanguageModel, Step};
use trilane::std::text::Text;

/// Tokens in a prompt from which on its progress is shown.
const LONG: usize = 64;

/// What a generation needs beside the decoder.
pub(crate) struct Request<'r, 'a> {
    /// The file, for errors.
    pub(crate) path: &'r Path,
    pub(crate) text: &'r Text<'a>,
    pub(crate) pool: &'r dyn Pool,
    /// The prompt, and its tokens.
    pub(crate) prompt: &'r str,
    pub(crate) tokens: &'r [u32],
    pub(crate) config: &'r GenerationConfig,
}

/// How a generation went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generation {
    /// Tokens of the prompt, and the time they took.
    pub(crate) prompt: (usize, Duration),
    /// Tokens generated.
    pub(crate) tokens: usize,
    /// Tokens computed after the prompt, and the time that they and all choices took.
    pub(crate) steps: (usize, Duration),
    pub(crate) end: End,
}

/// Tokens a second; 0 when there were none.
pub(crate) fn rate((tokens, time): (usize, Duration)) -> f64 {
    if tokens == 0 { 0.0 } else { tokens as f64 / time.as_secs_f64().max(1e-9) }
}

/// Runs the prompt, shows it, and then shows each piece of text as it comes.
pub(crate) fn generate(
    request: &Request<'_, '_>,
    decoder: &mut dyn LanguageModel,
    show: &mut dyn FnMut(&str) -> Result<(), Error>,
) -> Result<Generation, Error> {
    let path = request.path;
    let refused = |e| refused(path, e);
    let mut text = text_from(request).map_err(refused)?;
    let len = text.prompt_len();
    let progress = (len >= LONG).then(|| bar("reading the prompt", len));
    let start = Instant::now();
    // The last token of the prompt is taken together with the first choice.
    while text.taken() + 1 < len {
        text.step(decoder, request.pool).map_err(refused)?;
        progress.iter().for_each(|progress| progress.step(1));
    }
    let mut step = text.step(decoder, request.pool).map_err(refused)?;
    drop(progress);
    let prompt = (len, start.elapsed());
    show(request.prompt)?;
    let start = Instant::now();
    let end = loop {
        match step {
            Step::Prompt => {}
            Step::Piece(piece) => show(piece)?,
            Step::End(end, rest) => {
                show(rest)?;
                break end;
            }
        }
        step = text.step(decoder, request.pool).map_err(refused)?;
    };
    let steps = (text.taken() - len, start.elapsed());
    Ok(Generation { prompt, tokens: text.generated(), steps, end })
}

/// A generation's error: of the command, where its arguments are out of range, or of the file.
pub(crate) fn refused(path: &Path, error: GenerationError) -> Error {
    match error {
        GenerationError::EmptyPrompt | GenerationError::PromptLength { .. } => {
            Error::Usage(format!("{}: {error}", path.display()))
        }
        GenerationError::Sampler(_) | GenerationError::EmptyStop { .. } => {
            Error::Usage(error.to_string())
        }
        GenerationError::Device { what } => Error::Device(format!("{}: {what}", path.display())),
        error => Error::file(path, error),
    }
}

/// The text at its prompt.
fn text_from<'a>(request: &Request<'_, 'a>) -> Result<generation::Generation<'a>, GenerationError> {
    let at_start = request.prompt.is_empty();
    generation::Generation::new(*request.text, request.tokens.to_vec(), at_start, request.config)
}
