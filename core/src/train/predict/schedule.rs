//! Which phase a step is in.

use super::config::DeterministicPhaseConfig;
use crate::error::{ArgumentError, check_values};
use heapless::Deque;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeterministicPhase {
    /// A gradient is computed; nothing has been predicted yet.
    Warmup,
    /// A gradient is computed.
    Full,
    /// The gradient is predicted: no backward pass.
    Predict,
    /// A gradient is computed amid the Predict phase, and the prediction for it judged.
    Correct,
}

impl DeterministicPhase {
    /// Whether the step needs a backward pass.
    pub const fn needs_backward(self) -> bool {
        !matches!(self, Self::Predict)
    }
}

/// Losses that the adaptive rule looks at, and how many it takes the mean of at either end.
const LOSSES: usize = 100;
const ENDS: usize = 10;

/// Warmup, then cycles of Full and Predict, with Correct steps amid Predict.
///
/// *Corrections*: the first of a cycle comes after one predicted step, the next after two, and so on to
/// `correct_every − 1`, so that the way without a gradient gets longer only as shorter ones are
/// confirmed.
///
/// The *gate* is the caller's word that predictions agree with gradients. Closed at the end of Full,
/// Full begins anew; closed at a Correct step, the cycle ends there.
///
/// *Adaptive*: at the end of a Predict phase the mean of the last 10 losses is compared with that of
/// the first 10 of the last 100. Worse than early·(1 + threshold): Full grows by 2, to at most 30,
/// Predict shrinks by 5, to at least 5. Better than 0.95·early: Full shrinks by 1, to at least 3, and
/// Predict grows by 3, to at most 50. A configured length beyond such a bound takes its place, and
/// Predict never gets shorter than `correct_every`. Without 20 losses nothing moves.
#[derive(Clone, Debug)]
pub struct PhaseSchedule {
    config: DeterministicPhaseConfig,
    full_steps: u32,
    predict_steps: u32,
    phase: DeterministicPhase,
    /// Steps of Warmup, Full or Predict that are done.
    position: u32,
    /// Predicted steps since the last gradient, and how many there may be before the next.
    blind: u32,
    reach: u32,
    losses: Deque<f32, LOSSES>,
}

impl PhaseSchedule {
    /// The start of Warmup.
    ///
    /// # Errors
    /// Those of [`DeterministicPhaseConfig::check`].
    pub fn new(config: DeterministicPhaseConfig) -> Result<Self, ArgumentError> {
        config.check()?;
        Ok(Self {
            config,
            full_steps: config.full_steps,
            predict_steps: config.predict_steps,
            phase: DeterministicPhase::Warmup,
            position: 0,
            blind: 0,
            reach: 0,
            losses: Deque::new(),
        })
    }

    /// The phase of the step at hand.
    pub const fn phase(&self) -> DeterministicPhase {
        self.phase
    }

    /// The lengths of Full and Predict, as the losses have moved them.
    pub const fn lengths(&self) -> (u32, u32) {
        (self.full_steps, self.predict_steps)
    }

    /// Goes on to the next step; `loss` is that of the step done, where it is known.
    ///
    /// # Errors
    /// [`ArgumentError::NotFinite`] for the loss; the schedule stays at its step.
    pub fn advance(&mut self, loss: Option<f32>, gate_open: bool) -> Result<(), ArgumentError> {
        if let Some(loss) = loss {
            check_values(&[loss])?;
            if self.losses.is_full() {
                self.losses.pop_front();
            }
            // There is room, so it is not refused.
            let _ = self.losses.push_back(loss);
        }
        self.position += 1;
        let begin = |schedule: &mut Self, phase| {
            schedule.phase = phase;
            schedule.position = 0;
        };
        match self.phase {
            DeterministicPhase::Warmup if self.position >= self.config.warmup_steps => {
                begin(self, DeterministicPhase::Full);
            }
            DeterministicPhase::Warmup => {}
            DeterministicPhase::Full if self.position >= self.full_steps => {
                (self.blind, self.reach) = (0, 0);
                let next = if gate_open { self.predicted() } else { DeterministicPhase::Full };
                begin(self, next);
            }
            DeterministicPhase::Full => {}
            DeterministicPhase::Correct if !gate_open => begin(self, DeterministicPhase::Full),
            DeterministicPhase::Predict | DeterministicPhase::Correct => {
                if self.position >= self.predict_steps {
                    self.adapt();
                    begin(self, DeterministicPhase::Full);
                } else {
                    self.phase = self.predicted();
                }
            }
        }
        Ok(())
    }

