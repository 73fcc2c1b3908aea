//! Workers that share a batch, each with a residual of its own.

use super::Variant;
use crate::Result;
use crate::tasks::{Params, Task};
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::step_ahead;
use trilane_std::compress;

/// The library's workers, computing the gradients of a task.
pub(super) struct Workers {
    workers: compress::Workers,
    count: usize,
    ahead: f32,
}

impl Workers {
    pub(super) fn new(
        variant: Variant,
        shapes: &[Vec<usize>],
        count: usize,
        seed: u64,
    ) -> Result<Self> {
        let codec = variant.method.codec(shapes, variant.ratio, seed)?;
        let workers = compress::Workers::new(codec, count)?;
        Ok(Self { workers, count, ahead: variant.ahead })
    }

    /// Values of a gradient for each word that a worker sends.
    pub(super) fn times_smaller(&self) -> f64 {
        let codec = self.workers.codec();
        codec.parameters() as f64 / codec.step_words() as f64
    }

    /// What a step takes off the weights: the rate times the gradient of the mean loss of the batch, as
    /// far as it was sent, and what earlier steps left. `None` where values are no longer finite, or too
    /// large.
    pub(super) fn step(
        &mut self,
        task: &dyn Task,
        params: &Params,
        batch: &[usize],
        rate: f32,
        number: u64,
    ) -> Result<Option<Vec<f32>>> {
        let mut update = vec![0.0; self.workers.codec().parameters()];
        let mut gradients = vec![vec![0.0; update.len()]; self.count];
        let shares = batch.chunks(batch.len().div_ceil(self.count));
        for ((samples, gradient), residual) in
            shares.zip(&mut gradients).zip(self.workers.residuals())
        {
            let Some(local) = unless_diverged(self.local(params, residual))? else {
                return Ok(None);
            };
            let weights = vec![rate / batch.len() as f32; samples.len()];
            *gradient = task.gradient(&local, samples, &weights)?.gradients.concat();
        }
        let sent = unless_diverged(self.workers.exchange(number, &gradients, &mut update))?;
        Ok(sent.map(|()| update))
    }

    /// The weights with what a worker has not sent yet.
    fn local(
        &self,
        params: &Params,
        residual: &[f32],
    ) -> std::result::Result<Params, ArgumentError> {
        let (mut local, mut at) = (params.clone(), 0);
        for tensor in &mut local {
            let end = at + tensor.len();
            step_ahead(&residual[at..end], self.ahead, tensor)?;
            at = end;
        }
        Ok(local)
    }
}

/// `None` for the errors of values that grow beyond bounds.
fn unless_diverged<T>(result: std::result::Result<T, ArgumentError>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            ArgumentError::NotFinite { .. } | ArgumentError::Parameter { name: "magnitude", .. },
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::method::Method;
    use super::*;
    use crate::tasks::Quadratic;

    fn run(ahead: f32, rate: f32, steps: u64) -> Option<f64> {
        let task = Quadratic::new(20, 20.0, 0.0);
        let variant = Variant { method: Method::RoundRobin, ratio: 0.1, ahead };
        let mut workers = Workers::new(variant, &task.shapes(), 4, 1).unwrap();
        let mut params = task.initial(1);
        for step in 0..steps {
            let batch: Vec<usize> = (0..8).collect();
            let update = workers.step(&task, &params, &batch, rate, step).unwrap()?;
            params.iter_mut().flatten().zip(update).for_each(|(p, u)| *p -= u);
        }
        Some(task.validation(&params).unwrap().loss)
    }

    #[test]
    fn a_run_that_diverges_is_no_error_and_workers_that_step_ahead_do_not_diverge() {
        let start = run(0.0, 0.5, 0).unwrap();
        assert_eq!(run(0.0, 0.5, 3000), None);
        assert!(run(4.0, 0.5, 300).unwrap() < 1e-3 * start);
    }
}
