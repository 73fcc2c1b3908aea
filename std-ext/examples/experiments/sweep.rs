//! Every method with every learning rate and seed, on two threads; tables of the best.

use crate::Result;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs job 0, 1, … `count` − 1 on two threads; results in that order.
pub(crate) fn jobs<T: Send>(
    count: usize,
    job: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    let result = job(at);
                    if let Ok(mut results) = results.lock() {
                        results.push((at, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().map_err(|_| "a thread failed")?;
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Mean and standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) mean: f64,
    pub(crate) error: f64,
}

impl Estimate {
    /// Of these values; what is not finite makes the mean infinite.
    pub(crate) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        if !mean.is_finite() {
            return Self { mean: f64::INFINITY, error: f64::NAN };
        }
        let square = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
        Self { mean, error: (square / (n - 1.0).max(1.0) / n).sqrt() }
    }
}

/// What a run gives: its figures, the one to choose by first.
pub(crate) type Figures = Vec<f64>;

/// A method's figures at its best rate, for every seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Best {
    pub(crate) rate: f32,
    pub(crate) seeds: Vec<Figures>,
}

impl Best {
    /// One figure over the seeds.
    pub(crate) fn estimate(&self, figure: usize) -> Estimate {
        Estimate::of(&self.seeds.iter().map(|figures| figures[figure]).collect::<Vec<_>>())
    }

    /// The difference to another method in one figure, seed by seed.
    pub(crate) fn minus(&self, other: &Self, figure: usize) -> Estimate {
        let pairs = self.seeds.iter().zip(&other.seeds);
        Estimate::of(&pairs.map(|(a, b)| a[figure] - b[figure]).collect::<Vec<_>>())
    }
}

/// The best rate of every method: the one with the smallest mean of the first figure.
pub(crate) fn best(
    methods: usize,
    rates: &[f32],
    seeds: u64,
    run: impl Fn(usize, f32, u64) -> Result<Figures> + Sync,
) -> Result<Vec<Best>> {
    let each = rates.len() * seeds as usize;
    let all = jobs(methods * each, |at| {
        let (method, rest) = (at / each, at % each);
        run(method, rates[rest / seeds as usize], (rest % seeds as usize) as u64 + 1)
    })?;
    let chosen = all.chunks(each).map(|runs| {
        let options = rates.iter().zip(runs.chunks(seeds as usize));
        let options = options.map(|(&rate, seeds)| Best { rate, seeds: seeds.to_vec() });
        options.min_by(|a, b| a.estimate(0).mean.total_cmp(&b.estimate(0).mean))
    });
    chosen.map(|best| best.ok_or_else(|| "no learning rates".into())).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_the_best_rate_wins() {
        assert_eq!(jobs(20, |i| Ok(i * i)).unwrap(), (0..20).map(|i| i * i).collect::<Vec<_>>());
        let run = |method: usize, rate: f32, seed: u64| {
            let off = f64::from(rate) - [0.25, 4.0][method];
            Ok(vec![if rate > 4.0 { f64::NAN } else { off * off + seed as f64 }, seed as f64])
        };
        let best = best(2, &[0.25, 1.0, 4.0, 16.0], 3, run).unwrap();
        assert_eq!((best[0].rate, best[1].rate), (0.25, 4.0));
        let Estimate { mean, error } = best[0].estimate(1);
        assert!((mean - 2.0).abs() < 1e-12 && (error - (1.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(best[0].minus(&best[1], 0), Estimate { mean: 0.0, error: 0.0 });
    }
}
