//! When a lane is left for the next: a policy with hysteresis over measured signals.

use super::{LaneConfig, PrecisionLane};
use core::fmt;

/// Weight of the newest value in the smoothed novelty.
const SMOOTHING: f32 = 0.3;
/// Drift above this counts towards persistence.
const DRIFT: f32 = 0.1;
/// A step is stable when the smoothed novelty is below this share of the threshold.
const STABLE_SHARE: f32 = 0.5;
/// Stable steps in a row after which a lane is given up.
const STABLE_STEPS: u32 = 5;

/// Thresholds of a [`GraduationPolicy`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GraduationConfig {
    /// Smoothed novelty above which a lane is too low; above 0, at most 1.
    pub novelty_threshold: f32,
    /// Steps of drift in a row that are no chance; at least 1.
    pub drift_persistence_threshold: u32,
    /// Confidence in the measurements below which nothing escalates; 0..=1.
    pub confidence_threshold: f32,
    /// Share of the possible extra cost from which on nothing escalates; 0..=1.
    pub escalation_budget: f32,
}

impl Default for GraduationConfig {
    /// Novelty 0.3, 5 steps of drift, confidence 0.8, budget 0.2.
    fn default() -> Self {
        Self {
            novelty_threshold: 0.3,
            drift_persistence_threshold: 5,
            confidence_threshold: 0.8,
            escalation_budget: 0.2,
        }
    }
}

/// What is wrong with a configuration or a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GraduationError {
    /// A threshold or a measurement is outside its range.
    Range {
        /// Its name.
        what: &'static str,
        /// The value found.
        found: f32,
    },
    /// No step of drift is asked for.
    Persistence,
    /// A lane is outside those that the policy may choose.
    Lane {
        /// The lane.
        found: PrecisionLane,
        /// The lowest and the highest one.
        range: (PrecisionLane, PrecisionLane),
    },
}

impl fmt::Display for GraduationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Range { what, found } => write!(f, "{what}: expected 0 to 1, found {found}"),
            Self::Persistence => f.write_str("drift persistence: expected at least 1, found 0"),
            Self::Lane { found, range: (lowest, highest) } => {
                write!(f, "expected a nested lane from {lowest} to {highest}, found {found}")
            }
        }
    }
}

impl core::error::Error for GraduationError {}

impl GraduationConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// [`GraduationError`] with the name of the first field that is wrong.
    pub fn validate(&self) -> Result<(), GraduationError> {
        for (what, value) in [
            ("novelty threshold", self.novelty_threshold),
            ("confidence threshold", self.confidence_threshold),
            ("escalation budget", self.escalation_budget),
        ] {
            unit_interval(what, value)?;
        }
        if self.novelty_threshold == 0.0 {
            return Err(GraduationError::Range { what: "novelty threshold", found: 0.0 });
        }
        if self.drift_persistence_threshold == 0 {
            return Err(GraduationError::Persistence);
        }
        Ok(())
    }
}

fn unit_interval(what: &'static str, found: f32) -> Result<(), GraduationError> {
    if (0.0..=1.0).contains(&found) { Ok(()) } else { Err(GraduationError::Range { what, found }) }
}

/// What was measured at one step; every value in 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GraduationMetrics {
    /// How unlike the steps before this one is.
    pub novelty: f32,
    /// How far the running mean has moved.
    pub drift: f32,
    /// How much the two are to be trusted.
    pub confidence: f32,
    /// Share of the possible extra cost that has been spent so far.
    pub cost_usage: f32,
}

/// What to do about a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraduationDecision {
    /// The lane stays.
    Stay,
    /// Up to this lane.
    Escalate(PrecisionLane),
    /// Down to this lane.
    Demote(PrecisionLane),
}

/// Decides step by step which nested lane to read at. Ordered: the same measurements give the same
/// decisions everywhere.
///
/// With `n` the novelty smoothed by `n ← 0.7·n + 0.3·novelty`:
///
/// - *escalate* by one lane when (`n` is above its threshold, or drift was above 0.1 in as many
///   steps in a row as persistence asks for), the confidence reaches its threshold and the cost is
///   below the budget;
/// - *demote* by one lane after five steps in a row with `n` below half its threshold and no drift.
///
/// Between the two levels nothing changes, so noise around either one does not make a lane flap:
/// from any change to the opposite one, `n` has to cross that interval and five steps to pass.
///
/// ```
/// use trilane_core::lane::{
///     GraduationConfig, GraduationDecision, GraduationMetrics, GraduationPolicy, LaneConfig,
///     PrecisionLane::{Bit3, Bit5, Bit7},
/// };
///
/// // Configure graduation policy
/// let config = GraduationConfig {
///     novelty_threshold: 0.3,
///     drift_persistence_threshold: 5,
///     confidence_threshold: 0.8,
///     escalation_budget: 0.2,
/// };
/// let mut policy = GraduationPolicy::new(LaneConfig::new(Bit5, Bit3, Bit7)?, config)?;
///
/// // Update metrics during inference: one novel step alone is smoothed away, a second is not
/// let novel = GraduationMetrics {
///     novelty: 0.9,
///     confidence: 0.9,
///     cost_usage: 0.1,
///     ..Default::default()
/// };
/// policy.update_metrics(novel)?;
/// assert_eq!(policy.decide(), GraduationDecision::Stay);
/// policy.update_metrics(novel)?;
///
/// // Check graduation decision
/// assert!(policy.novelty() > 0.3);
/// assert_eq!(policy.decide(), GraduationDecision::Escalate(Bit7));
/// # Ok::<(), trilane_core::lane::GraduationError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GraduationPolicy {
    config: GraduationConfig,
    lanes: LaneConfig,
    lane: PrecisionLane,
    novelty: f32,
    drift_steps: u32,
    stable_steps: u32,
    confidence: f32,
    cost_usage: f32,
}

