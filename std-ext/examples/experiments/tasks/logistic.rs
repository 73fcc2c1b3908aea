//! Logistic regression on synthetic data.

use super::{Gradient, Params, Task, Validation};
use crate::Result;
use trilane_core::math::exp;
use trilane_std::train::random;

/// Two classes, `P(1|x) = σ(w·x + b)`.
///
/// The features are normal with deviations falling geometrically from 1 to 0.1, and the labels are
/// drawn from such a model with normal weights of deviation 1, so that no weights fit them all.
pub(crate) struct Logistic {
    features: usize,
    training: Vec<Sample>,
    held_out: Vec<Sample>,
}

struct Sample {
    x: Vec<f32>,
    label: f32,
}

impl Logistic {
    /// So many samples to train on, and half as many held out.
    pub(crate) fn new(features: usize, samples: usize, seed: u64) -> Self {
        let truth: Vec<f32> = (0..features as u64).map(|i| random::normal(seed, i)).collect();
        let scale = |i: usize| 0.1_f64.powf(i as f64 / features as f64) as f32;
        let sample = |n: usize| {
            let at = |i: usize| random::normal(seed ^ 0x0F00_0000, (n * features + i) as u64);
            let x: Vec<f32> = (0..features).map(|i| scale(i) * at(i)).collect();
            let logit: f32 = x.iter().zip(&truth).map(|(x, w)| x * w).sum();
            let chance =
                (random::bits(seed ^ 0x0A00_0000, n as u64) >> 40) as f32 / (1 << 24) as f32;
            Sample { x, label: f32::from(u8::from(chance < sigmoid(logit))) }
        };
        Self {
            features,
            training: (0..samples).map(sample).collect(),
            held_out: (samples..samples + samples / 2).map(sample).collect(),
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `−log P(label)`.
fn loss(logit: f32, label: f32) -> f32 {
    let wrong = if label > 0.5 { -logit } else { logit };
    wrong.max(0.0) + libm::log1pf(exp(-wrong.abs()))
}

fn logit(params: &Params, x: &[f32]) -> f32 {
    params[0].iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + params[1][0]
}

impl Task for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.features], vec![1]]
    }

    fn initial(&self, seed: u64) -> Params {
        vec![(0..self.features as u64).map(|i| 0.1 * random::normal(seed, i)).collect(), vec![0.0]]
    }

    fn samples(&self) -> usize {
        self.training.len()
    }

    fn batch(&self) -> usize {
        32
    }

    fn losses(&self, params: &Params, samples: &[usize]) -> Result<Vec<f32>> {
        let samples = samples.iter().map(|&i| &self.training[i]);
        Ok(samples.map(|s| loss(logit(params, &s.x), s.label)).collect())
    }

    fn gradient(&self, params: &Params, samples: &[usize], weights: &[f32]) -> Result<Gradient> {
        let (mut w, mut b) = (vec![0.0; self.features], 0.0);
        let mut losses = Vec::new();
        for (&i, weight) in samples.iter().zip(weights) {
            let Sample { x, label } = &self.training[i];
            let logit = logit(params, x);
            losses.push(loss(logit, *label));
            let slope = weight * (sigmoid(logit) - label);
            w.iter_mut().zip(x).for_each(|(g, x)| *g += slope * x);
            b += slope;
        }
        Ok(Gradient { losses, gradients: vec![w, vec![b]] })
    }

    fn validation(&self, params: &Params) -> Result<Validation> {
        let (mut sum, mut right) = (0.0, 0.0);
        for Sample { x, label } in &self.held_out {
            let logit = logit(params, x);
            sum += f64::from(loss(logit, *label));
            right += f64::from(u8::from((logit > 0.0) == (*label > 0.5)));
        }
        let n = self.held_out.len() as f64;
        Ok(Validation { loss: sum / n, accuracy: right / n })
    }
}
