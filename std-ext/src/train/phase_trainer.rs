//! The phase trainer over candle tensors.

use super::TrainError;
use super::tensors::{Gradients, ParameterShapes};
use candle_core::Device;
use self_cell::{MutBorrow, self_cell};
use trilane_core::error::ArgumentError;
use trilane_core::train::predict::{
    self as core, DeterministicPhase, DeterministicPhaseConfig, DeterministicStepInfo,
    DeterministicTrainerStats, TensorMoments,
};

/// What the trainer of the core works in.
struct Memory {
    tensors: MutBorrow<Vec<TensorMoments>>,
    state: MutBorrow<Vec<f32>>,
}

type Inner<'a> = core::DeterministicPhaseTrainer<'a>;

self_cell!(
    /// The trainer of the core with its memory.
    pub(super) struct Owned {
        owner: Memory,
        #[covariant]
        dependent: Inner,
    }
);

impl Owned {
    /// A trainer of tensors of so many elements.
    pub(super) fn start(
        tensors: impl Iterator<Item = usize>,
        config: DeterministicPhaseConfig,
    ) -> Result<Self, ArgumentError> {
        config.check()?;
        let moments: Vec<_> = tensors.map(TensorMoments::new).collect();
        let parameters = moments.iter().map(TensorMoments::len).sum();
        let state = vec![0.0; Inner::state_len(parameters, &config)];
        let memory = Memory { tensors: MutBorrow::new(moments), state: MutBorrow::new(state) };
        Self::try_new(memory, |memory| {
            Inner::new(memory.tensors.borrow_mut(), memory.state.borrow_mut(), config)
        })
    }

    /// The trainer.
    pub(super) fn get(&self) -> &Inner<'_> {
        self.borrow_dependent()
    }

    /// The trainer, to change.
    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut Inner<'_>) -> T) -> T {
        self.with_dependent_mut(|_, trainer| change(trainer))
    }
}

/// Decides at every step whether the gradient is computed or predicted, and predicts it: the
/// [`DeterministicPhaseTrainer`](core::DeterministicPhaseTrainer) of the core, over candle tensors.
/// Ordered. Two floats of memory for each parameter.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use std::collections::BTreeMap;
/// use trilane_core::train::predict::{DeterministicPhase, DeterministicPhaseConfig};
/// use trilane_std::train::{DeterministicPhaseTrainer, Gradients};
/// # let device = Device::Cpu;
/// # let weight = Var::ones((8, 8), candle_core::DType::F32, &device)?;
/// # let compute_gradients = || -> candle_core::Result<(f32, Gradients)> {
/// #     let loss = weight.sqr()?.mean_all()?;
/// #     let gradients = loss.backward()?;
/// #     let gradient = gradients.get(&weight).unwrap().clone();
/// #     Ok((loss.to_scalar()?, BTreeMap::from([("layer1.weight".into(), gradient)])))
/// # };
/// # let apply = |gradients: &Gradients| -> candle_core::Result<()> {
/// #     weight.set(&(weight.as_tensor() - (&gradients["layer1.weight"] * 0.5)?)?)
/// # };
/// let shapes = vec![("layer1.weight".into(), vec![8, 8])];
/// let config = DeterministicPhaseConfig {
///     warmup_steps: 10,       // gradients before anything is predicted
///     full_steps: 5,          // computed in each cycle
///     predict_steps: 20,      // predicted in each cycle
///     correct_every: 5,       // but for one in so many
///     adaptive_phases: true,  // longer and shorter by the loss
///     ..Default::default()
/// };
/// let mut trainer = DeterministicPhaseTrainer::new(&shapes, config, &device)?;
/// for _ in 0..100 {
///     let info = trainer.begin_step();
///     let loss = match info.phase {
///         DeterministicPhase::Warmup | DeterministicPhase::Full | DeterministicPhase::Correct => {
///             let (loss, gradients) = compute_gradients()?;
///             trainer.record_full_gradients(&gradients)?;
///             apply(&gradients)?;
///             Some(loss)
///         }
///         DeterministicPhase::Predict => {
///             apply(&trainer.get_predicted_gradients()?)?; // no backward pass
///             None
///         }
///     };
///     trainer.end_step(loss)?;
/// }
/// let stats = trainer.get_stats();
/// println!(
///     "Speedup: {:.2}x ({} full, {} predicted)",
///     stats.speedup, stats.full_steps, stats.predicted_steps,
/// );
/// assert_eq!(stats.steps, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DeterministicPhaseTrainer {
    shapes: ParameterShapes,
    trainer: Owned,
}

impl DeterministicPhaseTrainer {
    /// A trainer of tensors of these names and shapes, at the start of Warmup.
    ///
    /// # Errors
    /// [`TrainError::Data`] for shapes that make no model, [`TrainError::Argument`] for a configuration
    /// that cannot work: a phase of no steps, a history too short for a line, NaN.
    pub fn new(
        shapes: &[(String, Vec<usize>)],
        config: DeterministicPhaseConfig,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let shapes = ParameterShapes::new(shapes, device)?;
        let trainer = Owned::start(shapes.tensors(), config)?;
        Ok(Self { shapes, trainer })
    }

    fn get(&self) -> &Inner<'_> {
        self.trainer.get()
    }

    /// What the step at hand is to do; the same until [`end_step`](Self::end_step).
    pub fn begin_step(&self) -> DeterministicStepInfo {
        self.get().begin_step()
    }

    /// Whether the step at hand computes its gradient.
    pub fn needs_backward(&self) -> bool {
        self.get().needs_backward()
    }

    /// [`needs_backward`](Self::needs_backward) by its other name.
    pub fn should_compute_full(&self) -> bool {
        self.needs_backward()
    }

    /// The phase of the step at hand.
    pub fn current_phase(&self) -> DeterministicPhase {
        self.get().current_phase()
    }

    /// Whether Warmup is over.
    pub fn warmup_complete(&self) -> bool {
        self.get().warmup_complete()
    }

    /// Takes in the gradients computed in the step at hand.
    ///
    /// # Errors
    /// [`TrainError::Missing`], [`TrainError::Shape`]; [`TrainError::Argument`] for NaN or infinity, a
    /// second gradient, or one in a Predict step.
    pub fn record_full_gradients(&mut self, gradients: &Gradients) -> Result<(), TrainError> {
        let flat = self.shapes.flatten(gradients)?;
        Ok(self.trainer.change(|trainer| trainer.record_full_gradients(&flat))?)
    }

    /// The gradients predicted for the step at hand.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn get_predicted_gradients(&self) -> Result<Gradients, TrainError> {
        let mut flat = vec![0.0; self.shapes.elements()];
        self.get().get_predicted_gradients(&mut flat)?;
        self.shapes.unflatten(&flat)
    }

    /// Ends the step; `loss` is its loss, or `None` where it is not known.
    ///
    /// # Errors
    /// [`TrainError::Argument`] when the step's gradients were not recorded, or for a loss that is NaN
    /// or infinite; the step has not ended then.
    pub fn end_step(&mut self, loss: impl Into<Option<f32>>) -> Result<(), TrainError> {
        let loss = loss.into();
        Ok(self.trainer.change(|trainer| trainer.end_step(loss))?)
    }

    /// What the steps so far have cost.
    pub fn get_stats(&self) -> DeterministicTrainerStats {
        self.get().get_stats()
    }

    /// Back to the start of Warmup, everything forgotten.
    ///
    /// # Errors
    /// None: the configuration has been checked.
    pub fn reset(&mut self) -> Result<(), TrainError> {
        Ok(self.trainer.change(|trainer| trainer.reset())?)
    }
}
