//! Texts that go on, computed on a device.

use crate::decoder::Decoder;
use crate::error::CudaError;
use std::collections::VecDeque;
use trilane_core::kernel::Pool;
use trilane_core::lane::{Lanes, PrecisionLane};
use trilane_std::generation::{
    Completion, End, Generation, GenerationConfig, GenerationError, LanguageModel, Step,
};
use trilane_std::text::Text;

impl From<CudaError> for GenerationError {
    fn from(error: CudaError) -> Self {
        Self::Device { what: error.to_string() }
    }
}

/// The one lane of everything; a device takes no other lanes.
fn one_lane(lanes: Lanes<'_>) -> Result<PrecisionLane, CudaError> {
    match lanes {
        Lanes::All(lane) => Ok(lane),
        lanes => Err(CudaError::Unsupported { what: format!("lanes {}", lanes.name()) }),
    }
}

/// The first sequence of the batch.
impl LanguageModel for Decoder {
    fn capacity(&self) -> usize {
        Decoder::capacity(self)
    }

    fn position(&self) -> usize {
        self.positions().first().copied().unwrap_or(0)
    }

    fn truncate(&mut self, len: usize) {
        Decoder::truncate(self, 0, len);
    }

    fn next_logits(
        &mut self,
        _: &dyn Pool,
        token: u32,
        lanes: Lanes<'_>,
    ) -> Result<&mut [f32], GenerationError> {
        let mut tokens = vec![None; self.sequences()];
        tokens.iter_mut().take(1).for_each(|first| *first = Some(token));
        let vocabulary = self.header().vocabulary;
        let logits = self.forward(&tokens, one_lane(lanes)?)?;
        Ok(logits.get_mut(..vocabulary).unwrap_or_default())
    }
}

/// A request in a sequence of the decoder.
struct Running<'a> {
    request: usize,
    generation: Generation<'a>,
    text: String,
}

/// Goes on with every prompt, as many at a time as the decoder has sequences; when a text ends, the
/// next request takes its place (continuous batching, Yu et al. 2022). What comes of a prompt
/// depends on no other, and is what the processor gives, to the bit.
///
/// # Errors
/// Of each text its own: what [`Generation::new`] refuses, a prompt that is longer than a sequence,
/// lanes other than one for everything, and [`GenerationError::Device`].
pub fn generate_batch(
    text: &Text<'_>,
    decoder: &mut Decoder,
    requests: &[(&str, &GenerationConfig)],
) -> Vec<Result<Completion, GenerationError>> {
    let mut done: Vec<Option<Result<Completion, GenerationError>>> = Vec::new();
    done.resize_with(requests.len(), || None);
    // A step computes at one lane.
    for lane in PrecisionLane::ALL {
        let at_lane = |i: &usize| requests.get(*i).map(|r| r.1.lanes) == Some(Lanes::All(lane));
        let mut waiting: VecDeque<usize> = (0..requests.len()).filter(at_lane).collect();
        run(text, decoder, lane, requests, &mut waiting, &mut done);
    }
    let lanes = |i: usize| requests.get(i).map_or("none", |r| r.1.lanes.name());
    let unsupported = |i| CudaError::Unsupported { what: format!("lanes {}", lanes(i)) }.into();
    let done = done.into_iter().enumerate();
    done.map(|(i, result)| result.unwrap_or_else(|| Err(unsupported(i)))).collect()
}

fn run<'a>(
    text: &Text<'a>,
    decoder: &mut Decoder,
    lane: PrecisionLane,
    requests: &[(&str, &GenerationConfig)],
    waiting: &mut VecDeque<usize>,
    done: &mut [Option<Result<Completion, GenerationError>>],
) {
    let capacity = decoder.capacity();
    let mut slots: Vec<Option<Running<'a>>> = Vec::new();
    slots.resize_with(decoder.sequences(), || None);
    let mut finish = |request: usize, result| {
        if let Some(place) = done.get_mut(request) {
            *place = Some(result);
        }
    };
    loop {
        let mut tokens = vec![None; slots.len()];
        for (sequence, (slot, token)) in slots.iter_mut().zip(&mut tokens).enumerate() {
            // A text that ends gives its place to the next that does not end at once.
            while slot.is_some() || !waiting.is_empty() {
                if slot.is_none() {
                    let Some(request) = waiting.pop_front() else { break };
                    decoder.truncate(sequence, 0);
                    match begin(text, requests.get(request).copied(), capacity) {
                        Ok(generation) => {
                            *slot = Some(Running { request, generation, text: String::new() });
                        }
                        Err(error) => {
                            finish(request, Err(error));
                            continue;
                        }
                    }
                }
                let Some(running) = slot else { break };
                let position = decoder.positions().get(sequence).copied().unwrap_or(0);
                match running.generation.next_token(position, capacity) {
                    Ok(next) => {
                        *token = Some(next);
                        break;
                    }
                    Err(end) => {
                        if let Step::End(_, rest) = running.generation.finish(end) {
                            running.text.push_str(rest);
                        }
                        if let Some(running) = slot.take() {
                            finish(running.request, Ok(completion(running, end)));
                        }
                    }
                }
            }
        }
        if tokens.iter().all(Option::is_none) {
            return;
        }
        let vocabulary = decoder.header().vocabulary;
        let logits = match decoder.forward(&tokens, lane) {
            Ok(logits) => logits,
            Err(CudaError::Diverged { sequence, layer }) => {
                // That text cannot go on; the others take the same step again.
                let error = CudaError::Diverged { sequence, layer };
                match slots.get_mut(sequence).and_then(Option::take) {
                    Some(running) => finish(running.request, Err(error.into())),
                    None => return fail(&mut slots, waiting, &error, &mut finish),
                }
                continue;
            }
            Err(error) => return fail(&mut slots, waiting, &error, &mut finish),
        };
        for (slot, logits) in slots.iter_mut().zip(logits.chunks_mut(vocabulary.max(1))) {
            let Some(running) = slot else { continue };
            match running.generation.take(logits) {
                Ok(Step::Prompt) => {}
                Ok(Step::Piece(piece) | Step::End(_, piece)) => running.text.push_str(piece),
                Err(error) => {
                    let request = running.request;
                    *slot = None;
                    finish(request, Err(error));
                }
            }
        }
    }
}

/// The text of a request at its prompt.
fn begin<'a>(
    text: &Text<'a>,
    request: Option<(&str, &GenerationConfig)>,
    capacity: usize,
) -> Result<Generation<'a>, GenerationError> {
    let (prompt, config) = request.ok_or(GenerationError::EmptyPrompt)?;
    let tokens = text.encode(prompt)?;
    let generation = Generation::new(*text, tokens, prompt.is_empty(), config)?;
    generation.begin(capacity)?;
    Ok(generation)
}

fn completion(running: Running<'_>, end: End) -> Completion {
    let (prompt, generated) = (running.generation.prompt_len(), running.generation.generated());
    Completion { text: running.text, end: Some(end), prompt, generated }
}

/// The device cannot go on: nor can any text.
fn fail(
    slots: &mut [Option<Running<'_>>],
    waiting: &mut VecDeque<usize>,
    error: &CudaError,
    finish: &mut dyn FnMut(usize, Result<Completion, GenerationError>),
) {
    let running = slots.iter_mut().filter_map(Option::take).map(|running| running.request);
    for request in running.chain(waiting.drain(..)) {
        finish(request, Err(error.clone().into()));
    }
}
