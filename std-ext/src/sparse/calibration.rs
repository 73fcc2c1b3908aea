//! What neurons do on samples: margins for tier 0, a map of low rank, and what both miss.

use super::error::check;
use super::layer::{LANE, LowRankParts, Scratch};
use super::matrix::Matrix;
use super::prediction::margin;
use super::statistics::Counters;
use super::{EngineError, Method, SparseInferenceEngine};
use crate::calibrate::{LinearMap, LowRankFit, deviations, fit};
use crate::rows::for_each_row;
use std::sync::PoisonError;
use std::time::Duration;
use trilane_core::lane::PrecisionLane;

/// Fewer samples say nothing about the neurons that are rarely active.
const MIN_SAMPLES: usize = 20;

/// Of so many samples one is kept for measuring and not fitted to.
const HELD_OUT: usize = 5;

/// Samples that methods are timed on.
const TIMED: usize = 4;

/// Ranks that are tried.
const RANKS: [usize; 5] = [8, 16, 32, 64, 128];

/// Inputs beyond which no map of low rank is fitted: that takes time with the cube of their number.
const MAX_FITTED: usize = 1024;

/// What a calibration has found, measured on samples that nothing was fitted to.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The method the engine uses from now on.
    pub method: Method,
    /// Rank of the map of low rank, where one was fitted.
    pub rank: Option<usize>,
    /// Each method, and the median time of an inference.
    pub methods: Vec<(Evaluation, Duration)>,
}

/// What a method computes, beside what there is to compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The method.
    pub method: Method,
    /// Share of the neurons that are active: that add anything to the output.
    pub active: f64,
    /// Share of the neurons that are computed.
    pub computed: f64,
    /// Share of the active neurons that are computed; where an input has more active neurons than
    /// are computed for it, of as many as that, those that add most.
    pub recall: f64,
}

/// What the dense layer does on one sample.
struct Seen<'s> {
    x: &'s [f32],
    /// Before the activation, at the engine's lane and at Bit3.
    z: Vec<f32>,
    z3: Vec<f32>,
    /// `|act(z)| · importance`.
    contribution: Vec<f32>,
}

