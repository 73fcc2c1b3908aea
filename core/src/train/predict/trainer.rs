//! What a training loop asks at every step.

use super::config::DeterministicPhaseConfig;
use super::lines::{Agreement, TensorMoments};
use super::predictor::DeterministicPredictor;
use super::reliance::Reliance;
use super::schedule::{DeterministicPhase, PhaseSchedule};
use crate::error::ArgumentError;

/// What a step is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeterministicStepInfo {
    /// Steps before this one.
    pub step: u64,
    /// The phase.
    pub phase: DeterministicPhase,
    /// Whether the gradient is computed, and not predicted.
    pub needs_backward: bool,
}

/// What the steps so far have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DeterministicTrainerStats {
    /// Steps ended.
    pub steps: u64,
    /// Of them, in Warmup and Full.
    pub full_steps: u64,
    /// Of them, in Correct.
    pub correct_steps: u64,
    /// Of them, in Predict.
    pub predicted_steps: u64,
    /// Forward passes: one for each backward pass, and one for each loss told in Predict.
    pub forward_passes: u64,
    /// Backward passes: the steps of Warmup, Full and Correct.
    pub backward_passes: u64,
    /// Steps for each backward pass; 1 before the first step. A count, not a time, and not how much
    /// sooner a loss is reached: that is in `docs/training.md`.
    pub speedup: f64,
}

/// How much of what was known of the agreement a new gradient leaves.
const AGREEMENT_DECAY: f64 = 0.9;

/// Decides at every step whether the gradient is computed or predicted, and predicts it.
///
/// **Trust.** Every computed gradient g is compared with the prediction p that would have stood in for
/// it, and `p·g`, `‖p‖²` and `‖g‖²` are added up, the older ones fading by 0.9. Their `p·g/‖p‖²` within
/// 0..=1 is what every prediction is multiplied by: the length at which it would have been closest to
/// the gradients.
///
/// **Gate.** Of the same comparisons the mean cosine is taken, every gradient counting the same, those
/// before fading by 0.9. Unless it is at least [`least_cosine`](DeterministicPhaseConfig::least_cosine)
/// by more than its standard error, steps stay Full, and a Correct step that finds it so ends the
/// phase. Where gradients are mostly noise, nothing is predicted and training is what it would have
/// been.
///
/// Ordered: the same gradients and losses give the same bits everywhere. Memory is the caller's:
/// [`state_len`](Self::state_len) f32, two for each parameter by default.
///
/// ```
/// use trilane_core::train::predict::{
///     DeterministicPhaseConfig, DeterministicPhaseTrainer, TensorMoments,
/// };
/// // ½ Σ λx², two tensors of two parameters each.
/// let curvatures = [1.0, 0.5, 0.2, 0.1];
/// let (mut x, mut velocity, mut gradient) = ([1.0f32; 4], [0.0f32; 4], [0.0f32; 4]);
/// let mut tensors = [TensorMoments::new(2), TensorMoments::new(2)];
/// let config = DeterministicPhaseConfig::default();
/// let mut state = [0.0; 8];
/// assert_eq!(state.len(), DeterministicPhaseTrainer::state_len(4, &config));
/// let mut trainer = DeterministicPhaseTrainer::new(&mut tensors, &mut state, config)?;
/// for _ in 0..100 {
///     let info = trainer.begin_step();
///     if info.needs_backward {
///         for i in 0..4 {
///             gradient[i] = curvatures[i] * x[i];
///         }
///         trainer.record_full_gradients(&gradient)?;
///     } else {
///         trainer.get_predicted_gradients(&mut gradient)?;
///     }
///     for i in 0..4 {
///         velocity[i] = 0.9 * velocity[i] + gradient[i];
///         x[i] -= 0.1 * velocity[i];
///     }
///     let loss: f32 = (0..4).map(|i| 0.5 * curvatures[i] * x[i] * x[i]).sum();
///     trainer.end_step(loss)?; // or `None` where no forward pass was run
/// }
/// let stats = trainer.get_stats();
/// assert_eq!(stats.steps, stats.full_steps + stats.correct_steps + stats.predicted_steps);
/// assert!(stats.speedup > 1.2, "{stats:?}");
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Debug)]
pub struct DeterministicPhaseTrainer<'a> {
    config: DeterministicPhaseConfig,
    predictor: DeterministicPredictor<'a>,
    schedule: PhaseSchedule,
    agreement: Agreement,
    reliance: Reliance,
    stats: DeterministicTrainerStats,
    recorded: bool,
}

