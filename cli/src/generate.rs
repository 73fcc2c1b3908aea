//! A text that goes on: prompt in, tokens out, with the time both took.

use crate::error::Error;
use crate::progress::bar;
use std::path::Path;
use std::time::{Duration, Instant};
use trilane::core::kernel::{Backend, Pool};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::Decoder;
use trilane::core::model::sampler::SamplerConfig;
use trilane::std::generation::{self, End, GenerationError, Options, Step};
use trilane::std::text::Text;

/// Tokens in a prompt from which on its progress is shown.
const LONG: usize = 64;

/// What a generation needs beside the decoder.
pub(crate) struct Request<'r, 'a> {
    /// The file, for errors.
    pub(crate) path: &'r Path,
    pub(crate) text: &'r Text<'a>,
    pub(crate) pool: &'r dyn Pool,
    pub(crate) lane: PrecisionLane,
    /// The prompt, and its tokens.
    pub(crate) prompt: &'r str,
    pub(crate) tokens: &'r [u32],
    /// The most tokens to generate.
    pub(crate) limit: usize,
    pub(crate) sampler: SamplerConfig,
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
pub(crate) fn generate<B: Backend>(
    request: &Request<'_, '_>,
    decoder: &mut Decoder<'_, '_, B>,
    show: &mut dyn FnMut(&str) -> Result<(), Error>,
) -> Result<Generation, Error> {
    let path = request.path;
    let refused = |e: GenerationError| match e {
        GenerationError::EmptyPrompt => Error::Usage(format!("{}: {e}", path.display())),
        e => Error::file(path, e),
    };
    let options = Options { lane: request.lane, limit: request.limit, sampler: request.sampler };
    let mut text = text_from(request, &options).map_err(|e| match e {
        GenerationError::Sampler(e) => Error::Usage(e.to_string()),
        e => refused(e),
    })?;
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

/// The text at its prompt.
fn text_from<'a>(
    request: &Request<'_, 'a>,
    options: &Options,
) -> Result<generation::Generation<'a>, GenerationError> {
    let at_start = request.prompt.is_empty();
    generation::Generation::new(*request.text, request.tokens.to_vec(), at_start, options)
}
