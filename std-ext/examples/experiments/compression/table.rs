//! Losses of all runs, and the rows they make.

use super::Variant;

/// The losses of a variant's runs.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    /// For each rate: seeds and losses.
    rates: Vec<Vec<(u64, f64)>>,
}

impl Losses {
    pub(super) fn new(rates: usize) -> Self {
        Self { rates: vec![Vec::new(); rates] }
    }

    pub(super) fn add(&mut self, rate: usize, seed: u64, loss: f64) {
        self.rates[rate].push((seed, loss));
        self.rates[rate].sort_by_key(|(seed, _)| *seed);
    }

    /// The mean over seeds, for each rate.
    fn means(&self) -> Vec<f64> {
        let mean = |runs: &Vec<(u64, f64)>| mean(runs.iter().map(|(_, loss)| *loss));
        self.rates.iter().map(mean).collect()
    }

    /// The losses at the rate whose mean is least, by seed.
    fn best(&self) -> impl Iterator<Item = f64> + Clone {
        let means = self.means();
        let best = (0..means.len()).fold(0, |a, b| if means[b] < means[a] { b } else { a });
        self.rates[best].iter().map(|(_, loss)| *loss)
    }
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count();
    values.sum::<f64>() / count as f64
}

/// The mean of how much larger losses are than plain ones of the same seed, and its standard error; of
/// a single seed that is NaN.
fn excess(
    losses: impl Iterator<Item = f64> + Clone,
    plain: impl Iterator<Item = f64> + Clone,
) -> (f64, f64) {
    let ratios = losses.zip(plain).map(|(loss, plain)| loss / plain - 1.0);
    let middle = mean(ratios.clone());
    let n = ratios.clone().count() as f64;
    let squares: f64 = ratios.map(|ratio| (ratio - middle).powi(2)).sum();
    (middle, (squares / (n - 1.0) / n).sqrt())
}

pub(super) fn heading(rates: &[f32]) {
    println!(
        "| codec | ahead | times smaller | loss | against none, mean over seeds ± standard error | \
         loss at rates {rates:?} |\n|---|---|---|---|---|---|"
    );
}

pub(super) fn row(variant: Variant, times_smaller: f64, losses: &Losses, plain: &Losses) {
    let Variant { method, ahead, .. } = variant;
    let (excess, error) = excess(losses.best(), plain.best());
    let rates: Vec<String> = losses.means().iter().map(|mean| format!("{mean:.4}")).collect();
    println!(
        "| {method} | {ahead} | {times_smaller:.1} | {:.4} | {:+.1}% ± {:.1}% | {} |",
        mean(losses.best()),
        100.0 * excess,
        100.0 * error,
        rates.join(" ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rate_counts_and_a_diverged_run_rules_its_rate_out() {
        let mut losses = Losses::new(2);
        for (seed, loss) in [(1, 3.0), (0, 2.0)] {
            losses.add(0, seed, loss);
        }
        losses.add(1, 0, 0.1);
        losses.add(1, 1, f64::INFINITY);
        assert_eq!(losses.best().collect::<Vec<_>>(), [2.0, 3.0]);
        let (middle, error) = excess(losses.best(), [1.0, 2.0].into_iter());
        assert!((middle - 0.75).abs() < 1e-12 && (error - 0.25).abs() < 1e-12);
    }
}
