//! Workers that share a batch, each with a residual of its own.

use super::method::Method;
use crate::Result;
use crate::tasks::{Params, Task};
use trilane_core::train::compress::{Exchange, feed, merge, settle};
use trilane_std::compress::TensorCodec;

/// What all workers know alike (the codec) and what each keeps to itself.
pub(super) struct Workers {
    codec: TensorCodec,
    residuals: Vec<Vec<f32>>,
}

impl Workers {
    pub(super) fn new(
        method: Method,
        shapes: &[Vec<usize>],
        ratio: f32,
        workers: usize,
        seed: u64,
    ) -> Result<Self> {
        let codec = method.codec(shapes, ratio, seed)?;
        let residuals = vec![vec![0.0; codec.parameters()]; workers];
        Ok(Self { codec, residuals })
    }

    /// Values of a gradient for each word that a worker sends.
    pub(super) fn times_smaller(&self) -> f64 {
        self.codec.parameters() as f64 / self.codec.step_words() as f64
    }

    /// What a step adds up to: the gradient of the mean loss of the batch, as far as it was sent, and
    /// what earlier steps left.
    pub(super) fn step(
        &mut self,
        task: &dyn Task,
        params: &Params,
        batch: &[usize],
        number: u64,
    ) -> Result<Vec<f32>> {
        let Self { codec, residuals } = self;
        let share = batch.len().div_ceil(residuals.len());
        for (residual, samples) in residuals.iter_mut().zip(batch.chunks(share)) {
            let weights = vec![1.0 / batch.len() as f32; samples.len()];
            feed(&task.gradient(params, samples, &weights)?.gradients.concat(), residual)?;
        }
        codec.start(number);
        let mut update = vec![0.0; codec.parameters()];
        for round in 0..codec.rounds() {
            let mut total = vec![0; codec.message_words(round)];
            let mut messages = Vec::new();
            for residual in residuals.iter() {
                let mut message = vec![0; total.len()];
                codec.encode(round, residual, &mut message)?;
                if codec.exchange() == Exchange::AllReduce {
                    merge(&mut total, &message)?;
                }
                messages.push(message);
            }
            if codec.exchange() == Exchange::AllReduce {
                codec.absorb(round, &total)?;
            }
            if round + 1 < codec.rounds() {
                continue;
            }
            match codec.exchange() {
                Exchange::AllReduce => codec.add_decoded(&total, 1.0, &mut update)?,
                Exchange::AllGather => {
                    messages.iter().try_for_each(|m| codec.add_decoded(m, 1.0, &mut update))?;
                }
            }
            for (message, residual) in messages.iter().zip(residuals.iter_mut()) {
                settle(codec.as_ref(), message, residual)?;
            }
        }
        Ok(update)
    }
}
