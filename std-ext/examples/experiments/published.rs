//! The published predictor as it was, to compare with: a window of 8 gradients, weights 0.95 to the
//! rank, nothing shrunk, and a residual that the fit counts again.

use trilane_core::train::predict::DeterministicPhase;

/// The published phases: 10 steps of warmup, then cycles of 5 full steps and 20 of which every fifth is
/// a correction.
pub(crate) const fn phase(step: u64) -> DeterministicPhase {
    let Some(after) = step.checked_sub(10) else {
        return DeterministicPhase::Warmup;
    };
    match after % 25 {
        0..5 => DeterministicPhase::Full,
        at if (at + 1).is_multiple_of(5) => DeterministicPhase::Correct,
        _ => DeterministicPhase::Predict,
    }
}

/// The last gradients with their steps, and the residual.
pub(crate) struct Published {
    history: Vec<(u64, Vec<f32>)>,
    residual: Vec<f32>,
}

const WINDOW: usize = 8;
const DECAY: f64 = 0.95;
/// The share of the residual that a new error replaces.
const RESIDUAL_RATE: f32 = 0.1;

impl Published {
    pub(crate) fn new(parameters: usize) -> Self {
        Self { history: Vec::new(), residual: vec![0.0; parameters] }
    }

    /// Takes in a gradient; with `correct`, the error of its prediction goes into the residual.
    pub(crate) fn record(&mut self, step: u64, gradient: &[f32], correct: bool) {
        if correct {
            let predicted = self.line(step);
            for ((r, g), p) in self.residual.iter_mut().zip(gradient).zip(predicted) {
                *r = (1.0 - RESIDUAL_RATE) * *r + RESIDUAL_RATE * (g - p);
            }
        }
        if self.history.len() == WINDOW {
            self.history.remove(0);
        }
        self.history.push((step, gradient.to_vec()));
    }

    /// Baseline + velocity·dt + residual.
    pub(crate) fn predict(&self, step: u64) -> Vec<f32> {
        self.line(step).iter().zip(&self.residual).map(|(p, r)| p + r).collect()
    }

    fn line(&self, step: u64) -> Vec<f32> {
        let Some((last, newest)) = self.history.last() else {
            return vec![0.0; self.residual.len()];
        };
        let (mut w, mut wt, mut wtt) = (0.0, 0.0, 0.0);
        let (mut wg, mut wtg) = (vec![0.0; newest.len()], vec![0.0; newest.len()]);
        let mut weight = 1.0;
        for (at, gradient) in self.history.iter().rev() {
            let t = *at as f64 - *last as f64;
            w += weight;
            wt += weight * t;
            wtt += weight * t * t;
            for ((wg, wtg), g) in wg.iter_mut().zip(&mut wtg).zip(gradient) {
                *wg += weight * f64::from(*g);
                *wtg += weight * t * f64::from(*g);
            }
            weight *= DECAY;
        }
        let determinant = w * wtt - wt * wt;
        if determinant.abs() < 1e-10 {
            return newest.clone();
        }
        let ahead = step as f64 - *last as f64;
        let pairs = wg.iter().zip(&wtg);
        let line = pairs.map(|(wg, wtg)| {
            let baseline = (wtt * wg - wt * wtg) / determinant;
            let velocity = (w * wtg - wt * wg) / determinant;
            (baseline + velocity * ahead) as f32
        });
        line.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_repeat_after_twenty_five_steps() {
        let letter = |step| match phase(step) {
            DeterministicPhase::Warmup => 'w',
            DeterministicPhase::Full => 'F',
            DeterministicPhase::Predict => '.',
            DeterministicPhase::Correct => 'C',
        };
        let letters: String = (0..42).map(letter).collect();
        assert_eq!(letters, "wwwwwwwwwwFFFFF....C....C....C....CFFFFF..");
    }

    #[test]
    fn a_line_is_continued_and_its_errors_are_counted_again() {
        let mut published = Published::new(1);
        for step in 0..12_u8 {
            published.record(step.into(), &[2.0 - 0.5 * f32::from(step)], false);
        }
        assert!((published.predict(14)[0] - (2.0 - 7.0)).abs() < 1e-5);
        published.record(12, &[-3.0], true);
        let line = published.line(13)[0];
        assert!((published.predict(13)[0] - line - 0.1).abs() < 1e-5);
    }
}
