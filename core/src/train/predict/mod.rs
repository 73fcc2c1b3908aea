//! Gradient prediction: steps without a backward pass, while they agree with the gradients.
//!
//! | type | what it is |
//! |---|---|
//! | [`DeterministicPhaseTrainer`] | phases, predictor, gate and statistics: what a training loop asks |
//! | [`DeterministicPredictor`] | the least-squares line, shrunk by its noise |
//! | [`PhaseSchedule`] | Warmup → Full → Predict → Correct by itself |
//! | [`GradientPredictor`] | the plain moving average, to compare with |
//!
//! Measured against SGD and momentum in `docs/training.md`.

mod config;
mod fit;
mod momentum;
mod predictor;
mod schedule;
mod trainer;

pub use config::DeterministicPhaseConfig;
pub use fit::Line;
pub use momentum::GradientPredictor;
pub use predictor::{Agreement, DeterministicPredictor, PredictorConfig, TensorMoments};
pub use schedule::{DeterministicPhase, PhaseSchedule};
pub use trainer::{DeterministicPhaseTrainer, DeterministicStepInfo, DeterministicTrainerStats};
