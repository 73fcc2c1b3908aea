//! Workers that share a batch, each with a residual of its own.

use super::method::Method;
use crate::Result;
use crate::tasks::{Params, Task};
use trilane_std::compress;

/// The library's workers, computing the gradients of a task.
pub(super) struct Workers {
    workers: compress::Workers,
    count: usize,
}

impl Workers {
    pub(super) fn new(
        method: Method,
        shapes: &[Vec<usize>],
        ratio: f32,
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let codec = method.codec(shapes, ratio, seed)?;
        Ok(Self { workers: compress::Workers::new(codec, count)?, count })
    }

    /// Values of a gradient for each word that a worker sends.
    pub(super) fn times_smaller(&self) -> f64 {
        let codec = self.workers.codec();
        codec.parameters() as f64 / codec.step_words() as f64
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
        let mut update = vec![0.0; self.workers.codec().parameters()];
        let share = batch.len().div_ceil(self.count);
        let gradient = |samples: &[usize]| {
            let weights = vec![1.0 / batch.len() as f32; samples.len()];
            Ok(task.gradient(params, samples, &weights)?.gradients.concat())
        };
        let mut gradients: Vec<Vec<f32>> =
            batch.chunks(share).map(gradient).collect::<Result<_>>()?;
        gradients.resize(self.count, vec![0.0; update.len()]);
        self.workers.exchange(number, &gradients, &mut update)?;
        Ok(update)
    }
}
