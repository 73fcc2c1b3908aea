//! The detector: one block of a signal at a time.

use super::fault::{DriftFault, Evidence};
use super::transform::{EXPECTED, drift_transform};
use super::trend::Trend;
use crate::error::{check_lengths, check_parameter, check_values};
use crate::lane::PrecisionLane;
use crate::pi::PiCalibration;
use crate::pi::PiError;

/// What a detector takes for honest. Validated by [`DriftDetector::with_config`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftConfig {
    /// The quantiser's step, in units of the signal. 2⁻¹⁰⁰..=2¹⁰⁰.
    pub step: f32,
    /// How far beyond half a step noise may carry a value, in steps. 0..=1.
    pub tolerance: f32,
    /// A ratio from here on is not honest. 1..=2²⁰; published: 2.
    pub honest_ratio: f32,
    /// A ratio from here on calls for a higher lane. At least the honest one, ..=2²⁰; published: 3.
    pub escalate_ratio: f32,
    /// So many dishonest checks in a row call for a higher lane too. 1..=2²⁰.
    pub persistence: u32,
}

impl DriftConfig {
    /// The published ratios, a tolerance of 1/16, a persistence of 3, and the lane's step of π.
    ///
    /// # Errors
    /// [`PiError::Lane`] for another lane than Bit3, Bit5 and Bit7.
    pub const fn for_lane(lane: PrecisionLane) -> Result<Self, PiError> {
        match PiCalibration::for_lane(lane) {
            Ok(calibration) => Ok(Self {
                step: calibration.scale(),
                tolerance: 0.0625,
                honest_ratio: 2.0,
                escalate_ratio: 3.0,
                persistence: 3,
            }),
            Err(error) => Err(error),
        }
    }

    fn validate(&self) -> Result<(), PiError> {
        const GREATEST: f32 = 1_048_576.0;
        check_parameter("step", self.step, 7.888_609e-31, 1.267_650_6e30)?;
        check_parameter("tolerance", self.tolerance, 0.0, 1.0)?;
        check_parameter("honest ratio", self.honest_ratio, 1.0, GREATEST)?;
        check_parameter("escalate ratio", self.escalate_ratio, self.honest_ratio, GREATEST)?;
        check_parameter("persistence", self.persistence as f32, 1.0, GREATEST)?;
        Ok(())
    }
}

/// What one check measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftReport {
    /// Pairs compared.
    pub samples: usize,
    /// Pairs farther apart than half a step and the tolerance.
    pub outside: usize,
    /// `RMS(T(x̂/s) − T(x/s))` over what rounding makes it, [`drift_transform`](super::drift_transform)
    /// being T: about 1 for an honest signal.
    pub ratio: f32,
    /// The simplest fault that explains what is outside; `None` when nothing is.
    pub fault: Option<DriftFault>,
}

/// The verdict of one check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizationHonesty {
    /// No fault, and a ratio below the honest one.
    pub is_honest: bool,
    /// The precision is too low or the hardware misbehaves: the ratio is at the escalating one, or will
    /// be within `persistence` checks if the trend goes on, or that many checks in a row were not honest.
    pub should_escalate: bool,
    /// Change of the ratio per check over the last 32, in the order of time; `None` before the eighth.
    pub trend: Option<f32>,
    /// The measurement.
    pub report: DriftReport,
}

/// Compares quantised signals with their originals, block after block.
///
/// With v = x/s and w = x̂/s in steps, an honest quantiser has `|w − v| ≤ ½` for every value, whatever
/// the signal and whichever way it rounds (to nearest, by truncated digits, by subtracted dither). A
/// block is faulty when a value is farther off than `½ + tolerance`; so an honest block raises no alarm
/// by construction, and a fault of δ steps shows in each value with a probability of about
/// δ − tolerance. Detection and false alarm rates are in `docs/pi.md`. Signals must stay inside the
/// quantiser's range: a value beyond it is cut off, and reported as saturation.
///
/// ```
/// use trilane_core::{lane::PrecisionLane, pi::{DriftDetector, DriftFault, PI_SCALE_5BIT}};
/// let mut detector = DriftDetector::new(PrecisionLane::Bit5)?;
/// let original = [0.3, -1.1, 2.0, 0.7];
/// let quantized = original.map(|x| PI_SCALE_5BIT * libm::rintf(x / PI_SCALE_5BIT));
/// assert!(detector.check(&original, &quantized)?.is_honest);
///
/// let honesty = detector.check(&original, &quantized.map(|x| x + 2.0))?;
/// assert!(!honesty.is_honest && honesty.should_escalate);
/// assert!(matches!(honesty.report.fault, Some(DriftFault::Offset(_))));
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DriftDetector {
    config: DriftConfig,
    trend: Trend,
    dishonest: u32,
}

impl DriftDetector {
    /// With the lane's [`DriftConfig`].
    ///
    /// # Errors
    /// [`PiError::Lane`] for another lane than Bit3, Bit5 and Bit7.
    pub fn new(lane: PrecisionLane) -> Result<Self, PiError> {
        Self::with_config(DriftConfig::for_lane(lane)?)
    }

    /// With a configuration of the caller's.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`](crate::error::ArgumentError::Parameter) names the parameter that is out of range.
    pub fn with_config(config: DriftConfig) -> Result<Self, PiError> {
        config.validate()?;
        Ok(Self { config, trend: Trend::default(), dishonest: 0 })
    }

    /// The configuration.
    pub const fn config(&self) -> &DriftConfig {
        &self.config
    }

    /// Forgets the checks so far.
    pub fn reset(&mut self) {
        self.trend.clear();
        self.dishonest = 0;
    }

