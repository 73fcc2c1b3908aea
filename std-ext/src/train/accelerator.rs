//! Prediction, compression and accumulation behind one interface, for a training loop.

use super::tensors::{Gradients, ParameterShapes};
use super::{DeterministicPhaseTrainer, TrainError};
use crate::compress::Workers;
use candle_core::Device;
use std::fmt;
use trilane_core::train::compress::{SketchShape, TwoPhase};
use trilane_core::train::predict::{DeterministicPhaseConfig, DeterministicStepInfo};

/// The share of a message's words that are the sketch's.
const SKETCH_SHARE: f32 = 0.5;

/// What an accelerator does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VSAAcceleratorConfig {
    /// When gradients are predicted.
    pub phases: DeterministicPhaseConfig,
    /// The share of a gradient's words that its message takes, with error feedback; `None` keeps
    /// gradients whole.
    pub compression_ratio: Option<f32>,
    /// What the message's sketch is chosen by.
    pub seed: u64,
}

impl Default for VSAAcceleratorConfig {
    /// The default phases, gradients whole.
    fn default() -> Self {
        Self { phases: DeterministicPhaseConfig::default(), compression_ratio: None, seed: 42 }
    }
}

impl VSAAcceleratorConfig {
    /// Half of the steps predicted at most, and only where predictions agree well.
    #[must_use]
    pub fn conservative() -> Self {
        let phases = DeterministicPhaseConfig {
            full_steps: 10,
            predict_steps: 10,
            correct_every: 2,
            least_cosine: 0.6,
            ..DeterministicPhaseConfig::default()
        };
        Self { phases, ..Self::default() }
    }

    /// Longer phases of prediction, and messages of a tenth.
    #[must_use]
    pub fn aggressive() -> Self {
        let phases = DeterministicPhaseConfig {
            full_steps: 3,
            predict_steps: 40,
            correct_every: 10,
            ..DeterministicPhaseConfig::default()
        };
        Self { phases, compression_ratio: Some(0.1), ..Self::default() }
    }
}

/// A wrapper for a training loop: says when a backward pass is due, takes its gradients (through the
/// two-phase sketch with error feedback, where the configuration asks for it) and predicts the others.
/// Ordered.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use trilane_std::train::{Gradients, VSAAccelerator, VSAAcceleratorConfig};
/// # let device = Device::Cpu;
/// # let weight = Var::ones((16, 16), candle_core::DType::F32, &device)?;
/// # let apply = |gradients: &Gradients| -> candle_core::Result<()> {
/// #     weight.set(&(weight.as_tensor() - (&gradients["weight"] * 0.5)?)?)
/// # };
/// let trainable_params = vec![("weight".into(), vec![16, 16])];
/// let config = VSAAcceleratorConfig::default(); // or ::conservative(), ::aggressive()
/// let mut accel = VSAAccelerator::new(&trainable_params, config, &device)?;
/// for _batch in 0..100 {
///     let info = accel.begin_step();
///     let loss = weight.sqr()?.mean_all()?;
///     if info.needs_backward {
///         let gradients = loss.backward()?;
///         let gradients = Gradients::from([("weight".into(), gradients.get(&weight).unwrap().clone())]);
///         apply(&accel.record_gradients(&gradients)?)?;
///     } else {
///         apply(&accel.get_predicted_gradients()?)?;
///     }
///     accel.end_step(loss.to_scalar::<f32>()?)?;
/// }
/// println!("{}", accel.get_stats()); // VSA: 100 steps (… full, … predicted), …x speedup
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VSAAccelerator {
    shapes: ParameterShapes,
    trainer: DeterministicPhaseTrainer,
    /// One worker, whose messages go to itself.
    compression: Option<Workers>,
}

/// What an accelerator has done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VSAStats {
    /// Steps.
    pub total_steps: u64,
    /// Steps with a backward pass.
    pub full_steps: u64,
    /// Steps without.
    pub predicted_steps: u64,
    /// Steps for each backward pass: a count, not a time.
    pub speedup: f64,
}

impl fmt::Display for VSAStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total_steps, full_steps, predicted_steps, speedup } = self;
        write!(
            f,
            "VSA: {total_steps} steps ({full_steps} full, {predicted_steps} predicted), {speedup:.2}x speedup"
        )
    }
}

impl VSAAccelerator {
    /// A wrapper for tensors of these names and shapes.
    ///
    /// # Errors
    /// [`TrainError::Data`] for shapes that make no model, [`TrainError::Argument`] for a configuration
    /// that cannot work.
    pub fn new(
        shapes: &[(String, Vec<usize>)],
        config: VSAAcceleratorConfig,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let trainer = DeterministicPhaseTrainer::new(shapes, config.phases, device)?;
        let shapes = ParameterShapes::new(shapes, device)?;
        let parameters = shapes.elements();
        let compression = config.compression_ratio.map(|ratio| {
            let shape = SketchShape::with_ratio(parameters, ratio, SKETCH_SHARE)?;
            let codec = TwoPhase::new(parameters, shape, config.seed, vec![0; shape.candidates])?;
            Ok::<_, TrainError>(Workers::new(Box::new(codec), 1)?)
        });
        Ok(Self { shapes, trainer, compression: compression.transpose()? })
    }

    /// What the step at hand is to do.
    pub fn begin_step(&self) -> DeterministicStepInfo {
        self.trainer.begin_step()
    }

    /// Takes in the gradients of a step that has a backward pass; those to apply are returned: the same,
    /// or what their message tells.
    ///
    /// # Errors
    /// As [`DeterministicPhaseTrainer::record_full_gradients`].
    pub fn record_gradients(&mut self, gradients: &Gradients) -> Result<Gradients, TrainError> {
        let Some(workers) = &mut self.compression else {
            self.trainer.record_full_gradients(gradients)?;
            return Ok(gradients.clone());
        };
        let gradient = self.shapes.flatten(gradients)?;
        let mut told = vec![0.0; gradient.len()];
        workers.exchange(self.trainer.begin_step().step, &[gradient], &mut told)?;
        let told = self.shapes.unflatten(&told)?;
        self.trainer.record_full_gradients(&told)?;
        Ok(told)
    }

    /// The gradients predicted for a step without a backward pass.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn get_predicted_gradients(&self) -> Result<Gradients, TrainError> {
        self.trainer.get_predicted_gradients()
    }

    /// Ends the step; `loss` is its loss, or `None` where it is not known.
    ///
    /// # Errors
    /// As [`DeterministicPhaseTrainer::end_step`].
    pub fn end_step(&mut self, loss: impl Into<Option<f32>>) -> Result<(), TrainError> {
        self.trainer.end_step(loss)
    }

    /// What the steps so far have cost.
    pub fn get_stats(&self) -> VSAStats {
        let stats = self.trainer.get_stats();
        VSAStats {
            total_steps: stats.steps,
            full_steps: stats.backward_passes,
            predicted_steps: stats.predicted_steps,
            speedup: stats.speedup,
        }
    }
}
