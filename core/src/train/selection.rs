//! Backward passes for the samples that still teach.

use crate::error::{ArgumentError, check_parameter, check_values};
use crate::pi::{Weyl, WeylSequence};

/// Which samples get a backward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectionConfig {
    /// β, 0 (all samples) to 32: a sample whose loss is above the share c of recent losses is taken with
    /// probability `c^β`, so one of 1 + β on average.
    pub power: f32,
    /// A loss is used again for so many updates of the weights, 0 to 1,000,000; with 0 only until the
    /// next.
    pub most_age: u32,
    /// Whether a sample taken weighs `1/probability`, which makes the gradient that of all the samples,
    /// on average, and noisier; else all weigh the same, and the hard samples count for more.
    pub importance: bool,
}

impl Default for SelectionConfig {
    /// β = 4, fresh losses, equal weights: what `docs/training.md` found best.
    fn default() -> Self {
        Self { power: 4.0, most_age: 0, importance: false }
    }
}

/// The last loss of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SampleLoss {
    loss: f32,
    /// Updates before it was measured, plus one; 0 where there is none.
    measured: u64,
}

/// What the selection has cost, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelectionStats {
    /// Forward passes that selection asked for.
    pub forward_passes: u64,
    /// Samples judged by a loss of before.
    pub reused: u64,
    /// Samples taken, each a backward pass.
    pub backward_passes: u64,
    /// Samples left out.
    pub skipped: u64,
}

/// Takes samples with probability `(percentile of their loss)^β` (Jiang et al. 2019), drawn from the
/// sequence frac(π·n) and so deterministic.
///
/// The percentile is over the losses of the last so many samples judged, as many as `recent` holds:
/// `c = (#smaller + ½·#equal)/#recent`, the sample itself among them. A draw of the sequence is used
/// for every sample judged; its low discrepancy keeps the number of samples taken even.
///
/// Exact up to `c^β` (`libm::powf`) and the division of the weight, both Ordered.
///
/// ```
/// use trilane_core::train::selection::{SampleLoss, Selection, SelectionConfig};
/// let (mut losses, mut recent) = ([SampleLoss::default(); 100], [0.0; 64]);
/// let mut selection = Selection::new(&mut losses, &mut recent, SelectionConfig::default())?;
/// let mut taken = 0;
/// for sample in 0..100 {
///     if selection.needs_forward(sample)? {
///         selection.record(sample, sample as f32)?; // the sample's loss
///     }
///     if selection.select(sample)?.is_some() {
///         taken += 1; // goes into the next backward pass
///     }
///     if taken % 8 == 7 {
///         selection.updated(); // after the optimiser's step
///     }
/// }
/// let stats = selection.stats();
/// assert_eq!(stats.forward_passes, 100);
/// assert_eq!(stats.backward_passes + stats.skipped, 100);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Debug)]
pub struct Selection<'a> {
    config: SelectionConfig,
    samples: &'a mut [SampleLoss],
    recent: &'a mut [f32],
    /// How many of `recent` are filled, and which is replaced next.
    filled: usize,
    next: usize,
    updates: u64,
    draws: Weyl,
    stats: SelectionStats,
}

impl<'a> Selection<'a> {
    /// Selection among `samples.len()` samples, none of which has a loss yet; what the slices hold
    /// does not matter.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] where a slice is empty, [`ArgumentError::Parameter`] or
    /// [`ArgumentError::Count`] for the configuration.
    pub fn new(
        samples: &'a mut [SampleLoss],
        recent: &'a mut [f32],
        config: SelectionConfig,
    ) -> Result<Self, ArgumentError> {
        check_parameter("power", config.power, 0.0, 32.0)?;
        if config.most_age > MOST_AGE {
            return Err(ArgumentError::Count {
                name: "most_age",
                least: 0,
                greatest: i64::from(MOST_AGE),
                actual: i64::from(config.most_age),
            });
        }
        if samples.is_empty() || recent.is_empty() {
            return Err(ArgumentError::Empty);
        }
        samples.fill(SampleLoss::default());
        Ok(Self {
            config,
            samples,
            recent,
            filled: 0,
            next: 0,
            updates: 0,
            draws: Weyl::starting_at(WeylSequence::Linear, 1),
            stats: SelectionStats::default(),
        })
    }

    /// Whether the sample has no loss, or one that is too old.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] when there is no such sample.
    pub fn needs_forward(&self, sample: usize) -> Result<bool, ArgumentError> {
        let measured = self.samples[self.index(sample)?].measured;
        let age = self.updates + 1 - measured;
        Ok(measured == 0 || age > u64::from(self.config.most_age))
    }

    /// Takes in a loss from a forward pass that selection asked for.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] when there is no such sample, [`ArgumentError::NotFinite`].
    pub fn record(&mut self, sample: usize, loss: f32) -> Result<(), ArgumentError> {
        self.refresh(sample, loss)?;
        self.stats.forward_passes += 1;
        Ok(())
    }