impl SparseInferenceEngine {
    /// Fits the predictors to samples of what the layer will see, and chooses the method that is
    /// then the fastest here. Starts the statistics anew.
    ///
    /// For activations that are zero below zero: margins for tier 0, and a map of low rank with
    /// margins from `w1·x + b1` where there are at most 1024 inputs, each as large as it takes for
    /// the norm of what is left out to stay below 0.3% of all. Others keep tier 0 as it is. One
    /// sample in five is kept for measuring.
    ///
    /// # Errors
    /// [`EngineError::Samples`] for fewer than 20 samples, [`EngineError::Length`] and
    /// [`EngineError::NotFinite`] for a sample that is no input.
    pub fn calibrate(&mut self, samples: &[Vec<f32>]) -> Result<Calibration, EngineError> {
        if samples.len() < MIN_SAMPLES {
            return Err(EngineError::Samples { expected: MIN_SAMPLES, found: samples.len() });
        }
        samples.iter().try_for_each(|x| check("sample", self.layer.dim(), x))?;
        let seen = for_each_row(samples.len(), |i| self.see(&samples[i]))?;
        let (held, fitted): (Vec<_>, Vec<_>) =
            seen.iter().enumerate().partition(|(i, _)| i % HELD_OUT == HELD_OUT - 1);
        let [held, fitted] = [held, fitted]
            .map(|list| -> Vec<&Seen<'_>> { list.into_iter().map(|(_, seen)| seen).collect() });
        let mut rank = None;
        if self.layer.has_zeros() {
            self.predictors.margins = Some(self.tier0_margins(&fitted, &held));
            self.predictors.low_rank = self.low_rank(&fitted, &held)?;
            rank = self.predictors.low_rank.as_ref().map(|parts| parts.down.get().rows());
        }
        let timed: Vec<&[f32]> = held.iter().take(TIMED).map(|seen| seen.x).collect();
        let times = self.choose_fastest(&timed)?;
        let mut methods = Vec::new();
        for (method, time) in times {
            let evaluation = self.measure(method, held.iter().copied())?;
            if method == self.method {
                self.recall = Some(evaluation.recall);
            }
            methods.push((evaluation, time));
        }
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = Counters::default();
        Ok(Calibration { method: self.method, rank, methods })
    }

    /// What a method computes of samples. They are not counted in the statistics.
    ///
    /// # Errors
    /// [`EngineError::Length`] and [`EngineError::NotFinite`] for a sample that is no input.
    pub fn evaluate(
        &self,
        method: Method,
        samples: &[Vec<f32>],
    ) -> Result<Evaluation, EngineError> {
        samples.iter().try_for_each(|x| check("sample", self.layer.dim(), x))?;
        let seen = for_each_row(samples.len(), |i| self.see(&samples[i]))?;
        self.measure(method, seen.iter())
    }

    fn see<'s>(&self, x: &'s [f32]) -> Result<Seen<'s>, EngineError> {
        let z = self.layer.before_activation(self.level, LANE, x)?;
        let z3 = self.layer.before_activation(self.level, PrecisionLane::Bit3, x)?;
        let mut contribution = z.clone();
        self.layer.activation.apply(self.level, &mut contribution);
        let importance = &self.layer.importance;
        contribution.iter_mut().zip(importance).for_each(|(c, norm)| *c = c.abs() * norm);
        Ok(Seen { x, z, z3, contribution })
    }

    fn tier0_margins(&self, fitted: &[&Seen<'_>], held: &[&Seen<'_>]) -> Vec<f32> {
        let deviations = deviations(fitted.iter().map(|s| (&s.z[..], &s.z3[..])));
        let factor = margin(held.iter().map(|s| (&s.contribution[..], &s.z3[..])), &deviations).0;
        deviations.iter().map(|d| factor * d).collect()
    }

    /// The map of the rank that makes an inference the cheapest, in multiply-adds.
    fn low_rank(
        &self,
        fitted: &[&Seen<'_>],
        held: &[&Seen<'_>],
    ) -> Result<Option<LowRankParts>, EngineError> {
        let (dim, hidden) = (self.layer.dim(), self.layer.hidden());
        if dim > MAX_FITTED {
            return Ok(None);
        }
        let inputs: Vec<f32> = fitted.iter().flat_map(|s| s.x).copied().collect();
        let map = LinearMap {
            rows: &self.layer.gate_rows()?,
            bias: &self.layer.gate_bias,
            weights: &vec![1.0; hidden],
        };
        let largest = RANKS.into_iter().filter(|&r| r <= dim.min(hidden)).max().unwrap_or(1);
        let Some(full) = fit(&inputs, map, dim, largest) else { return Ok(None) };
        let mut best: Option<(f64, LowRankFit, Vec<f32>)> = None;
        for rank in RANKS.into_iter().filter(|&rank| rank <= full.rank) {
            let fit = full.truncated(rank);
            let predict = |list: &[&Seen<'_>]| -> Vec<Vec<f32>> {
                list.iter().map(|s| fit.predict(s.x)).collect()
            };
            let (of_fitted, of_held) = (predict(fitted), predict(held));
            let pairs = fitted.iter().zip(&of_fitted).map(|(s, p)| (&s.z[..], &p[..]));
            let deviations = deviations(pairs);
            let pairs = held.iter().zip(&of_held).map(|(s, p)| (&s.contribution[..], &p[..]));
            let (factor, computed) = margin(pairs, &deviations);
            let cost = (rank * (dim + hidden)) as f64
                + computed * (hidden * (dim + self.layer.outputs())) as f64;
            if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                best = Some((cost, fit, deviations.iter().map(|d| factor * d).collect()));
            }
        }
        let Some((_, fit, margins)) = best else { return Ok(None) };
        let down = |r: usize| fit.down[r * dim..][..dim].to_vec();
        let up = |r: usize| (0..hidden).map(|i| fit.up[i * fit.rank + r]).collect();
        let bias = fit.bias.iter().zip(margins).map(|(bias, margin)| bias + margin);
        Ok(Some(LowRankParts {
            down: Matrix::quantized(fit.rank, dim, down)?,
            up: Matrix::quantized(fit.rank, hidden, up)?,
            bias: bias.collect(),
        }))
    }

    fn measure<'s>(
        &self,
        method: Method,
        samples: impl Iterator<Item = &'s Seen<'s>>,
    ) -> Result<Evaluation, EngineError> {
        let mut scratch = Scratch::new(&self.layer);
        let mut y = vec![0.0; self.layer.outputs()];
        let (mut neurons, mut active, mut computed) = (0, 0, 0);
        let (mut found, mut wanted) = (0, 0);
        for Seen { x, contribution, .. } in samples {
            let reads = self.run(method, x, &mut scratch, &mut y)?;
            let count: usize = reads.computed.iter().sum();
            let mut order: Vec<u32> = (0..contribution.len() as u32).collect();
            order.retain(|&i| contribution[i as usize] > 0.0);
            neurons += contribution.len();
            active += order.len();
            computed += count;
            let key = |i: u32| contribution[i as usize];
            order.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
            order.truncate(count);
            wanted += order.len();
            found += match method {
                Method::Dense => order.len(),
                _ => {
                    let chosen = scratch.chosen(&reads);
                    order.iter().filter(|i| chosen.binary_search(i).is_ok()).count()
                }
            };
        }
        let share = |part: usize, of: usize| if of > 0 { part as f64 / of as f64 } else { 1.0 };
        Ok(Evaluation {
            method,
            active: share(active, neurons),
            computed: share(computed, neurons),
            recall: share(found, wanted),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::sparse::FfnWeights;
    use trilane_core::nn::{Activation, SparsityConfig};

    /// Sums of four uniform numbers: bell-shaped, variance 1.
    struct Noise(u64);

    impl Noise {
        fn uniform(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
        }

        fn vector(&mut self, len: usize) -> Vec<f32> {
            (0..len).map(|_| (0..4).map(|_| self.uniform()).sum::<f32>() * 0.866).collect()
        }
    }

    const SHAPE: [usize; 3] = [64, 256, 48];

    /// A layer of ReLU neurons whose activity falls as 1/rank, from weights whose singular values
    /// fall as 1/rank too; a tenth of the neurons is active on average.
    fn power_law(activation: Activation) -> (Vec<f32>, Vec<f32>, Vec<f32>, Activation) {
        let [dim, hidden, outputs] = SHAPE;
        let mut noise = Noise(3);
        let mut w1 = vec![0.0; hidden * dim];
        for k in 0..dim {
            let (u, v) = (noise.vector(hidden), noise.vector(dim));
            for (row, u) in w1.chunks_mut(dim).zip(u) {
                let factor = u / (k + 1) as f32;
                row.iter_mut().zip(&v).for_each(|(w, v)| *w += factor * v);
            }
        }
        let bias = |(i, row): (usize, &[f32])| {
            let sigma = row.iter().map(|w| w * w).sum::<f32>().sqrt();
            // About the quantile of 5.5/(i + 1), between those of 0.97 and 0.02.
            let activity = (5.5 / (i + 1) as f32).clamp(0.02, 0.97);
            sigma * (activity / (1.0 - activity)).ln() / 1.7
        };
        let b1 = w1.chunks(dim).enumerate().map(bias).collect();
        (w1, b1, noise.vector(outputs * hidden), activation)
    }

    fn engine(activation: Activation, config: SparsityConfig) -> SparseInferenceEngine {
        let (w1, b1, w2, activation) = power_law(activation);
        let b2 = vec![0.25; SHAPE[2]];
        let weights = FfnWeights { shape: SHAPE, w1: &w1, b1: &b1, activation, w2: &w2, b2: &b2 };
        SparseInferenceEngine::from_weights(&weights, config).unwrap()
    }

    fn samples(n: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut noise = Noise(seed);
        (0..n).map(|_| noise.vector(SHAPE[0])).collect()
    }

    /// Of a layer with a tenth of its neurons active, a fifth holds nearly all of them; the method
    /// that sees less of the weights finds fewer.
    #[test]
    fn a_fifth_of_the_neurons_holds_the_active_tenth() {
        let config = SparsityConfig::with_target_sparsity(0.8).unwrap();
        let mut engine = engine(Activation::Relu, config);
        let before = engine.evaluate(Method::Tier0, &samples(40, 9)).unwrap();
        let calibration = engine.calibrate(&samples(500, 8)).unwrap();
        assert_eq!(calibration.methods.len(), 3);
        let fresh = samples(40, 9);
        let tier0 = engine.evaluate(Method::Tier0, &fresh).unwrap();
        let low_rank = engine.evaluate(Method::LowRank, &fresh).unwrap();
        println!("{before:?} {tier0:?} {low_rank:?}");
        assert!((0.05..0.15).contains(&tier0.active), "{tier0:?}");
        assert!(tier0.computed <= 0.21 && tier0.recall >= 0.97, "{tier0:?}");
        assert!(low_rank.computed <= 0.21 && low_rank.recall >= 0.9, "{low_rank:?}");
        assert!(before.recall < tier0.recall, "{before:?}");
        // Chance would be a fifth.
        assert_eq!(engine.evaluate(Method::Dense, &fresh).unwrap().recall, 1.0);
    }

    /// The outputs of every method are those of the dense layer, nearly.
    #[test]
    fn what_is_left_out_does_not_show() {
        let config = SparsityConfig::with_threshold(0.0).unwrap();
        let mut engine = engine(Activation::Relu, config);
        engine.calibrate(&samples(500, 8)).unwrap();
        for x in samples(10, 9) {
            engine.set_method(Method::Dense);
            let dense = engine.infer(&x).unwrap();
            for method in [Method::Tier0, Method::LowRank] {
                engine.set_method(method);
                let y = engine.infer(&x).unwrap();
                let norm = |v: &mut dyn Iterator<Item = f32>| v.map(|v| v * v).sum::<f32>().sqrt();
                let error = norm(&mut y.iter().zip(&dense).map(|(a, b)| a - b));
                let size = norm(&mut dense.iter().copied());
                assert!(error < 0.03 * size, "{method}: {error} of {size}");
            }
        }
        let statistics = engine.sparsity_statistics();
        assert_eq!((statistics.inferences, statistics.neurons), (30, SHAPE[1]));
        assert_eq!(statistics.max_active, SHAPE[1]);
        assert!(statistics.min_active < 128 && statistics.bytes_read < statistics.dense_bytes);
        assert!(statistics.recall.is_some());
    }

    /// Without zeros there is nothing to fit, and the largest contributions are what counts.
    #[test]
    fn other_activations_keep_tier_0() {
        let config = SparsityConfig::with_top_k(64);
        let mut engine = engine(Activation::Silu, config);
        let calibration = engine.calibrate(&samples(60, 8)).unwrap();
        assert_eq!((calibration.rank, calibration.methods.len()), (None, 2));
        let (tier0, _) = calibration.methods[1];
        assert_eq!((tier0.method, tier0.computed), (Method::Tier0, 0.25));
        assert!(tier0.recall > 0.8, "{tier0:?}");
    }

    #[test]
    fn samples_that_are_too_few_or_no_inputs() {
        let mut engine = engine(Activation::Relu, SparsityConfig::ALL);
        let error = engine.calibrate(&samples(19, 1)).unwrap_err();
        assert_eq!(error, EngineError::Samples { expected: 20, found: 19 });
        let mut wrong = samples(20, 1);
        wrong[7].pop();
        let error = engine.calibrate(&wrong).unwrap_err();
        assert_eq!(error, EngineError::Length { part: "sample", expected: 64, found: 63 });
        wrong[7].push(f32::NAN);
        let error = engine.calibrate(&wrong).unwrap_err();
        assert_eq!(error, EngineError::NotFinite { part: "sample", index: 63 });
    }
}