    /// Measures a block and takes it into the window. Shapes: `quantized` as `original`, both in the
    /// signal's units. Ordered: one pass, the squares summed in f64, in order.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`](crate::error::ArgumentError::Empty), [`ArgumentError::Length`](crate::error::ArgumentError::Length) or [`ArgumentError::NotFinite`](crate::error::ArgumentError::NotFinite), which counts positions in the
    /// slice where it was found; the window then stays as it was.
    pub fn check(
        &mut self,
        original: &[f32],
        quantized: &[f32],
    ) -> Result<QuantizationHonesty, PiError> {
        let report = self.measure(original, quantized)?;
        let is_honest = report.fault.is_none() && report.ratio < self.config.honest_ratio;
        self.dishonest = if is_honest { 0 } else { self.dishonest.saturating_add(1) };
        self.trend.add(report.ratio);
        let trend = self.trend.slope();
        let ahead = report.ratio + trend.unwrap_or(0.0).max(0.0) * self.config.persistence as f32;
        Ok(QuantizationHonesty {
            is_honest,
            should_escalate: ahead >= self.config.escalate_ratio
                || self.dishonest >= self.config.persistence,
            trend,
            report,
        })
    }

    /// Measures a block and leaves the window as it is. Shapes, class and errors as of
    /// [`check`](Self::check).
    pub fn measure(&self, original: &[f32], quantized: &[f32]) -> Result<DriftReport, PiError> {
        check_lengths(original.len(), quantized.len())?;
        check_values(original)?;
        check_values(quantized)?;
        let mut evidence = Evidence::new(0.5 + self.config.tolerance);
        let mut squares = 0.0f64;
        for (x, y) in original.iter().zip(quantized) {
            // Beyond 2⁴⁰ steps every difference is as large as it can matter.
            let [v, w] = [x, y].map(|x| (x / self.config.step).clamp(-1.1e12, 1.1e12));
            evidence.add(v, w);
            let difference = f64::from(drift_transform(w) - drift_transform(v));
            squares += difference * difference;
        }
        let mean = squares / original.len() as f64;
        Ok(DriftReport {
            samples: original.len(),
            outside: evidence.outside,
            ratio: libm::sqrtf(mean as f32) / EXPECTED,
            fault: evidence.fault(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ArgumentError;

    #[test]
    fn bad_arguments_are_refused_and_leave_the_window_alone() {
        let mut detector = DriftDetector::new(PrecisionLane::Bit7).unwrap();
        assert_eq!(detector.check(&[], &[]), Err(PiError::Argument(ArgumentError::Empty)));
        let lengths = PiError::Argument(ArgumentError::Length { expected: 2, actual: 1 });
        assert_eq!(detector.check(&[1.0, 2.0], &[1.0]), Err(lengths));
        for bad in [f32::NAN, f32::INFINITY] {
            let found = PiError::Argument(ArgumentError::NotFinite { index: 1 });
            assert_eq!(detector.check(&[1.0, bad], &[1.0, 2.0]), Err(found));
            assert_eq!(detector.check(&[1.0, 2.0], &[1.0, bad]), Err(found));
        }
        assert_eq!(detector.trend.slope(), None);
        let huge = detector.check(&[f32::MAX, -f32::MAX], &[-f32::MAX, f32::MAX]).unwrap();
        assert!(huge.report.ratio.is_finite() && !huge.is_honest);
    }

    #[test]
    fn every_parameter_is_validated() {
        let good = DriftConfig::for_lane(PrecisionLane::Bit5).unwrap();
        assert!(DriftDetector::with_config(good).is_ok());
        for (name, config) in [
            ("step", DriftConfig { step: 0.0, ..good }),
            ("tolerance", DriftConfig { tolerance: f32::NAN, ..good }),
            ("honest ratio", DriftConfig { honest_ratio: 0.5, ..good }),
            ("escalate ratio", DriftConfig { escalate_ratio: 1.5, ..good }),
            ("persistence", DriftConfig { persistence: 0, ..good }),
        ] {
            match DriftDetector::with_config(config) {
                Err(PiError::Argument(ArgumentError::Parameter { name: found, .. })) => {
                    assert_eq!(found, name)
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        let lane = PrecisionLane::Ternary;
        assert!(matches!(DriftDetector::new(lane), Err(PiError::Lane(PrecisionLane::Ternary))));
    }

    #[test]
    fn faults_that_stay_and_ratios_that_rise_call_for_a_higher_lane() {
        let config =
            DriftConfig { step: 1.0, ..DriftConfig::for_lane(PrecisionLane::Bit5).unwrap() };
        let mut detector = DriftDetector::with_config(config).unwrap();
        let x: [f32; 64] = core::array::from_fn(|i| i as f32 * 0.217 - 7.0);
        let off = |by: f32| x.map(|v| libm::rintf(v) + by);
        for round in 0..3 {
            let honesty = detector.check(&x, &off(0.3)).unwrap();
            assert!(!honesty.is_honest);
            assert_eq!(honesty.should_escalate, round == 2, "round {round}");
        }
        detector.reset();
        assert!(detector.check(&x, &off(0.0)).is_ok_and(|h| h.is_honest && !h.should_escalate));
        // The ratio grows with the offset; it is announced before it is there.
        let mut announced = None;
        let config = DriftConfig { persistence: 6, ..config };
        let mut detector = DriftDetector::with_config(config).unwrap();
        for i in 0..40 {
            let honesty = detector.check(&x, &off(0.04 * i as f32)).unwrap();
            if i >= 10 {
                assert!(honesty.trend.is_some_and(|trend| trend > 0.0), "check {i}");
            }
            if honesty.should_escalate && announced.is_none() {
                announced = Some(honesty.report.ratio);
            }
        }
        assert!(announced.is_some_and(|ratio| ratio < config.escalate_ratio));
    }
}