    /// The next phase within the Predict phase.
    const fn predicted(&mut self) -> DeterministicPhase {
        if self.blind == 0 && self.reach + 1 < self.config.correct_every {
            self.reach += 1;
        }
        if self.blind < self.reach {
            self.blind += 1;
            DeterministicPhase::Predict
        } else {
            self.blind = 0;
            DeterministicPhase::Correct
        }
    }

    fn adapt(&mut self) {
        if !self.config.adaptive_phases || self.losses.len() < 2 * ENDS {
            return;
        }
        let early = self.losses.iter().take(ENDS).sum::<f32>() / ENDS as f32;
        let late = self.losses.iter().rev().take(ENDS).sum::<f32>() / ENDS as f32;
        let config = &self.config;
        if late > early + config.loss_increase_threshold * early.abs() {
            let least = config.predict_steps.min(5).max(config.correct_every);
            self.full_steps = (self.full_steps + 2).min(config.full_steps.max(30));
            self.predict_steps = self.predict_steps.saturating_sub(5).max(least);
        } else if late < early - 0.05 * early.abs() {
            self.full_steps = (self.full_steps - 1).max(config.full_steps.min(3));
            self.predict_steps = (self.predict_steps + 3).min(config.predict_steps.max(50));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// The phases of so many steps, as letters.
    fn letters(schedule: &mut PhaseSchedule, steps: usize, gate: impl Fn(usize) -> bool) -> String {
        let step = |i| {
            let letter = match schedule.phase() {
                DeterministicPhase::Warmup => 'w',
                DeterministicPhase::Full => 'F',
                DeterministicPhase::Predict => '.',
                DeterministicPhase::Correct => 'C',
            };
            schedule.advance(None, gate(i)).unwrap();
            letter
        };
        (0..steps).map(step).collect()
    }

    fn config() -> DeterministicPhaseConfig {
        let default = DeterministicPhaseConfig::default();
        DeterministicPhaseConfig {
            warmup_steps: 3,
            full_steps: 2,
            predict_steps: 7,
            correct_every: 3,
            ..default
        }
    }

    #[test]
    fn phases_follow_each_other_and_a_closed_gate_ends_them() {
        let new = || PhaseSchedule::new(config()).unwrap();
        assert_eq!(letters(&mut new(), 22, |_| true), "wwwFF.C..C..FF.C..C..F");
        assert_eq!(letters(&mut new(), 10, |_| false), "wwwFFFFFFF");
        // Closed at the second correction; closed between corrections it does not matter.
        assert_eq!(letters(&mut new(), 15, |i| i != 9 && i != 5), "wwwFF.C..CFF.C.");
        let every = DeterministicPhaseConfig { correct_every: 1, ..config() };
        let mut every = PhaseSchedule::new(every).unwrap();
        assert_eq!(letters(&mut every, 14, |_| true), "wwwFFCCCCCCCFF");
        let far = DeterministicPhaseConfig { correct_every: 5, predict_steps: 22, ..config() };
        let mut far = PhaseSchedule::new(far).unwrap();
        assert_eq!(letters(&mut far, 28, |_| true), "wwwFF.C..C...C....C....C...F");
    }

    #[test]
    fn losses_move_the_lengths_within_their_bounds() {
        let run = |slope: f32, adaptive_phases: bool| {
            let default = DeterministicPhaseConfig::default();
            let config = DeterministicPhaseConfig { adaptive_phases, ..default };
            let mut schedule = PhaseSchedule::new(config).unwrap();
            let mut loss = 1000.0;
            for _ in 0..2000 {
                loss += slope;
                schedule.advance(Some(loss), true).unwrap();
            }
            schedule.lengths()
        };
        assert_eq!(run(-4.0, true), (3, 50));
        assert_eq!(run(50.0, true), (30, 5));
        assert_eq!(run(0.0, true), (5, 20));
        assert_eq!(run(-4.0, false), (5, 20));
    }

    #[test]
    fn a_loss_that_is_no_number_is_refused() {
        let mut schedule = PhaseSchedule::new(config()).unwrap();
        let error = schedule.advance(Some(f32::NAN), true).unwrap_err();
        assert_eq!(error, ArgumentError::NotFinite { index: 0 });
        assert_eq!(letters(&mut schedule, 4, |_| true), "wwwF");
    }
}
