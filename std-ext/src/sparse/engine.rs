//! The engine: weights in, vectors in and out, and which way of computing is the fastest here.

use super::error::check;
use super::layer::{Layer, Predictors, Scratch, Way};
use super::statistics::Counters;
use super::{EngineError, SparsityStatistics};
use crate::level;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use trilane_core::digits::{MAX_COLS, MatrixError};
use trilane_core::kernel::Level;
use trilane_core::nn::{Activation, Selection, SparseReads, SparsityConfig};

/// The weights of a plain feed-forward layer as floats, borrowed while they are quantised.
#[derive(Clone, Copy, Debug)]
pub struct FfnWeights<'a> {
    /// Values of an input, neurons, values of an output.
    pub shape: [usize; 3],
    /// hidden × input, by row.
    pub w1: &'a [f32],
    /// hidden values.
    pub b1: &'a [f32],
    /// The function of the hidden layer.
    pub activation: Activation,
    /// output × hidden, by row.
    pub w2: &'a [f32],
    /// output values.
    pub b2: &'a [f32],
}

/// How an engine computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Every neuron.
    Dense,
    /// The neurons that tier 0 of the first matrix predicts; with margins, once calibrated.
    Tier0,
    /// The neurons that a fitted map of low rank predicts.
    LowRank,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dense => "dense",
            Self::Tier0 => "tier 0",
            Self::LowRank => "low rank",
        })
    }
}

/// A feed-forward layer that computes only the neurons that matter, where that is faster.
///
/// The engine computes with the [`Method`] that was the fastest on this machine when it was made or
/// calibrated. The choice depends on the machine; what a method computes does not: sums are Exact,
/// the rest is Ordered. [`set_method`](Self::set_method) makes the choice the caller's.
///
/// ```
/// use trilane_std::sparse::SparseInferenceEngine;
///
/// // Create sparse inference engine: a tenth of the neurons
/// let engine = SparseInferenceEngine::new_sparse(512, 2048, 512, 0.1)?;
///
/// // Run inference
/// let input = vec![0.1f32; 512];
/// let output = engine.infer(&input)?;
/// assert_eq!(output.len(), 512);
/// assert_eq!(engine.sparsity_statistics().inferences, 1);
/// # Ok::<(), trilane_std::sparse::EngineError>(())
/// ```
pub struct SparseInferenceEngine {
    pub(super) layer: Layer,
    pub(super) predictors: Predictors,
    pub(super) config: SparsityConfig,
    pub(super) method: Method,
    pub(super) recall: Option<f64>,
    pub(super) level: Level,
    /// Memory of inferences that have ended, for the next.
    scratch: Mutex<Vec<Scratch>>,
    pub(super) counters: Mutex<Counters>,
}

/// Rounds in which every method is timed in turn.
const ROUNDS: usize = 9;

impl SparseInferenceEngine {
    /// A layer of pseudorandom weights, the same on every machine, with SiLU, that computes the
    /// share `active` (0 to 1) of its neurons: for trying out.
    ///
    /// # Errors
    /// [`EngineError::Selection`] for a share outside 0..=1, [`EngineError::Matrix`] for a
    /// dimension of 0 or a row that is too long.
    pub fn new_sparse(
        input: usize,
        hidden: usize,
        output: usize,
        active: f32,
    ) -> Result<Self, EngineError> {
        Self::random([input, hidden, output], SparsityConfig::new(Selection::Share(active))?)
    }

    /// As [`new_sparse`](Self::new_sparse), with every neuron computed.
    ///
    /// # Errors
    /// [`EngineError::Matrix`] for a dimension of 0 or a row that is too long.
    pub fn new_dense(input: usize, hidden: usize, output: usize) -> Result<Self, EngineError> {
        Self::random([input, hidden, output], SparsityConfig::ALL)
    }

    fn random(shape: [usize; 3], config: SparsityConfig) -> Result<Self, EngineError> {
        let [input, hidden, output] = shape;
        // A row of either matrix.
        if input > MAX_COLS || hidden > MAX_COLS || hidden.checked_mul(output).is_none() {
            return Err(MatrixError::Size { rows: hidden, cols: input }.into());
        }
        let mut state = 0u64;
        // Steele and Vigna's SplitMix64; uniform with variance 1/n for rows of n.
        let mut uniform = |len: usize, n: usize| -> Vec<f32> {
            let width = libm::sqrtf(3.0 / n.max(1) as f32);
            let next = |_| {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
            };
            (0..len).map(next).map(|v| v * width).collect()
        };
        let (w1, w2) = (uniform(hidden * input, input), uniform(output * hidden, hidden));
        let (b1, b2) = (vec![0.0; hidden], vec![0.0; output]);
        let activation = Activation::Silu;
        let weights = FfnWeights { shape, w1: &w1, b1: &b1, activation, w2: &w2, b2: &b2 };
        Self::from_weights(&weights, config)
    }

