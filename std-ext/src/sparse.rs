//! Feed-forward layers that compute only the neurons that matter, as an engine of its own: weights
//! as floats in, vectors in and out.
//!
//! ```text
//! y = b2 + Σ_i act(w1[i]·x + b1[i]) · w2[:, i]
//! ```
//!
//! Weights are quantised to nested digit planes, groups of 32. A predictor names the neurons that
//! will matter, and only these are computed, at Bit7; where that is not faster on this machine the
//! engine computes every neuron instead.
//!
//! ```
//! use trilane_core::lane::PrecisionLane;
//! use trilane_core::nn::{Activation, SparsityConfig};
//! use trilane_core::pi::PiContext;
//! use trilane_std::sparse::{FfnWeights, SparseInferenceEngine};
//!
//! // A layer of 8 inputs, 64 neurons and 4 outputs
//! let w1: Vec<f32> = (0..64 * 8).map(|i| (i as f32 * 0.7).sin()).collect();
//! let w2: Vec<f32> = (0..4 * 64).map(|i| (i as f32 * 1.3).cos()).collect();
//! let weights = FfnWeights {
//!     shape: [8, 64, 4],
//!     w1: &w1,
//!     b1: &[-1.0; 64],
//!     activation: Activation::Relu,
//!     w2: &w2,
//!     b2: &[0.0; 4],
//! };
//! let config = SparsityConfig::with_threshold(0.0)?;
//! let mut engine = SparseInferenceEngine::from_weights(&weights, config)?;
//!
//! // Fit the predictors to what the layer will see
//! let sample = |n: usize| (0..8).map(|i| ((n * 8 + i * i) as f32).sin()).collect();
//! let samples: Vec<Vec<f32>> = (0..50).map(sample).collect();
//! let calibration = engine.calibrate(&samples)?;
//! println!("{} from now on", calibration.method);
//!
//! // Run inference
//! let output = engine.infer(&samples[0])?;
//! let statistics = engine.sparsity_statistics();
//! println!("{:.0}% active", 100.0 * statistics.average_active_ratio);
//!
//! // Check quantization honesty: what Bit5 would make of the output
//! let pi_ctx = PiContext::new(PrecisionLane::Bit5)?;
//! let largest = output.iter().fold(0.0f32, |max, y| max.max(y.abs()));
//! let original: Vec<f32> = output.iter().map(|y| y / largest).collect();
//! let quantized: Result<Vec<f32>, _> = original.iter().map(|&y| pi_ctx.calibrate(y)).collect();
//! let honesty = pi_ctx.check_honesty(&original, &quantized?)?;
//! if !honesty.is_honest {
//!     // Escalate to higher precision lane
//! }
//! # assert!(honesty.is_honest);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calibration;
mod engine;
mod error;
mod layer;
mod matrix;
mod prediction;
mod statistics;

pub use calibration::{Calibration, Evaluation};
pub use engine::{FfnWeights, Method, SparseInferenceEngine};
pub use error::EngineError;
pub use statistics::SparsityStatistics;