impl<'a> DeterministicPhaseTrainer<'a> {
    /// The f32 of state that so many parameters need: two for each, three with a residual.
    pub fn state_len(parameters: usize, config: &DeterministicPhaseConfig) -> usize {
        DeterministicPredictor::state_len(parameters, &config.predictor())
    }

    /// A trainer at the start of Warmup. Shapes as in [`DeterministicPredictor::new`].
    ///
    /// # Errors
    /// Those of [`DeterministicPhaseConfig::check`] and [`DeterministicPredictor::new`].
    pub fn new(
        tensors: &'a mut [TensorMoments],
        state: &'a mut [f32],
        config: DeterministicPhaseConfig,
    ) -> Result<Self, ArgumentError> {
        let schedule = PhaseSchedule::new(config)?;
        let predictor = DeterministicPredictor::new(tensors, state, config.predictor())?;
        Ok(Self {
            config,
            predictor,
            schedule,
            agreement: Agreement::default(),
            reliance: Reliance::default(),
            stats: DeterministicTrainerStats { speedup: 1.0, ..Default::default() },
            recorded: false,
        })
    }

    /// What the step at hand is to do; the same until [`end_step`](Self::end_step).
    pub const fn begin_step(&self) -> DeterministicStepInfo {
        let phase = self.schedule.phase();
        let needs_backward = phase.needs_backward();
        DeterministicStepInfo { step: self.stats.steps, phase, needs_backward }
    }

    /// Whether the step at hand computes its gradient.
    pub const fn needs_backward(&self) -> bool {
        self.current_phase().needs_backward()
    }

    /// [`needs_backward`](Self::needs_backward) by its other name.
    pub const fn should_compute_full(&self) -> bool {
        self.needs_backward()
    }

    /// The phase of the step at hand.
    pub const fn current_phase(&self) -> DeterministicPhase {
        self.schedule.phase()
    }

    /// Whether Warmup is over.
    pub fn warmup_complete(&self) -> bool {
        self.current_phase() != DeterministicPhase::Warmup
    }

    /// Takes in the gradient computed in the step at hand: all tensors' elements one after another.
    ///
    /// # Errors
    /// Those of [`DeterministicPredictor::record`], and [`ArgumentError::Count`] for a second gradient
    /// or one in a Predict step; nothing has changed then.
    pub fn record_full_gradients(&mut self, gradients: &[f32]) -> Result<(), ArgumentError> {
        let most = i64::from(self.needs_backward());
        let actual = 1 + i64::from(self.recorded);
        if actual > most {
            return Err(ArgumentError::Count { name: GRADIENTS, least: 0, greatest: most, actual });
        }
        let judged = self.predictor.is_ready();
        let agreement = self.predictor.record(self.stats.steps, gradients)?;
        if judged {
            self.agreement = self.agreement.followed_by(&agreement, AGREEMENT_DECAY);
            self.reliance = self.reliance.followed_by(agreement.cosine());
        }
        self.recorded = true;
        Ok(())
    }

    /// The gradient predicted for the step at hand, times the trust. Zero before three gradients.
    ///
    /// # Errors
    /// [`ArgumentError::Length`].
    pub fn get_predicted_gradients(&self, gradients: &mut [f32]) -> Result<(), ArgumentError> {
        let step = self.stats.steps + u64::from(self.config.prediction_horizon - 1);
        self.predictor.predict_scaled(step, self.agreement.trust(), gradients)
    }