    /// A layer of these weights. Before [`calibrate`](Self::calibrate), tier 0 is the predictor.
    ///
    /// Memory: 1.9 bytes a weight of the second matrix, which is kept by neuron and by output, and
    /// 0.95 of the first.
    ///
    /// # Errors
    /// [`EngineError`]: a length that does not match, a value that is not finite, a dimension of 0.
    pub fn from_weights(
        weights: &FfnWeights<'_>,
        config: SparsityConfig,
    ) -> Result<Self, EngineError> {
        let layer = Layer::new(weights)?;
        let dim = layer.dim();
        let mut engine = Self {
            layer,
            predictors: Predictors::default(),
            config,
            method: Method::Dense,
            recall: None,
            level: level::detect(),
            scratch: Mutex::default(),
            counters: Mutex::default(),
        };
        let sample: Vec<f32> = (0..dim).map(|i| libm::sinf(i as f32)).collect();
        engine.choose_fastest(&[&sample])?;
        Ok(engine)
    }

    /// `y = b2 + Σ_i act(w1[i]·x + b1[i]) · w2[:, i]` over the neurons that are predicted to matter,
    /// or over all.
    ///
    /// # Errors
    /// [`EngineError::Length`] for an input of another length, [`EngineError::NotFinite`] for NaN or
    /// infinity in it, [`EngineError::Linear`] where a sum overflows.
    pub fn infer(&self, input: &[f32]) -> Result<Vec<f32>, EngineError> {
        check("input", self.layer.dim(), input)?;
        let kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_else(|| Scratch::new(&self.layer));
        let mut y = vec![0.0; self.layer.outputs()];
        let reads = self.run(self.method, input, &mut scratch, &mut y);
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).add(reads?);
        Ok(y)
    }

    /// As [`infer`](Self::infer) for several inputs, with the feature `parallel` on as many threads
    /// as rayon has. The results are those of one at a time.
    ///
    /// # Errors
    /// The error of the first input that has one.
    pub fn infer_batch(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        crate::rows::for_each_row(inputs.len(), |i| {
            // The rows are those of the inputs.
            self.infer(inputs.get(i).map_or(&[], Vec::as_slice))
        })
    }

    /// What has been computed and read since the engine was made or calibrated.
    pub fn sparsity_statistics(&self) -> SparsityStatistics {
        let counters = *self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.statistics(self.layer.hidden(), self.method, self.recall)
    }

    /// How the engine computes.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Chooses neurons in another way; the method stays as it is.
    pub fn set_config(&mut self, config: SparsityConfig) {
        self.config = config;
    }

    /// Makes the engine compute that way, faster or not; without calibration, `LowRank` is `Tier0`.
    pub fn set_method(&mut self, method: Method) {
        self.method = match method {
            Method::LowRank if self.predictors.low_rank.is_none() => Method::Tier0,
            method => method,
        };
    }

    pub(super) fn run(
        &self,
        method: Method,
        x: &[f32],
        scratch: &mut Scratch,
        y: &mut [f32],
    ) -> Result<SparseReads, EngineError> {
        let way = Way { method, predictors: &self.predictors, config: self.config };
        self.layer.run(self.level, way, x, scratch, y)
    }

    /// Times every method there is on the samples, in turn, and takes the fastest; the medians of
    /// an inference.
    pub(super) fn choose_fastest(
        &mut self,
        samples: &[&[f32]],
    ) -> Result<Vec<(Method, Duration)>, EngineError> {
        let mut methods = vec![Method::Dense];
        if self.config.selection() != Selection::All {
            methods.push(Method::Tier0);
            methods.extend(self.predictors.low_rank.as_ref().map(|_| Method::LowRank));
        }
        let mut times = vec![Vec::new(); methods.len()];
        let mut scratch = Scratch::new(&self.layer);
        let mut y = vec![0.0; self.layer.outputs()];
        for _ in 0..ROUNDS {
            for (&method, times) in methods.iter().zip(&mut times) {
                for x in samples {
                    let start = Instant::now();
                    self.run(method, x, &mut scratch, &mut y)?;
                    times.push(start.elapsed());
                }
            }
        }
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        let times: Vec<(Method, Duration)> =
            methods.into_iter().zip(times.into_iter().map(median)).collect();
        if let Some((method, _)) = times.iter().min_by_key(|(_, time)| *time) {
            self.method = *method;
        }
        Ok(times)
    }
}

