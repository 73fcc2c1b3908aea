//! AdamW with decoupled weight decay, a learning-rate schedule and clipping.
//!
//! Written out, because its moments belong in the checkpoint.

use super::decoder::Param;
use std::f64::consts::PI;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.95;
const EPSILON: f32 = 1e-8;

/// Warmup, then half a cosine from `peak` to `floor`.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) peak: f64,
    pub(super) floor: f64,
    pub(super) warmup: usize,
    pub(super) steps: usize,
}

impl Schedule {
    /// The learning rate of `step`, counted from 0.
    pub(super) fn rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let span = self.steps.saturating_sub(self.warmup).max(1);
        let done = ((step - self.warmup) as f64 / span as f64).min(1.0);
        self.floor + (self.peak - self.floor) * 0.5 * (1.0 + (PI * done).cos())
    }
}

/// First and second moments of every parameter.
#[derive(Debug)]
pub(super) struct AdamW {
    pub(super) first: Vec<Vec<f32>>,
    pub(super) second: Vec<Vec<f32>>,
    decay: f64,
}

impl AdamW {
    /// Zero moments; `decay` is applied to matrices only.
    pub(super) fn new(params: &[Param], decay: f64) -> Self {
        let zeros: Vec<_> = params.iter().map(|p| vec![0.0; p.len()]).collect();
        Self { first: zeros.clone(), second: zeros, decay }
    }

    /// One update of `values`; `step` counts from 0.
    pub(super) fn update(
        &mut self,
        params: &[Param],
        values: &mut [Vec<f32>],
        grads: &[Vec<f32>],
        step: usize,
        rate: f64,
    ) {
        let count = (step + 1) as f64;
        let unbias1 = (1.0 - BETA1.powf(count)).recip() as f32;
        let unbias2 = (1.0 - BETA2.powf(count)).recip() as f32;
        let (b1, b2, lr) = (BETA1 as f32, BETA2 as f32, rate as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        let weights = params.iter().zip(values).zip(grads);
        for (((param, w), g), (m, v)) in weights.zip(moments) {
            let decays = param.matrix_cols().is_some();
            let keep = if decays { 1.0 - (rate * self.decay) as f32 } else { 1.0 };
            for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                let change = *m * unbias1 / ((*v * unbias2).sqrt() + EPSILON);
                *w = *w * keep - lr * change;
            }
        }
    }
}

/// Scales the gradients so that their joint norm is at most `limit`; gives the norm
/// they had.
pub(super) fn clip(grads: &mut [Vec<f32>], limit: f64) -> f64 {
    let square = |g: &Vec<f32>| g.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let norm = grads.iter().map(square).sum::<f64>().sqrt();
    if norm > limit {
        let factor = (limit / norm) as f32;
        grads.iter_mut().flatten().for_each(|v| *v *= factor);
    }
    norm
}
