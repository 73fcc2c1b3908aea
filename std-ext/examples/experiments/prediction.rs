//! Loss after as many backward passes, with and without predicted gradients.

use crate::Result;
use crate::published::{self, Published};
use crate::sweep::{self, Best, Estimate, Figures};
use crate::tasks::{Order, Params, Task};
use trilane_core::train::predict::{
    DeterministicPhase, DeterministicPhaseConfig, DeterministicPhaseTrainer, TensorMoments,
};

/// Ways to spend backward passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Method {
    /// A step for each, `v ← momentum·v + g, x ← x − rate·v`.
    Plain { momentum: f32 },
    /// The published predictor and phases, over plain gradient descent.
    Published,
    /// Ours, over momentum.
    Predicted { momentum: f32, config: DeterministicPhaseConfig },
}

/// Parameters, the optimiser's velocity, and the mean of the parameters so far.
pub(crate) struct Descent {
    pub(crate) params: Params,
    velocity: Vec<f32>,
    momentum: f32,
    rate: f32,
    /// How much of the mean a step keeps, once there were steps enough.
    decay: f32,
    mean: Params,
    steps: f32,
}

impl Descent {
    pub(crate) fn new(params: Params, momentum: f32, rate: f32) -> Self {
        let velocity = vec![0.0; params.iter().map(Vec::len).sum()];
        let mean = params.clone();
        Self { params, velocity, momentum, rate, decay: 0.0, mean, steps: 0.0 }
    }

    /// The parameters to judge are a moving mean: `m ← d·m + (1 − d)·x` after a step, `d` the smaller of
    /// `decay` and `steps/(steps + 9)`, so that the beginning is forgotten (Polyak and Juditsky 1992).
    pub(crate) fn averaged(self, decay: f32) -> Self {
        Self { decay, ..self }
    }

    /// The parameters to judge.
    pub(crate) fn result(&self) -> &Params {
        if self.decay > 0.0 { &self.mean } else { &self.params }
    }

    pub(crate) fn step(&mut self, gradient: &[f32]) {
        let params = self.params.iter_mut().flatten();
        for ((p, v), g) in params.zip(&mut self.velocity).zip(gradient) {
            *v = self.momentum * *v + g;
            *p -= self.rate * *v;
        }
        self.steps += 1.0;
        let keep = self.decay.min(self.steps / (self.steps + 9.0));
        if keep > 0.0 {
            let pairs = self.mean.iter_mut().flatten().zip(self.params.iter().flatten());
            pairs.for_each(|(m, p)| *m += (1.0 - keep) * (p - *m));
        }
    }
}

/// Training, validation loss and accuracy after `passes` backward passes, and the steps taken.
pub(crate) fn run(
    task: &dyn Task,
    method: Method,
    rate: f32,
    seed: u64,
    passes: usize,
) -> Result<Figures> {
    let task = task.of_seed(seed).unwrap_or(task);
    let start = task.initial(seed);
    let momentum = match method {
        Method::Plain { momentum } | Method::Predicted { momentum, .. } => momentum,
        Method::Published => 0.0,
    };
    let lens: Vec<usize> = start.iter().map(Vec::len).collect();
    let parameters = lens.iter().sum();
    let mut descent = Descent::new(start, momentum, rate);
    let mut order = Order::new(task.samples(), seed);
    let mut gradient = |params: &Params| -> Result<Vec<f32>> {
        Ok(task.mean_gradient(params, &order.next(task.batch()))?.gradients.concat())
    };
    let steps = match method {
        Method::Plain { .. } => {
            for _ in 0..passes {
                let gradient = gradient(&descent.params)?;
                descent.step(&gradient);
            }
            passes as u64
        }
        Method::Published => {
            let mut predictor = Published::new(parameters);
            let (mut done, mut step) = (0, 0);
            while done < passes {
                let phase = published::phase(step);
                if phase.needs_backward() {
                    let gradient = gradient(&descent.params)?;
                    predictor.record(step, &gradient, phase == DeterministicPhase::Correct);
                    descent.step(&gradient);
                    done += 1;
                } else {
                    descent.step(&predictor.predict(step));
                }
                step += 1;
            }
            step
        }
        Method::Predicted { config, .. } => {
            let mut tensors: Vec<_> = lens.iter().map(|len| TensorMoments::new(*len)).collect();
            let mut state = vec![0.0; DeterministicPhaseTrainer::state_len(parameters, &config)];
            let mut trainer = DeterministicPhaseTrainer::new(&mut tensors, &mut state, config)?;
            let mut predicted = vec![0.0; parameters];
            while (trainer.get_stats().backward_passes as usize) < passes {
                if trainer.begin_step().needs_backward {
                    let gradient = gradient(&descent.params)?;
                    if trainer.record_full_gradients(&gradient).is_err() {
                        // It diverged; the rate is too high.
                        return Ok(vec![f64::INFINITY; 4]);
                    }
                    descent.step(&gradient);
                } else {
                    trainer.get_predicted_gradients(&mut predicted)?;
                    descent.step(&predicted);
                }
                trainer.end_step(None)?;
            }
            trainer.get_stats().steps
        }
    };
    let validation = task.validation(&descent.params)?;
    let training = task.training_loss(&descent.params, 1024)?;
    Ok(vec![training, validation.loss, validation.accuracy, steps as f64])
}