    /// Takes in a loss that a backward pass gave, which costs nothing.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn refresh(&mut self, sample: usize, loss: f32) -> Result<(), ArgumentError> {
        let index = self.index(sample)?;
        check_values(&[loss])?;
        self.samples[index] = SampleLoss { loss, measured: self.updates + 1 };
        Ok(())
    }

    /// Judges a sample by its last loss: `Some(weight)` when it is taken.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] when there is no such sample, or it has no loss.
    pub fn select(&mut self, sample: usize) -> Result<Option<f32>, ArgumentError> {
        let SampleLoss { loss, measured } = self.samples[self.index(sample)?];
        if measured == 0 {
            let (least, greatest) = (1, i64::MAX);
            return Err(ArgumentError::Count {
                name: "losses of the sample",
                least,
                greatest,
                actual: 0,
            });
        }
        self.stats.reused += u64::from(measured <= self.updates);
        self.recent[self.next] = loss;
        self.next = (self.next + 1) % self.recent.len();
        self.filled = (self.filled + 1).min(self.recent.len());
        let recent = &self.recent[..self.filled];
        let below = recent.iter().filter(|other| **other < loss).count();
        let equal = recent.iter().filter(|other| **other == loss).count();
        let percentile = (2 * below + equal) as f32 / (2 * self.filled) as f32;
        let probability = libm::powf(percentile, self.config.power);
        if self.draws.next_float() < probability {
            self.stats.backward_passes += 1;
            Ok(Some(if self.config.importance { 1.0 / probability } else { 1.0 }))
        } else {
            self.stats.skipped += 1;
            Ok(None)
        }
    }

    /// The weights have been updated: all losses are one update older.
    pub const fn updated(&mut self) {
        self.updates += 1;
    }

    /// What it has cost so far.
    pub const fn stats(&self) -> SelectionStats {
        self.stats
    }

    fn index(&self, sample: usize) -> Result<usize, ArgumentError> {
        if sample < self.samples.len() {
            return Ok(sample);
        }
        let greatest = self.samples.len() as i64 - 1;
        Err(ArgumentError::Count { name: "sample", least: 0, greatest, actual: sample as i64 })
    }
}

const MOST_AGE: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn config(power: f32, most_age: u32, importance: bool) -> SelectionConfig {
        SelectionConfig { power, most_age, importance }
    }

    /// How often each of 100 samples with the losses 0, 1, … is taken in so many epochs.
    fn counts(config: SelectionConfig, epochs: usize) -> (Vec<f32>, SelectionStats) {
        let (mut losses, mut recent) = (vec![SampleLoss::default(); 100], [0.0; 100]);
        let mut selection = Selection::new(&mut losses, &mut recent, config).unwrap();
        let mut counts = vec![0.0; 100];
        for epoch in 0..epochs + 1 {
            for sample in 0..100 {
                // An order that is a permutation.
                let sample = (sample * 37 + epoch) % 100;
                selection.record(sample, sample as f32).unwrap();
                let weight = selection.select(sample).unwrap();
                if epoch > 0 {
                    counts[sample] += weight.unwrap_or(0.0);
                }
            }
            selection.updated();
        }
        (counts, selection.stats())
    }

    #[test]
    fn samples_are_taken_by_the_power_of_their_percentile() {
        let epochs = 2000;
        let (taken, stats) = counts(config(4.0, 0, false), epochs);
        for (sample, count) in taken.iter().enumerate() {
            let expected = ((sample as f32 + 0.5) / 100.0).powi(4);
            let found = count / epochs as f32;
            assert!((found - expected).abs() < 0.05, "{sample}: {found} {expected}");
        }
        let share = stats.backward_passes as f64 / (stats.backward_passes + stats.skipped) as f64;
        assert!((share - 0.2).abs() < 0.01, "{share}");
        assert_eq!(counts(config(4.0, 0, false), 50), counts(config(4.0, 0, false), 50));
        let (taken, _) = counts(config(0.0, 0, false), 3);
        assert!(taken.iter().all(|count| *count == 3.0));
        let (weighted, _) = counts(config(1.0, 0, true), epochs);
        assert!(
            weighted[20..].iter().all(|w| (w / epochs as f32 - 1.0).abs() < 0.1),
            "{weighted:?}"
        );
    }

    #[test]
    fn losses_are_used_again_until_they_are_too_old() {
        let (mut losses, mut recent) = ([SampleLoss::default(); 2], [0.0; 4]);
        let mut selection =
            Selection::new(&mut losses, &mut recent, config(1.0, 2, false)).unwrap();
        assert_eq!(selection.needs_forward(0), Ok(true));
        selection.record(0, 1.0).unwrap();
        for expected in [false, false, false, true] {
            assert_eq!(selection.needs_forward(0), Ok(expected));
            selection.updated();
        }
        selection.refresh(0, 0.5).unwrap();
        assert_eq!(selection.needs_forward(0), Ok(false));
        selection.select(0).unwrap();
        selection.updated();
        selection.select(0).unwrap();
        let stats = selection.stats();
        assert_eq!((stats.forward_passes, stats.reused), (1, 1));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let (mut losses, mut recent) = ([SampleLoss::default(); 2], [0.0; 4]);
        for power in [-1.0, 33.0, f32::NAN] {
            let error = Selection::new(&mut losses, &mut recent, config(power, 0, false));
            assert!(matches!(error, Err(ArgumentError::Parameter { name: "power", .. })));
        }
        let error = Selection::new(&mut losses, &mut recent, config(1.0, u32::MAX, false));
        assert!(matches!(error, Err(ArgumentError::Count { name: "most_age", .. })));
        let error = Selection::new(&mut [], &mut recent, config(1.0, 0, false));
        assert_eq!(error.unwrap_err(), ArgumentError::Empty);
        let error = Selection::new(&mut losses, &mut [], config(1.0, 0, false));
        assert_eq!(error.unwrap_err(), ArgumentError::Empty);
        let mut selection =
            Selection::new(&mut losses, &mut recent, config(1.0, 0, false)).unwrap();
        let beyond = ArgumentError::Count { name: "sample", least: 0, greatest: 1, actual: 2 };
        assert_eq!(selection.record(2, 1.0), Err(beyond));
        assert_eq!(selection.needs_forward(2), Err(beyond));
        assert_eq!(selection.record(0, f32::NAN), Err(ArgumentError::NotFinite { index: 0 }));
        assert!(matches!(selection.select(0), Err(ArgumentError::Count { actual: 0, .. })));
    }
}
