//! A quadratic bowl.

use super::{Gradient, Params, Task, Validation};
use crate::Result;
use trilane_std::train::random;

/// `½ Σ λᵢxᵢ²`, the λ falling geometrically from 1 to 1/κ.
///
/// A sample is a draw of gradient noise: its gradient has normal noise of deviation `noise` in every
/// coordinate, and its loss none.
pub(crate) struct Quadratic {
    curvatures: Vec<f32>,
    noise: f32,
}

impl Quadratic {
    /// A bowl of so many dimensions and condition number κ.
    pub(crate) fn new(dimensions: usize, condition: f64, noise: f32) -> Self {
        let last = (dimensions - 1) as f64;
        let curvature = |i: usize| condition.powf(-(i as f64) / last) as f32;
        Self { curvatures: (0..dimensions).map(curvature).collect(), noise }
    }

    fn loss(&self, x: &[f32]) -> f64 {
        let terms = x.iter().zip(&self.curvatures).map(|(x, l)| f64::from(l * x * x));
        0.5 * terms.sum::<f64>()
    }
}

impl Task for Quadratic {
    fn name(&self) -> &'static str {
        if self.noise > 0.0 { "noisy quadratic" } else { "quadratic" }
    }

    fn shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.curvatures.len()]]
    }

    fn initial(&self, seed: u64) -> Params {
        vec![(0..self.curvatures.len() as u64).map(|i| random::normal(seed, i)).collect()]
    }

    fn samples(&self) -> usize {
        1 << 20
    }

    fn batch(&self) -> usize {
        1
    }

    fn losses(&self, params: &Params, samples: &[usize]) -> Result<Vec<f32>> {
        Ok(vec![self.loss(&params[0]) as f32; samples.len()])
    }

    fn gradient(&self, params: &Params, samples: &[usize], weights: &[f32]) -> Result<Gradient> {
        let total: f32 = weights.iter().sum();
        let x = params[0].iter().zip(&self.curvatures);
        let mut gradient: Vec<f32> = x.map(|(x, l)| total * l * x).collect();
        if self.noise > 0.0 {
            for (&sample, weight) in samples.iter().zip(weights) {
                let seed = random::bits(0x0153, sample as u64);
                for (g, i) in gradient.iter_mut().zip(0..) {
                    *g += weight * self.noise * random::normal(seed, i);
                }
            }
        }
        Ok(Gradient { losses: self.losses(params, samples)?, gradients: vec![gradient] })
    }

    fn validation(&self, params: &Params) -> Result<Validation> {
        Ok(Validation { loss: self.loss(&params[0]), accuracy: f64::NAN })
    }

    fn training_loss(&self, params: &Params, _most: usize) -> Result<f64> {
        Ok(self.loss(&params[0]))
    }
}
