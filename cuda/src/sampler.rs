//! The next token of each sequence of a batch: the device's form of
//! [`Sampler`](trilane_core::model::sampler::Sampler), with its tokens.

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

use crate::activations::{Status, blocks};
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::SAMPLER;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::model::sampler::{Sampler as Specification, SamplerConfig};

/// As the kernel takes a configuration.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct RawSampling {
    temperature: f32,
    top_p: f32,
    min_p: f32,
    top_k: i32,
}

/// Candidates that a draw has at most, and threads of a block.
pub const MAX_TOP_K: usize = 1024;

/// Chooses tokens for a batch of sequences, each with a random sequence of its own.
#[derive(Debug)]
pub struct Sampler {
    /// Of draws; none where the greatest logit is taken.
    sampling: Option<RawSampling>,
    batch: usize,
    /// Seed and draws of each sequence.
    state: Buffer<u64>,
}

impl Sampler {
    /// A sampler at the start of the random sequences of these seeds, which take the place of the
    /// configuration's.
    ///
    /// # Errors
    /// [`CudaError::Unsupported`] for a value out of its range, a repetition penalty, and draws
    /// among all tokens (top-k 0); [`CudaError::Size`] for a top-k above [`MAX_TOP_K`].
    pub fn new(stream: &Stream, config: SamplerConfig, seeds: &[u64]) -> Result<Self, CudaError> {
        let unsupported = |what: String| Err(CudaError::Unsupported { what });
        if let Err(error) = Specification::new(config) {
            return unsupported(error.to_string());
        }
        if config.repetition_penalty != 1.0 && config.repetition_window > 0 {
            return unsupported("a repetition penalty".into());
        }
        let SamplerConfig { temperature, top_k, top_p, min_p, .. } = config;
        let sampling = if temperature == 0.0 {
            None
        } else if top_k == 0 {
            return unsupported("draws among all tokens".into());
        } else if top_k > MAX_TOP_K {
            return Err(CudaError::Size { what: "top-k", size: top_k, greatest: MAX_TOP_K });
        } else {
            Some(RawSampling { temperature, top_p, min_p, top_k: counted("top-k", top_k)? })
        };
        let state: Vec<u64> = seeds.iter().flat_map(|&seed| [seed, 0]).collect();
        let state = Buffer::from_host(stream, &state)?;
        Ok(Self { sampling, batch: seeds.len(), state })
    }

    /// Waits for the queue: how many random numbers were drawn for each sequence.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn draws(&self, stream: &Stream) -> Result<Vec<u64>, CudaError> {
        let state = self.state.to_vec(stream)?;
        Ok(state.as_chunks().0.iter().map(|&[_, draws]| draws).collect())
    }

    /// The next token of each sequence, with those of
    /// [`sample`](trilane_core::model::sampler::Sampler::sample). Ordered.
    ///
    /// Shapes: `tokens` one for each sequence, `logits` as many for each. Where a logit is NaN or
    /// +∞, or all are −∞, that is noted in `status` under `layer`, the token is `u32::MAX` and
    /// nothing is drawn.
    ///
    /// # Errors
    /// [`CudaError::Shape`] when a size does not match, or there are no logits.
    pub fn sample(
        &mut self,
        stream: &Stream,
        logits: &Buffer<f32>,
        tokens: &mut Buffer<u32>,
        status: &mut Status,
        layer: usize,
    ) -> Result<(), CudaError> {
        same_len(self.batch, tokens.len())?;
        same_len(self.batch, status.0.len())?;
        // Not fewer than one.
        let each = (logits.len() / self.batch.max(1)).max(1);
        same_len(self.batch * each, logits.len())?;
        let (n, layer) = (counted("logits", each)?, counted("layers", layer)?);
        let shape = Shape { blocks: [blocks(self.batch)?, 1, 1], threads: MAX_TOP_K as u32 };
        let (x, to, status) = (logits.address(), tokens.address(), status.0.address());
        match self.sampling {
            // SAFETY: the sizes were checked above.
            None => unsafe {
                launch!(stream, &SAMPLER, "sample_greedy", shape; x, n, to, status, layer)
            },
            // SAFETY: as above; the state was made for the batch.
            Some(how) => unsafe {
                let state = self.state.address();
                launch!(stream, &SAMPLER, "sample_drawn", shape; x, n, how, state, to, status, layer)
            },
        }
    }
}