impl Default for GraduationPolicy {
    /// Every nested lane from Bit3 on, with the usual thresholds.
    fn default() -> Self {
        let lanes = LaneConfig::default();
        Self {
            config: GraduationConfig::default(),
            lanes,
            lane: lanes.initial(),
            novelty: 0.0,
            drift_steps: 0,
            stable_steps: 0,
            confidence: 0.0,
            cost_usage: 0.0,
        }
    }
}

impl GraduationPolicy {
    /// A policy that begins at the initial lane and stays within its range.
    ///
    /// # Errors
    /// [`GraduationError`] for a threshold out of range.
    pub fn new(lanes: LaneConfig, config: GraduationConfig) -> Result<Self, GraduationError> {
        config.validate()?;
        Ok(Self { config, lanes, lane: lanes.initial(), ..Self::default() })
    }

    /// The lane now.
    pub fn lane(&self) -> PrecisionLane {
        self.lane
    }

    /// The smoothed novelty.
    pub fn novelty(&self) -> f32 {
        self.novelty
    }

    /// Takes in what was measured at a step.
    ///
    /// # Errors
    /// [`GraduationError::Range`] for a value outside 0..=1 or NaN; nothing has changed then.
    pub fn update_metrics(&mut self, metrics: GraduationMetrics) -> Result<(), GraduationError> {
        for (what, value) in [
            ("novelty", metrics.novelty),
            ("drift", metrics.drift),
            ("confidence", metrics.confidence),
            ("cost usage", metrics.cost_usage),
        ] {
            unit_interval(what, value)?;
        }
        self.novelty = (1.0 - SMOOTHING) * self.novelty + SMOOTHING * metrics.novelty;
        let drifts = metrics.drift > DRIFT;
        self.drift_steps = if drifts { self.drift_steps.saturating_add(1) } else { 0 };
        let stable = !drifts && self.novelty < STABLE_SHARE * self.config.novelty_threshold;
        self.stable_steps = if stable { self.stable_steps.saturating_add(1) } else { 0 };
        self.confidence = metrics.confidence;
        self.cost_usage = metrics.cost_usage;
        Ok(())
    }

