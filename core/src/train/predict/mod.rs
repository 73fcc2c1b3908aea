//! Gradient prediction: steps without a backward pass, while they agree with the gradients.
//!
//! | type | what it is |
//! |---|---|
//! | [`DeterministicPhaseTrainer`] | phases, predictor, gate and statistics: what a training loop asks |
//! | [`DeterministicPredictor`] | the least-squares line, shrunk by its noise |
//! | [`TensorLines`] | the same but for the state of the parameters, for a device that has it |
//! | [`PhaseSchedule`] | Warmup → Full → Predict → Correct by itself |
//! | [`GradientPredictor`] | the plain moving average, to compare with |
//!
//! Measured against SGD and momentum in `docs/training.md`.

mod config;
mod fit;
mod lines;
mod momentum;
mod predictor;
mod reliance;
mod schedule;
mod trainer;

pub use config::DeterministicPhaseConfig;
pub use fit::Line;
pub use lines::{Agreement, ChunkSums, LineUpdate, PredictorConfig, TensorLines, TensorMoments};
pub use momentum::GradientPredictor;
pub use predictor::DeterministicPredictor;
pub use schedule::{DeterministicPhase, PhaseSchedule};
pub use trainer::{DeterministicPhaseTrainer, DeterministicStepInfo, DeterministicTrainerStats};
