//! The configuration of the phases.

use super::lines::PredictorConfig;
use crate::error::{ArgumentError, check_count, check_parameter};

/// When gradients are predicted, and from what.
///
/// ```
/// use trilane_core::error::ArgumentError;
/// use trilane_core::train::predict::DeterministicPhaseConfig;
/// let config = DeterministicPhaseConfig { correct_every: 0, ..Default::default() };
/// let found = ArgumentError::Count { name: "correct_every", least: 1, greatest: 20, actual: 0 };
/// assert_eq!(config.check(), Err(found));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeterministicPhaseConfig {
    /// Steps with a gradient before anything is predicted: 3 (fewer make no line with noise) to
    /// 1,000,000.
    pub warmup_steps: u32,
    /// Steps with a gradient in a cycle: 1 to 1,000,000.
    pub full_steps: u32,
    /// Steps of a cycle's Predict phase, corrections among them: 1 to 1,000,000.
    pub predict_steps: u32,
    /// At least every so many steps of the Predict phase have a gradient: 1 to `predict_steps`.
    pub correct_every: u32,
    /// Whether the losses move `full_steps` and `predict_steps` ([`super::PhaseSchedule`]).
    pub adaptive_phases: bool,
    /// The relative rise of the loss that counts as worse: 0 to 100.
    pub loss_increase_threshold: f32,
    /// Gradients that a window as long as the predictor's memory would hold: 3 to 1000.
    pub history_window: u32,
    /// The gradient predicted is that of so many steps after the last applied one, 1 to 16; 1 is the
    /// step at hand.
    pub prediction_horizon: u32,
    /// The weight of a gradient in that window against the next one: above 0, at most 1.
    pub history_decay: f32,
    /// The residual is added where its norm is above this share of the last gradient's: at least 0.
    pub residual_threshold: f32,
    /// The share of the residual that each new one replaces: 0 (none is kept, nor memory for it) to 1.
    pub residual_rate: f32,
    /// Predictions begin and go on while their mean cosine with the gradients, less its standard error,
    /// is at least this: −1 to 1.
    pub least_cosine: f32,
}

impl Default for DeterministicPhaseConfig {
    /// The published values but for 15 steps of warmup instead of 10, a correction every 4 steps instead
    /// of 5, no residual, and a gate at a cosine of 0.15: `docs/training.md` has what the others gave.
    fn default() -> Self {
        Self {
            warmup_steps: 15,
            full_steps: 5,
            predict_steps: 20,
            correct_every: 4,
            adaptive_phases: true,
            loss_increase_threshold: 0.1,
            history_window: 8,
            prediction_horizon: 1,
            history_decay: 0.95,
            residual_threshold: 0.1,
            residual_rate: 0.0,
            least_cosine: 0.15,
        }
    }
}

const MOST_STEPS: u32 = 1_000_000;

impl DeterministicPhaseConfig {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] or [`ArgumentError::Parameter`] for the first field outside its range.
    pub fn check(&self) -> Result<(), ArgumentError> {
        let counts = [
            ("warmup_steps", self.warmup_steps, 3, MOST_STEPS),
            ("full_steps", self.full_steps, 1, MOST_STEPS),
            ("predict_steps", self.predict_steps, 1, MOST_STEPS),
            ("correct_every", self.correct_every, 1, self.predict_steps),
            ("history_window", self.history_window, 3, 1000),
            ("prediction_horizon", self.prediction_horizon, 1, 16),
        ];
        for (name, actual, least, greatest) in counts {
            check_count(name, actual.into(), least.into(), greatest.into())?;
        }
        let threshold = self.loss_increase_threshold;
        check_parameter("loss_increase_threshold", threshold, 0.0, 100.0)?;
        check_parameter("history_decay", self.history_decay, f32::MIN_POSITIVE, 1.0)?;
        check_parameter("weight of the history", self.history_weight(), 1.6, 1000.0)?;
        check_parameter("residual_threshold", self.residual_threshold, 0.0, f32::MAX)?;
        check_parameter("residual_rate", self.residual_rate, 0.0, 1.0)?;
        check_parameter("least_cosine", self.least_cosine, -1.0, 1.0)
    }

    /// `Σ_{r<window} decay^r`.
    fn history_weight(&self) -> f32 {
        (0..self.history_window).fold(0.0, |sum, _| sum * self.history_decay + 1.0)
    }

    /// The predictor's part. Its memory fades by a constant factor and never ends, which takes no
    /// history of gradients; the factor is the one whose weights add up to those of the window,
    /// `1 − 1/Σ_{r<window} history_decay^r`: 0.851 by default.
    pub fn predictor(&self) -> PredictorConfig {
        PredictorConfig {
            decay: (1.0 - 1.0 / self.history_weight()).min(0.999),
            residual_rate: self.residual_rate,
            residual_threshold: self.residual_threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_range() {
        let default = DeterministicPhaseConfig::default();
        assert_eq!(default.check(), Ok(()));
        assert!((default.predictor().decay - 0.851_4).abs() < 1e-4);
        assert_eq!(DeterministicPhaseConfig { warmup_steps: 3, ..default }.check(), Ok(()));
        let count = |config: DeterministicPhaseConfig| match config.check() {
            Err(ArgumentError::Count { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        let parameter = |config: DeterministicPhaseConfig| match config.check() {
            Err(ArgumentError::Parameter { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        type Config = DeterministicPhaseConfig;
        assert_eq!(count(Config { warmup_steps: 2, ..default }), "warmup_steps");
        assert_eq!(count(Config { full_steps: 0, ..default }), "full_steps");
        assert_eq!(count(Config { predict_steps: 0, ..default }), "predict_steps");
        assert_eq!(count(Config { correct_every: 0, ..default }), "correct_every");
        assert_eq!(count(Config { correct_every: 21, ..default }), "correct_every");
        assert_eq!(count(Config { history_window: 2, ..default }), "history_window");
        assert_eq!(count(Config { prediction_horizon: 0, ..default }), "prediction_horizon");
        for bad in [f32::NAN, -0.1] {
            let config = Config { loss_increase_threshold: bad, ..default };
            assert_eq!(parameter(config), "loss_increase_threshold");
            assert_eq!(parameter(Config { history_decay: bad, ..default }), "history_decay");
            assert_eq!(parameter(Config { residual_rate: bad, ..default }), "residual_rate");
            let config = Config { residual_threshold: bad, ..default };
            assert_eq!(parameter(config), "residual_threshold");
        }
        assert_eq!(parameter(Config { history_decay: 0.0, ..default }), "history_decay");
        assert_eq!(parameter(Config { history_decay: 0.1, ..default }), "weight of the history");
        assert_eq!(parameter(Config { least_cosine: f32::NAN, ..default }), "least_cosine");
    }
}