/// The methods of the table: the first of [`BASE`], and the variants of the last of them.
fn methods() -> Vec<(&'static str, Method)> {
    let config = DeterministicPhaseConfig::default();
    let predicted = |config| Method::Predicted { momentum: 0.9, config };
    let gated = |least_cosine| DeterministicPhaseConfig { least_cosine, ..config };
    let warm = DeterministicPhaseConfig { warmup_steps: 10, ..config };
    let corrected = DeterministicPhaseConfig { correct_every: 5, ..config };
    let residual = DeterministicPhaseConfig { residual_rate: 0.1, ..config };
    vec![
        ("SGD", Method::Plain { momentum: 0.0 }),
        ("momentum 0.9", Method::Plain { momentum: 0.9 }),
        ("published", Method::Published),
        ("predicted", predicted(config)),
        ("warmup 10", predicted(warm)),
        ("corrected every 5", predicted(corrected)),
        ("gate 0.1", predicted(gated(0.1))),
        ("gate 0.3", predicted(gated(0.3))),
        ("no gate", predicted(gated(-1.0))),
        ("residual 0.1", predicted(residual)),
        ("momentum 0.66", Method::Plain { momentum: 0.66 }),
    ]
}

/// Methods that are no variants.
const BASE: usize = 4;

/// Rates that are powers of two, `2^first` to `2^last`.
pub(crate) fn rates(first: i32, last: i32) -> Vec<f32> {
    (first..=last).map(|e| 2.0f32.powi(e)).collect()
}

/// The best of so many of the methods on a task.
fn compare(
    task: &dyn Task,
    methods: &[(&str, Method)],
    rates: &[f32],
    seeds: u64,
    passes: usize,
) -> Result<Vec<Best>> {
    sweep::best(methods.len(), rates, seeds, |method, rate, seed| {
        run(task, methods[method].1, rate, seed, passes)
    })
}

/// Prints the table of a task, with or without the variants.
pub(crate) fn table(
    task: &dyn Task,
    variants: bool,
    rates: &[f32],
    seeds: u64,
    passes: usize,
) -> Result<()> {
    let mut methods = methods();
    if !variants {
        methods.truncate(BASE);
    }
    println!(
        "\n{}, {passes} backward passes of {} samples, {seeds} seeds, rates {} to {}",
        task.name(),
        task.batch(),
        rates[0],
        rates[rates.len() - 1]
    );
    println!("| method | training loss | validation loss | accuracy | steps | rate |");
    println!("|---|---|---|---|---|---|");
    let all = compare(task, &methods, rates, seeds, passes)?;
    for ((name, _), best) in methods.iter().zip(&all) {
        let [training, validation, accuracy, steps] = [0, 1, 2, 3].map(|i| best.estimate(i));
        println!(
            "| {name} | {} | {} | {} | {:.0} | {} |",
            figure(training),
            figure(validation),
            percent(accuracy),
            steps.mean,
            best.rate
        );
    }
    let better = if all[0].estimate(0).mean < all[1].estimate(0).mean { 0 } else { 1 };
    let difference = all[3].minus(&all[better], 0);
    println!("predicted − {}, seed by seed: {}", methods[better].0, figure(difference));
    Ok(())
}

/// `mean ± error` with the digits that matter.
pub(crate) fn figure(Estimate { mean, error }: Estimate) -> String {
    if mean != 0.0 && mean.abs() < 1e-3 {
        format!("{mean:.2e} ± {error:.0e}")
    } else {
        format!("{mean:.4} ± {error:.4}")
    }
}

/// A share in percent; a dash where there is none.
pub(crate) fn percent(share: Estimate) -> String {
    if share.mean.is_finite() { format!("{:.2}%", 100.0 * share.mean) } else { "–".into() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::tasks::Quadratic;

    #[test]
    fn prediction_helps_where_gradients_follow_lines() {
        let task = Quadratic::new(100, 100.0, 0.1);
        let methods = &methods()[..BASE];
        let all = compare(&task, methods, &rates(-6, -4), 2, 200).unwrap();
        let loss = |i: usize| all[i].estimate(0).mean;
        assert!(loss(3) < loss(1) && loss(3) < loss(0), "{all:?}");
        assert!(all[3].estimate(3).mean > 210.0);
        // As text, since the accuracy of a bowl is NaN.
        let again = compare(&task, methods, &rates(-6, -4), 2, 200).unwrap();
        assert_eq!(format!("{all:?}"), format!("{again:?}"));
    }

    /// Where every step is noise, nothing is predicted, and the run is that of momentum.
    #[test]
    fn noise_closes_the_gate() {
        let task = Quadratic::new(20, 30.0, 100.0);
        let config = DeterministicPhaseConfig::default();
        let predicted = Method::Predicted { momentum: 0.9, config };
        let plain = run(&task, Method::Plain { momentum: 0.9 }, 0.01, 1, 60).unwrap();
        let other = run(&task, predicted, 0.01, 1, 60).unwrap();
        assert_eq!((plain[0], plain[3]), (other[0], other[3]));
    }
}
