//! Losses by sample-backward passes, with and without selection of samples.

use crate::Result;
use crate::prediction::{Descent, figure, percent};
use crate::sweep::{self, Estimate, Figures};
use crate::tasks::{Gradient, Order, Params, Task};
use clap::Args;
use std::time::Instant;
use trilane_core::train::herding::Herding;
use trilane_core::train::predict::{
    DeterministicPhaseConfig, DeterministicPhaseTrainer, TensorMoments,
};
use trilane_core::train::selection::{SampleLoss, Selection, SelectionConfig};

/// What is compared, and how it is judged.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// How much of a moving mean of the parameters a step keeps, such as 0.95; 0 judges the last
    /// parameters.
    #[arg(long, default_value_t = 0.0)]
    average: f32,
    /// Only methods whose name contains this, and plain training.
    #[arg(long, default_value = "")]
    methods: String,
}

impl Settings {
    /// Plain training and the chosen ones of the others; nothing is herded where there are no layers.
    fn chosen(
        &self,
        task: &dyn Task,
        mut methods: Vec<(String, Method)>,
    ) -> Result<Vec<(String, Method)>> {
        let layers = task.head_gradients(&task.initial(1), &[0])?.is_some();
        methods.retain(|(name, method)| {
            let wanted = name.contains(&self.methods) || PLAIN.contains(&name.as_str());
            wanted && (layers || !matches!(method.choice, Choice::Herded(_)))
        });
        Ok(methods)
    }

    fn plain(&self, momentum: f32) -> Method {
        let average = self.average;
        Method { choice: Choice::All, momentum, prediction: false, average }
    }

    fn herded(&self, of: usize) -> Method {
        Method { choice: Choice::Herded(of), ..self.plain(0.9) }
    }
}

/// How batches are filled, and whether gradients are predicted between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Method {
    pub(crate) choice: Choice,
    pub(crate) momentum: f32,
    pub(crate) prediction: bool,
    /// How much of the mean of the parameters a step keeps; 0 takes the last parameters instead.
    pub(crate) average: f32,
}

/// Which samples get a backward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Choice {
    /// All.
    All,
    /// By their losses.
    Loss(SelectionConfig),
    /// One of so many, which together are like all.
    Herded(usize),
}

/// Losses that percentiles are taken over.
const RECENT: usize = 512;

/// Figures of a run: training loss, validation loss, accuracy, sample-forward passes for selection and
/// seconds; then the validation loss at every look on the way.
const FIGURES: usize = 5;

/// The next batch, by losses: the samples, and their weights.
fn fill(
    task: &dyn Task,
    params: &Params,
    order: &mut Order,
    selection: &mut Selection<'_>,
) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
    let (mut samples, mut weights) = (Vec::new(), Vec::new());
    while samples.len() < task.batch() {
        let candidates = order.next(task.batch());
        let mut unknown = Vec::new();
        for &sample in &candidates {
            if selection.needs_forward(sample)? {
                unknown.push(sample);
            }
        }
        if !unknown.is_empty() {
            for (&sample, loss) in unknown.iter().zip(task.losses(params, &unknown)?) {
                if selection.record(sample, loss).is_err() {
                    return Ok(None);
                }
            }
        }
        for sample in candidates {
            if samples.len() < task.batch()
                && let Some(weight) = selection.select(sample)?
            {
                samples.push(sample);
                weights.push(weight);
            }
        }
    }
    Ok(Some((samples, weights)))
}

/// The next batch, one of `of` samples taken so that the gradients of the last layer add up to those of
/// all.
fn herd(
    task: &dyn Task,
    params: &Params,
    order: &mut Order,
    herding: &mut Herding<'_>,
    of: usize,
) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
    let candidates = order.next(of * task.batch());
    let features = task.head_gradients(params, &candidates)?.ok_or("a task without layers")?;
    let mut taken = vec![0; task.batch()];
    if herding.take(&features, &mut taken).is_err() {
        return Ok(None);
    }
    let samples = taken.iter().map(|&i| candidates[i]).collect();
    Ok(Some((samples, vec![1.0; task.batch()])))
}