    /// Decides, and goes to the lane decided for; the steps counted then begin anew.
    pub fn decide(&mut self) -> GraduationDecision {
        let config = &self.config;
        let called_for = self.novelty > config.novelty_threshold
            || self.drift_steps >= config.drift_persistence_threshold;
        let allowed = self.confidence >= config.confidence_threshold
            && self.cost_usage < config.escalation_budget;
        let decision = if called_for && allowed {
            self.lanes.above(self.lane).map(GraduationDecision::Escalate)
        } else if self.stable_steps >= STABLE_STEPS {
            self.lanes.below(self.lane).map(GraduationDecision::Demote)
        } else {
            None
        };
        let Some(decision) = decision else { return GraduationDecision::Stay };
        if let GraduationDecision::Escalate(lane) | GraduationDecision::Demote(lane) = decision {
            self.lane = lane;
        }
        self.drift_steps = 0;
        self.stable_steps = 0;
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::HardwareTarget;
    use GraduationDecision::{Demote, Escalate, Stay};
    use PrecisionLane::{Bit3, Bit5, Bit7};
    use proptest::prelude::*;
    use std::vec::Vec;

    fn policy() -> GraduationPolicy {
        let lanes = LaneConfig::of(HardwareTarget::Cpu);
        GraduationPolicy::new(lanes, GraduationConfig::default()).unwrap()
    }

    /// Trusted and free.
    fn step(policy: &mut GraduationPolicy, novelty: f32, drift: f32) -> GraduationDecision {
        let metrics = GraduationMetrics { novelty, drift, confidence: 1.0, cost_usage: 0.0 };
        policy.update_metrics(metrics).unwrap();
        policy.decide()
    }

    #[test]
    fn novelty_goes_up_one_lane_a_step_and_calm_down_again() {
        let mut policy = policy();
        let up: Vec<_> = (0..4).map(|_| step(&mut policy, 1.0, 0.0)).collect();
        assert_eq!(up, [Stay, Escalate(Bit5), Escalate(Bit7), Stay]);
        let down: Vec<_> = (0..20).map(|_| step(&mut policy, 0.0, 0.0)).collect();
        let demotions: Vec<_> = down.iter().filter(|d| **d != Stay).copied().collect();
        assert_eq!(demotions, [Demote(Bit5), Demote(Bit3)]);
    }

    #[test]
    fn drift_counts_only_when_it_persists() {
        let mut policy = policy();
        for _ in 0..4 {
            assert_eq!(step(&mut policy, 0.0, 0.2), Stay);
        }
        assert_eq!(step(&mut policy, 0.0, 0.05), Stay);
        let again: Vec<_> = (0..5).map(|_| step(&mut policy, 0.0, 0.2)).collect();
        assert_eq!(again, [Stay, Stay, Stay, Stay, Escalate(Bit5)]);
    }

    #[test]
    fn without_confidence_or_budget_nothing_escalates() {
        for (confidence, cost_usage) in [(0.79, 0.0), (1.0, 0.2), (0.0, 1.0)] {
            let mut policy = policy();
            let metrics = GraduationMetrics { novelty: 1.0, drift: 1.0, confidence, cost_usage };
            for _ in 0..50 {
                policy.update_metrics(metrics).unwrap();
                assert_eq!(policy.decide(), Stay);
            }
        }
    }

    #[test]
    fn values_out_of_range_are_refused_and_change_nothing() {
        let lanes = LaneConfig::of(HardwareTarget::Cpu);
        let usual = GraduationConfig::default();
        for config in [
            GraduationConfig { novelty_threshold: 0.0, ..usual },
            GraduationConfig { novelty_threshold: f32::NAN, ..usual },
            GraduationConfig { confidence_threshold: 1.1, ..usual },
            GraduationConfig { escalation_budget: -0.1, ..usual },
            GraduationConfig { drift_persistence_threshold: 0, ..usual },
        ] {
            assert!(GraduationPolicy::new(lanes, config).is_err(), "{config:?}");
        }
        let mut policy = policy();
        let before = policy;
        for metrics in [
            GraduationMetrics { novelty: f32::NAN, ..Default::default() },
            GraduationMetrics { drift: f32::INFINITY, ..Default::default() },
            GraduationMetrics { novelty: 1.0, confidence: -1.0, ..Default::default() },
            GraduationMetrics { novelty: 1.0, cost_usage: 1.5, ..Default::default() },
        ] {
            assert!(policy.update_metrics(metrics).is_err());
            assert_eq!(policy, before);
        }
    }

    /// Uniform noise around a threshold: a lane changes once for good, or not at all.
    #[test]
    fn noise_around_a_threshold_does_not_flap() {
        let config = GraduationConfig::default();
        for centre in [config.novelty_threshold, STABLE_SHARE * config.novelty_threshold] {
            let mut policy = policy();
            let (mut noise, mut changes) = (1u32, Vec::new());
            for _ in 0..10_000 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (noise >> 8) as f32 / (1u32 << 24) as f32 - 0.5;
                let decision = step(&mut policy, centre + 0.15 * noise, 0.0);
                changes.extend((decision != Stay).then_some(decision));
            }
            // From threshold to threshold the smoothed noise never comes.
            let up = [Escalate(Bit5), Escalate(Bit7)];
            assert!(changes.is_empty() || changes == up, "{changes:?}");
        }
    }

    proptest! {
        /// One lane at a time, within the range, and no demotion until five steps after a change.
        #[test]
        fn lanes_change_slowly(
            steps in proptest::collection::vec((0.0f32..=1.0, 0.0f32..=1.0, 0.0f32..=0.4), 1..200)
        ) {
            let mut policy = policy();
            let mut since_change = u32::MAX;
            for (novelty, drift, cost_usage) in steps {
                let before = policy.lane();
                let metrics = GraduationMetrics { novelty, drift, confidence: 1.0, cost_usage };
                policy.update_metrics(metrics).unwrap();
                let decision = policy.decide();
                since_change = since_change.saturating_add(1);
                let index = |lane| PrecisionLane::NESTED.iter().position(|&l| l == lane).unwrap();
                let (was, is) = (index(before), index(policy.lane()));
                match decision {
                    Stay => prop_assert_eq!(was, is),
                    Escalate(lane) => {
                        prop_assert_eq!((was + 1, lane), (is, policy.lane()));
                        prop_assert!(cost_usage < 0.2);
                    }
                    Demote(lane) => {
                        prop_assert_eq!((was, lane), (is + 1, policy.lane()));
                        prop_assert!(since_change >= STABLE_STEPS);
                    }
                }
                if decision != Stay {
                    since_change = 0;
                }
            }
        }
    }
}