impl fmt::Debug for SparseInferenceEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = [self.layer.dim(), self.layer.hidden(), self.layer.outputs()];
        f.debug_struct("SparseInferenceEngine")
            .field("shape", &shape)
            .field("config", &self.config)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// `max(x0, 0)·(1, 2, 3) + max(x1 − 1, 0)·(0, 0, 1) + (0, 0, 5)`.
    fn small(w1: &[f32]) -> Result<SparseInferenceEngine, EngineError> {
        let weights = FfnWeights {
            shape: [2, 2, 3],
            w1,
            b1: &[0.0, -1.0],
            activation: Activation::Relu,
            w2: &[1.0, 0.0, 2.0, 0.0, 3.0, 1.0],
            b2: &[0.0, 0.0, 5.0],
        };
        SparseInferenceEngine::from_weights(&weights, SparsityConfig::with_threshold(0.0)?)
    }

    #[test]
    fn inputs_and_outputs_may_differ_in_length() {
        let mut engine = small(&[1.0, 0.0, 0.0, 1.0]).unwrap();
        for (x, expected) in [
            ([2.0, 2.0], [2.0, 4.0, 12.0]),
            ([-2.0, 3.0], [0.0, 0.0, 7.0]),
            ([-1.0, -1.0], [0.0, 0.0, 5.0]),
        ] {
            for method in [Method::Dense, Method::Tier0] {
                engine.set_method(method);
                for (y, e) in engine.infer(&x).unwrap().into_iter().zip(expected) {
                    assert!((y - e).abs() < 0.15, "{method} {x:?}: {y}, expected {e}");
                }
            }
        }
    }

    #[test]
    fn wrong_weights_inputs_and_shares_are_refused() {
        let length = |part, expected, found| EngineError::Length { part, expected, found };
        assert_eq!(small(&[1.0; 3]).unwrap_err(), length("w1", 4, 3));
        let nan = small(&[1.0, f32::NAN, 1.0, 1.0]).unwrap_err();
        assert_eq!(nan, EngineError::NotFinite { part: "w1", index: 1 });
        let engine = small(&[1.0; 4]).unwrap();
        assert_eq!(engine.infer(&[1.0]).unwrap_err(), length("input", 2, 1));
        let infinite = engine.infer(&[1.0, f32::INFINITY]).unwrap_err();
        assert_eq!(infinite, EngineError::NotFinite { part: "input", index: 1 });
        assert_eq!(engine.sparsity_statistics().inferences, 0);
        let new = SparseInferenceEngine::new_sparse;
        assert!(matches!(new(8, 8, 8, 1.5), Err(EngineError::Selection(_))));
        assert!(matches!(new(8, 0, 8, 0.5), Err(EngineError::Matrix(_))));
    }

    #[test]
    fn a_batch_is_one_at_a_time() {
        let engine = SparseInferenceEngine::new_sparse(70, 100, 30, 0.3).unwrap();
        let input = |n: usize| (0..70).map(|i| ((i * n) as f32).cos()).collect::<Vec<f32>>();
        let inputs: Vec<Vec<f32>> = (1..6).map(input).collect();
        let batch = engine.infer_batch(&inputs).unwrap();
        for (x, y) in inputs.iter().zip(&batch) {
            assert_eq!(&engine.infer(x).unwrap(), y);
        }
        let statistics = engine.sparsity_statistics();
        assert_eq!(statistics.inferences, 10);
        match engine.method() {
            Method::Dense => assert_eq!(statistics.average_active_ratio, 1.0),
            _ => assert_eq!(statistics.average_active_ratio, 0.3),
        }
        assert!(engine.infer_batch(&[vec![0.0; 69]]).is_err());
        let dense = SparseInferenceEngine::new_dense(70, 100, 30).unwrap();
        assert_eq!(dense.method(), Method::Dense);
    }
}
