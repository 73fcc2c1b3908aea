//! The problems that the experiments train on.
//!
//! A task's parameters are one flat vector per tensor, and every function of it depends on its
//! arguments alone, so that runs can be repeated and spread over threads.

mod digits;
mod logistic;
mod order;
mod quadratic;
mod transformer;

pub(crate) use digits::{Digits, DigitsSettings};
pub(crate) use logistic::Logistic;
pub(crate) use order::Order;
pub(crate) use quadratic::Quadratic;
pub(crate) use transformer::Transformer;

use crate::Result;

/// One vector for each tensor.
pub(crate) type Params = Vec<Vec<f32>>;

/// Losses and gradients of some samples.
pub(crate) struct Gradient {
    /// The loss of each sample.
    pub(crate) losses: Vec<f32>,
    /// The gradient of the weighted sum of them.
    pub(crate) gradients: Params,
}

/// How good parameters are on samples held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Validation {
    /// The mean loss.
    pub(crate) loss: f64,
    /// The share of right answers; that of right tokens for the transformer, NaN where there are no
    /// answers.
    pub(crate) accuracy: f64,
}

/// Something to minimise: the mean loss over its samples.
pub(crate) trait Task: Sync {
    /// What tables call it.
    fn name(&self) -> &'static str;

    /// The shape of every tensor: rows and columns, or a length.
    fn shapes(&self) -> Vec<Vec<usize>>;

    /// Where training begins.
    fn initial(&self, seed: u64) -> Params;

    /// How many samples there are to train on.
    fn samples(&self) -> usize;

    /// How many of them, from the first, are no copies of others.
    fn originals(&self) -> usize {
        self.samples()
    }

    /// The task to train on with a seed, where it is not this one.
    fn of_seed(&self, _seed: u64) -> Option<&dyn Task> {
        None
    }

    /// Samples in a step.
    fn batch(&self) -> usize;

    /// The loss of each of these samples: a forward pass.
    fn losses(&self, params: &Params, samples: &[usize]) -> Result<Vec<f32>>;

    /// The gradient of each sample's loss by the last layer's matrix, row after row: a forward pass.
    /// `None` where there are no layers.
    fn head_gradients(&self, _params: &Params, _samples: &[usize]) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }

    /// The losses, and the gradient of `Σ weights[i]·loss[i]`: a backward pass.
    fn gradient(&self, params: &Params, samples: &[usize], weights: &[f32]) -> Result<Gradient>;

    /// Loss and accuracy on what is held out.
    fn validation(&self, params: &Params) -> Result<Validation>;

    /// The gradient of the mean loss.
    fn mean_gradient(&self, params: &Params, samples: &[usize]) -> Result<Gradient> {
        self.gradient(params, samples, &vec![1.0 / samples.len() as f32; samples.len()])
    }

    /// The mean loss over all the originals, or over so many of them at even distances.
    fn training_loss(&self, params: &Params, most: usize) -> Result<f64> {
        let step = self.originals().div_ceil(most).max(1);
        let samples: Vec<usize> = (0..self.originals()).step_by(step).collect();
        let losses = self.losses(params, &samples)?;
        Ok(losses.iter().map(|l| f64::from(*l)).sum::<f64>() / losses.len() as f64)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(crate) mod tests {
    use super::*;

    /// The gradient of every task is the slope of its loss, and its losses are those of a forward pass.
    #[test]
    fn gradients_are_slopes() {
        let text = "the quick brown fox jumps over the lazy dog; ".repeat(40);
        let tasks: [&dyn Task; 4] = [
            &Quadratic::new(10, 100.0, 0.0),
            &Logistic::new(8, 60, 1),
            &Digits::synthetic(40, 12),
            &Transformer::new(&text, 8).unwrap(),
        ];
        for task in tasks {
            let params = task.initial(3);
            let lens: Vec<usize> = params.iter().map(Vec::len).collect();
            let expected: Vec<usize> = task.shapes().iter().map(|s| s.iter().product()).collect();
            assert_eq!(lens, expected, "{}", task.name());
            let (samples, weights) = ([3, 0, 7], [0.2, 0.5, 0.3]);
            let Gradient { losses, gradients } =
                task.gradient(&params, &samples, &weights).unwrap();
            let plain = task.losses(&params, &samples).unwrap();
            assert!(
                plain.iter().zip(&losses).all(|(a, b)| (a - b).abs() < 1e-5),
                "{}",
                task.name()
            );
            let total = |params: &Params| -> f64 {
                let losses = task.losses(params, &samples).unwrap();
                losses.iter().zip(weights).map(|(l, w)| f64::from(*l) * f64::from(w)).sum()
            };
            for (tensor, gradient) in gradients.iter().enumerate().step_by(3) {
                let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt().max(1e-6);
                // Along the gradient, where the slope is its norm.
                let moved = |h: f32| {
                    let mut params = params.clone();
                    let pairs = params[tensor].iter_mut().zip(gradient);
                    pairs.for_each(|(p, g)| *p += h * g / norm);
                    total(&params)
                };
                let slope = ((moved(4e-3) - moved(-4e-3)) / 8e-3) as f32;
                assert!(
                    (slope - norm).abs() < 2e-3 + 0.03 * norm,
                    "{} {tensor}: {slope} {norm}",
                    task.name()
                );
            }
            let again = task.gradient(&params, &samples, &weights).unwrap();
            assert_eq!(again.gradients, gradients, "{}", task.name());
        }
    }
}