/// Trains for `passes` batches of backward passes; looks at the validation loss every `look` of them.
pub(crate) fn run(
    task: &dyn Task,
    method: Method,
    rate: f32,
    seed: u64,
    passes: usize,
    look: usize,
) -> Result<Figures> {
    let task = task.of_seed(seed).unwrap_or(task);
    let diverged = || Ok(vec![f64::INFINITY; FIGURES + passes / look]);
    let (mut losses, mut recent) = (vec![SampleLoss::default(); task.samples()], [0.0; RECENT]);
    let config = match method.choice {
        Choice::Loss(config) => config,
        Choice::All | Choice::Herded(_) => SelectionConfig::default(),
    };
    let mut selection = Selection::new(&mut losses, &mut recent, config)?;
    let head = task.head_gradients(&task.initial(seed), &[0])?;
    let mut owed = head.unwrap_or_else(|| vec![0.0]);
    let (mut herding, mut herded) = (Herding::new(&mut owed)?, 0);
    let descent = Descent::new(task.initial(seed), method.momentum, rate);
    let mut descent = descent.averaged(method.average);
    let mut tensors: Vec<_> =
        descent.params.iter().map(|tensor| TensorMoments::new(tensor.len())).collect();
    let parameters = descent.params.iter().map(Vec::len).sum();
    let config = DeterministicPhaseConfig::default();
    let mut state = vec![0.0; DeterministicPhaseTrainer::state_len(parameters, &config)];
    let mut trainer = DeterministicPhaseTrainer::new(&mut tensors, &mut state, config)?;
    let mut predicted = vec![0.0; parameters];
    let mut order = Order::new(task.samples(), seed);
    let mut looks = Vec::new();
    let (start, mut watched) = (Instant::now(), 0.0);
    let mut done = 0;
    while done < passes {
        if method.prediction && !trainer.needs_backward() {
            trainer.get_predicted_gradients(&mut predicted)?;
            descent.step(&predicted);
            trainer.end_step(None)?;
            selection.updated();
            continue;
        }
        let filled = match method.choice {
            Choice::All => Some((order.next(task.batch()), vec![1.0; task.batch()])),
            Choice::Loss(_) => fill(task, &descent.params, &mut order, &mut selection)?,
            Choice::Herded(of) => {
                herded += of * task.batch();
                herd(task, &descent.params, &mut order, &mut herding, of)?
            }
        };
        let Some((samples, mut weights)) = filled else { return diverged() };
        let total: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        let Gradient { losses, gradients } = task.gradient(&descent.params, &samples, &weights)?;
        if let Choice::Loss(_) = method.choice {
            for (&sample, loss) in samples.iter().zip(losses) {
                if selection.refresh(sample, loss).is_err() {
                    return diverged();
                }
            }
        }
        let gradient = gradients.concat();
        if method.prediction {
            if trainer.record_full_gradients(&gradient).is_err() {
                return diverged();
            }
            trainer.end_step(None)?;
        }
        descent.step(&gradient);
        selection.updated();
        done += 1;
        if done % look == 0 {
            let begin = Instant::now();
            looks.push(task.validation(descent.result())?.loss);
            watched += begin.elapsed().as_secs_f64();
        }
    }
    let seconds = start.elapsed().as_secs_f64() - watched;
    let validation = task.validation(descent.result())?;
    let training = task.training_loss(descent.result(), 2048)?;
    let forward = (selection.stats().forward_passes + herded as u64) as f64;
    let mut figures = vec![training, validation.loss, validation.accuracy, forward, seconds];
    figures.append(&mut looks);
    Ok(figures)
}

/// The methods of the table.
fn methods(settings: &Settings) -> Vec<(String, Method)> {
    let plain = |momentum| settings.plain(momentum);
    let selected = |power, most_age, importance| Method {
        choice: Choice::Loss(SelectionConfig { power, most_age, importance }),
        ..plain(0.9)
    };
    let mut methods = vec![(PLAIN[0].to_string(), plain(0.0)), (PLAIN[1].into(), plain(0.9))];
    for power in [1.0, 2.0, 4.0] {
        methods.push((format!("β = {power}"), selected(power, 0, false)));
    }
    methods.push(("β = 4, weighted".into(), selected(4.0, 0, true)));
    methods.push(("β = 4, age ≤ 16".into(), selected(4.0, 16, false)));
    methods.push(("β = 4, age ≤ 64".into(), selected(4.0, 64, false)));
    methods
        .push(("β = 4, predicted".into(), Method { prediction: true, ..selected(4.0, 0, false) }));
    methods.push(("herded, 1 of 8".into(), settings.herded(8)));
    methods
}