    /// Ends the step; `loss` is its loss, or `None` where it is not known.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] when the step's gradient was not recorded, [`ArgumentError::NotFinite`]
    /// for the loss; the step has not ended then.
    pub fn end_step(&mut self, loss: impl Into<Option<f32>>) -> Result<(), ArgumentError> {
        let (phase, loss) = (self.current_phase(), loss.into());
        if phase.needs_backward() && !self.recorded {
            return Err(ArgumentError::Count { name: GRADIENTS, least: 1, greatest: 1, actual: 0 });
        }
        self.schedule.advance(loss, self.gate_is_open())?;
        self.recorded = false;
        let stats = &mut self.stats;
        stats.steps += 1;
        match phase {
            DeterministicPhase::Warmup | DeterministicPhase::Full => stats.full_steps += 1,
            DeterministicPhase::Correct => stats.correct_steps += 1,
            DeterministicPhase::Predict => stats.predicted_steps += 1,
        }
        let backward = phase.needs_backward();
        stats.backward_passes += u64::from(backward);
        stats.forward_passes += u64::from(backward || loss.is_some());
        stats.speedup = stats.steps as f64 / stats.backward_passes.max(1) as f64;
        Ok(())
    }

    /// The faded sums of how predictions met gradients.
    pub const fn agreement(&self) -> Agreement {
        self.agreement
    }

    /// The mean cosine of predictions and gradients, less its standard error; −1 before the fifth
    /// gradient.
    pub fn cosine_bound(&self) -> f64 {
        self.reliance.bound()
    }

    /// Whether predictions agree with gradients well enough.
    pub fn gate_is_open(&self) -> bool {
        self.agreement.product > 0.0 && self.cosine_bound() >= f64::from(self.config.least_cosine)
    }

    /// What the steps so far have cost.
    pub const fn get_stats(&self) -> DeterministicTrainerStats {
        self.stats
    }

    /// Back to the start of Warmup, everything forgotten.
    ///
    /// # Errors
    /// None: the configuration has been checked.
    pub fn reset(&mut self) -> Result<(), ArgumentError> {
        self.schedule = PhaseSchedule::new(self.config)?;
        self.predictor.reset();
        self.agreement = Agreement::default();
        self.reliance = Reliance::default();
        self.stats = DeterministicTrainerStats { speedup: 1.0, ..Default::default() };
        self.recorded = false;
        Ok(())
    }
}

