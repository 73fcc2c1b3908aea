//! A text that goes on: prompt in, tokens out, with the time both took.

use crate::error::Error;
use crate::progress::bar;
use std::path::Path;
use std::time::{Duration, Instant};
use trilane::core::kernel::{Backend, Pool};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::sampler::{Candidate, Sampler, SamplerConfig};
use trilane::core::model::{Decoder, ModelError};
use trilane::std::text::{Text, TextError};

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

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As many tokens as were asked for.
    Limit,
    /// The model ended its text.
    Text,
    /// No room for another token.
    Context,
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
    let Request { path, text, pool, lane, .. } = *request;
    let refused = |e: ModelError| Error::file(path, e);
    let unreadable = |e: TextError| Error::file(path, e);
    let mut sampler = Sampler::new(request.sampler).map_err(|e| Error::Usage(e.to_string()))?;
    let mut scratch = vec![Candidate::default(); decoder.weights().header().vocabulary];
    let mut stream = text.stream(request.prompt.is_empty());
    let mut tokens = request.tokens.to_vec();
    let Some((&last, before)) = request.tokens.split_last() else {
        let what = "the prompt is empty, and the model has no token to begin a text with";
        return Err(Error::Usage(format!("{}: {what}", path.display())));
    };
    let start = Instant::now();
    decoder.truncate(0);
    let progress = (tokens.len() >= LONG).then(|| bar("reading the prompt", before.len()));
    for &token in before {
        decoder.forward(pool, token, lane).map_err(refused)?;
        progress.iter().for_each(|progress| progress.step(1));
    }
    let mut logits = decoder.forward(pool, last, lane).map_err(refused)?;
    drop(progress);
    let prompt = (tokens.len(), start.elapsed());
    show(request.prompt)?;
    let start = Instant::now();
    let (mut generated, mut steps) = (0, 0);
    let end = loop {
        if generated == request.limit {
            break End::Limit;
        }
        let token =
            sampler.sample(logits, &tokens, &mut scratch).map_err(|e| Error::file(path, e))?;
        if text.ends(token) {
            break End::Text;
        }
        tokens.push(token);
        generated += 1;
        show(stream.push(token).map_err(unreadable)?)?;
        if generated == request.limit {
            break End::Limit;
        }
        if decoder.position() == decoder.capacity() {
            break End::Context;
        }
        logits = decoder.forward(pool, token, lane).map_err(refused)?;
        steps += 1;
    };
    let steps = (steps, start.elapsed());
    show(stream.finish())?;
    Ok(Generation { prompt, tokens: generated, steps, end })
}