/// Prints the table of a task.
pub(crate) fn table(
    task: &dyn Task,
    settings: &Settings,
    rates: &[f32],
    seeds: u64,
    passes: usize,
) -> Result<()> {
    println!(
        "\n{}, {} sample-backward passes, {seeds} seeds, rates {} to {}",
        task.name(),
        passes * task.batch(),
        rates[0],
        rates[rates.len() - 1]
    );
    println!(
        "| method | training loss | validation loss | accuracy | forward passes | seconds | best validation loss | rate |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let methods = settings.chosen(task, methods(settings))?;
    let all = sweep::best(methods.len(), rates, seeds, |method, rate, seed| {
        run(task, methods[method].1, rate, seed, passes, passes)
    })?;
    for ((name, _), best) in methods.iter().zip(&all) {
        let [training, validation, accuracy, forward, seconds] =
            [0, 1, 2, 3, 4].map(|i| best.estimate(i));
        println!(
            "| {name} | {} | {} | {} | {:.0} | {:.2} | {} |",
            figure(training),
            figure(validation),
            percent(accuracy),
            forward.mean,
            seconds.mean,
            best.rate
        );
    }
    Ok(())
}

/// What sets the target of a race.
const PLAIN: [&str; 2] = ["SGD", "momentum 0.9"];

/// Looks on the way to the best validation loss.
const LOOKS: usize = 100;

/// Prints how many backward passes it takes to reach plain training's best validation loss.
///
/// Every method and rate has a curve, the mean of the seeds'. The lowest point of all curves of plain
/// training, with momentum or without, is the target; a method's rate is the one that reaches it first,
/// or comes closest.
pub(crate) fn race(
    task: &dyn Task,
    settings: &Settings,
    rates: &[f32],
    seeds: u64,
    passes: usize,
) -> Result<()> {
    let look = passes.div_ceil(LOOKS);
    let plain = |momentum| settings.plain(momentum);
    let selected = |momentum, power, most_age| Method {
        choice: Choice::Loss(SelectionConfig { power, most_age, importance: false }),
        ..plain(momentum)
    };
    let methods = [
        (PLAIN[0], plain(0.0)),
        (PLAIN[1], plain(0.9)),
        ("SGD, β = 1", selected(0.0, 1.0, 0)),
        ("SGD, β = 2", selected(0.0, 2.0, 0)),
        ("SGD, β = 4", selected(0.0, 4.0, 0)),
        ("β = 1", selected(0.9, 1.0, 0)),
        ("β = 2", selected(0.9, 2.0, 0)),
        ("β = 4", selected(0.9, 4.0, 0)),
        ("β = 4, age ≤ 64", selected(0.9, 4.0, 64)),
        ("herded, 1 of 8", settings.herded(8)),
        ("herded, 1 of 16", settings.herded(16)),
        ("herded, 1 of 32", settings.herded(32)),
    ];
    let methods = methods.map(|(name, method)| (name.into(), method)).into();
    let methods = settings.chosen(task, methods)?;
    let each = rates.len() * seeds as usize;
    let all = sweep::jobs(methods.len() * each, |at| {
        let (rate, seed) = (rates[at % each / seeds as usize], at % seeds as usize);
        run(task, methods[at / each].1, rate, seed as u64 + 1, passes, look)
    })?;
    let curve = |runs: &[Figures]| -> Vec<Estimate> {
        let at = |i| Estimate::of(&runs.iter().map(|run| run[FIGURES + i]).collect::<Vec<_>>());
        (0..passes / look).map(at).collect()
    };
    let curves: Vec<Vec<Estimate>> = all.chunks(seeds as usize).map(curve).collect();
    let lowest = |curve: &Vec<Estimate>| {
        let least = curve.iter().enumerate().min_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
        least.map_or((0, f64::INFINITY), |(at, point)| (at, point.mean))
    };
    let plain = curves[..2 * rates.len()].iter().map(lowest);
    let target = plain.map(|(_, loss)| loss).fold(f64::INFINITY, f64::min);
    println!(
        "\n{}, at most {} sample-backward passes, {seeds} seeds, rates {} to {}; target {target:.4}",
        task.name(),
        passes * task.batch(),
        rates[0],
        rates[rates.len() - 1],
    );
    println!("| method | to 1.02 × target | rate | to the target | rate | lowest | after | rate |");
    println!("|---|---|---|---|---|---|---|---|");
    let samples = |at: usize| (at + 1) * look * task.batch();
    for ((name, _), curves) in methods.iter().zip(curves.chunks(rates.len())) {
        let mut line = format!("| {name} |");
        for slack in [1.02, 1.0] {
            let reached = curves.iter().zip(rates).filter_map(|(curve, rate)| {
                Some((curve.iter().position(|point| point.mean <= slack * target)?, rate))
            });
            line += &match reached.min_by_key(|(at, _)| *at) {
                Some((at, rate)) => format!(" {} | {rate} |", samples(at)),
                None => " never | – |".into(),
            };
        }
        let least = curves.iter().map(lowest).zip(rates);
        if let Some(((at, _), rate)) = least.min_by(|a, b| a.0.1.total_cmp(&b.0.1)) {
            let best = rates.iter().position(|other| other == rate).unwrap_or(0);
            line += &format!(" {} | {} | {rate} |", figure(curves[best][at]), samples(at));
        }
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::tasks::Digits;

    #[test]
    fn selected_samples_teach_and_runs_repeat() {
        let task = Digits::synthetic(200, 12);
        let plain = Method { choice: Choice::All, momentum: 0.0, prediction: false, average: 0.0 };
        let by_loss = Choice::Loss(SelectionConfig::default());
        for (choice, prediction) in [(by_loss, false), (by_loss, true), (Choice::Herded(5), false)]
        {
            let method = Method { choice, prediction, ..plain };
            let run = || run(&task, method, 0.25, 1, 40, 20).unwrap();
            let figures = run();
            let start = task.training_loss(&task.initial(1), 200).unwrap();
            assert!(figures[0] < 0.5 * start, "{figures:?} {start}");
            // One of five is taken.
            assert!((3.0..7.0).contains(&(figures[3] / (40.0 * 32.0))), "{figures:?}");
            let again = run();
            assert_eq!(figures[..4], again[..4]);
            assert_eq!(figures[FIGURES..], again[FIGURES..]);
        }
    }
}