const GRADIENTS: &str = "gradients recorded in this step";

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn config() -> DeterministicPhaseConfig {
        DeterministicPhaseConfig { warmup_steps: 4, ..Default::default() }
    }

    /// Steps with the gradient that this gives; the gradients applied, and what it cost.
    fn drive(
        trainer: &mut DeterministicPhaseTrainer<'_>,
        steps: u64,
        gradient: impl Fn(u64) -> [f32; 3],
    ) -> Vec<[f32; 3]> {
        let step = |_| {
            let info = trainer.begin_step();
            let mut g = gradient(info.step);
            if info.needs_backward {
                trainer.record_full_gradients(&g).unwrap();
            } else {
                trainer.get_predicted_gradients(&mut g).unwrap();
            }
            trainer.end_step(1.0).unwrap();
            g
        };
        (0..steps).map(step).collect()
    }

    fn line(step: u64) -> [f32; 3] {
        let t = step as f32;
        [1.0 - 0.01 * t, 2.0 + 0.02 * t, -1.0]
    }

    #[test]
    fn a_line_is_predicted_and_the_passes_are_counted() {
        let mut tensors = [TensorMoments::new(2), TensorMoments::new(1)];
        let mut state = [0.0; 6];
        let mut trainer =
            DeterministicPhaseTrainer::new(&mut tensors, &mut state, config()).unwrap();
        assert!(!trainer.warmup_complete() && trainer.should_compute_full());
        let applied = drive(&mut trainer, 59, line);
        for (step, g) in applied.iter().enumerate() {
            let expected = line(step as u64);
            assert!(g.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{step}: {g:?}");
        }
        let stats = trainer.get_stats();
        // 4 + 5 full, 15 + 5 of Predict and Correct, 5 full, 15 + 5, 5 full.
        assert_eq!((stats.full_steps, stats.correct_steps, stats.predicted_steps), (19, 10, 30));
        assert_eq!((stats.forward_passes, stats.backward_passes), (59, 29));
        assert!((stats.speedup - 59.0 / 29.0).abs() < 1e-12 && trainer.warmup_complete());
        trainer.reset().unwrap();
        assert_eq!(drive(&mut trainer, 59, line), applied);
    }

    #[test]
    fn gradients_without_a_trend_are_never_predicted() {
        let noise = |step: u64| {
            let bit =
                |k: u64| if (step * 7 + k * 3).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            [bit(1), bit(2), bit(5)]
        };
        let mut tensors = [TensorMoments::new(3)];
        let mut state = [0.0; 6];
        let mut trainer =
            DeterministicPhaseTrainer::new(&mut tensors, &mut state, config()).unwrap();
        drive(&mut trainer, 300, noise);
        assert!(trainer.get_stats().predicted_steps < 30, "{:?}", trainer.get_stats());
        // Nor is a line whose sign changes at every step.
        trainer.reset().unwrap();
        let turning = |step: u64| line(step).map(|g| if step.is_multiple_of(2) { g } else { -g });
        drive(&mut trainer, 100, turning);
        assert_eq!(trainer.get_stats().predicted_steps, 0);
    }

    #[test]
    fn steps_out_of_order_are_refused() {
        let mut tensors = [TensorMoments::new(3)];
        let mut state = [0.0; 6];
        let mut trainer =
            DeterministicPhaseTrainer::new(&mut tensors, &mut state, config()).unwrap();
        let count = |least, greatest, actual| {
            Err(ArgumentError::Count { name: GRADIENTS, least, greatest, actual })
        };
        assert_eq!(trainer.end_step(1.0), count(1, 1, 0));
        trainer.record_full_gradients(&line(0)).unwrap();
        assert_eq!(trainer.record_full_gradients(&line(0)), count(0, 1, 2));
        assert_eq!(trainer.end_step(f32::NAN), Err(ArgumentError::NotFinite { index: 0 }));
        trainer.end_step(None).unwrap();
        drive(&mut trainer, 8, |step| line(step + 1));
        assert_eq!(trainer.current_phase(), DeterministicPhase::Predict);
        assert_eq!(trainer.record_full_gradients(&line(9)), count(0, 0, 1));
        trainer.end_step(None).unwrap();
        let stats = trainer.get_stats();
        assert_eq!((stats.steps, stats.forward_passes, stats.backward_passes), (10, 9, 9));
        let mut short = [0.0; 2];
        assert!(trainer.get_predicted_gradients(&mut short).is_err());
    }

    #[test]
    fn a_horizon_looks_further_ahead() {
        let config = DeterministicPhaseConfig { prediction_horizon: 5, ..config() };
        let mut tensors = [TensorMoments::new(3)];
        let mut state = vec![0.0; DeterministicPhaseTrainer::state_len(3, &config)];
        let mut trainer = DeterministicPhaseTrainer::new(&mut tensors, &mut state, config).unwrap();
        drive(&mut trainer, 9, line);
        let mut g = [0.0; 3];
        trainer.get_predicted_gradients(&mut g).unwrap();
        assert!(g.iter().zip(line(13)).all(|(a, b)| (a - b).abs() < 1e-3), "{g:?}");
    }
}
