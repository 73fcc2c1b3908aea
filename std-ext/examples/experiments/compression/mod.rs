//! Training of four workers whose gradients travel compressed: loss by codec and ratio.

mod method;
mod table;
mod workers;

use crate::tasks::{Digits, Order, Task, Transformer};
use crate::{Data, Result};
use clap::{Args, ValueEnum};
use method::Method;
use std::sync::Mutex;
use table::Losses;
use workers::Workers;

/// What to train on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// The perceptron on digits (--digits).
    Digits,
    /// The small decoder on a text (--text).
    Transformer,
}

/// What to compare.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// The task.
    subject: Subject,
    /// Steps of training.
    #[arg(long, default_value_t = 1500)]
    steps: usize,
    /// Runs with different initial weights and orders.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Learning rates at the first step, the best of which counts for each codec.
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.3,1")]
    rates: Vec<f32>,
    /// The share of its rate with which a run ends, after a straight fall.
    #[arg(long, default_value_t = 0.0)]
    last_rate: f32,
    /// Words sent for each parameter.
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.02")]
    ratios: Vec<f32>,
    /// Codecs; nothing compressed is always there.
    #[arg(long, value_delimiter = ',', default_values_t = Method::COMPRESSED)]
    codecs: Vec<Method>,
    /// Times a worker takes what it has not sent yet before it computes its gradient.
    #[arg(long, value_delimiter = ',', default_value = "4")]
    ahead: Vec<f32>,
    /// Workers that share a batch.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Runs at a time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// How workers share a step: a row of the table.
#[derive(Clone, Copy, Debug)]
struct Variant {
    method: Method,
    /// Words sent for each parameter.
    ratio: f32,
    /// Times that residuals are stepped ahead.
    ahead: f32,
}

/// A run to make.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// The place of its variant in the table.
    place: usize,
    /// The place of its rate.
    rate: usize,
    seed: u64,
}

/// Prints the validation loss of every codec at its best rate, beside that of nothing compressed.
pub(crate) fn run(data: &Data, settings: &Settings) -> Result<()> {
    let task: Box<dyn Task> = match (settings.subject, &data.digits, &data.text) {
        (Subject::Digits, Some(path), _) => Box::new(Digits::read(path, data.settings)?),
        (Subject::Transformer, _, Some(path)) => {
            Box::new(Transformer::new(&std::fs::read_to_string(path)?, data.windows)?)
        }
        _ => return Err("this task needs --digits or --text".into()),
    };
    if settings.rates.is_empty() || settings.seeds == 0 || settings.steps == 0 {
        return Err("no rates, seeds or steps".into());
    }
    let variants = settings.variants();
    let losses = vec![Losses::new(settings.rates.len()); variants.len()];
    let (jobs, losses) = (Mutex::new(settings.jobs(variants.len())), Mutex::new(losses));
    let poisoned = |_| "another run failed";
    std::thread::scope(|scope| -> Result<()> {
        let work = || -> Result<()> {
            loop {
                let Some(job) = jobs.lock().map_err(|_| poisoned(()))?.pop() else { return Ok(()) };
                let loss = train(task.as_ref(), settings, variants[job.place], job)?;
                losses.lock().map_err(|_| poisoned(()))?[job.place].add(job.rate, job.seed, loss);
            }
        };
        let threads: Vec<_> = (0..settings.threads.max(1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            thread.join().map_err(|_| "a run panicked")??;
        }
        Ok(())
    })?;
    let losses = losses.into_inner().map_err(|_| poisoned(()))?;
    table::heading(&settings.rates);
    for (variant, runs) in variants.iter().zip(&losses) {
        let workers = Workers::new(*variant, &task.shapes(), settings.workers, 0)?;
        table::row(*variant, workers.times_smaller(), runs, &losses[0]);
    }
    Ok(())
}

impl Settings {
    /// The rows of the table, nothing compressed first.
    fn variants(&self) -> Vec<Variant> {
        let mut variants = vec![Variant { method: Method::None, ratio: 1.0, ahead: 0.0 }];
        for &ratio in &self.ratios {
            for &ahead in &self.ahead {
                let of = |&method| Variant { method, ratio, ahead };
                variants.extend(self.codecs.iter().map(of));
            }
        }
        variants
    }

    /// What there is to do, the first at the end.
    fn jobs(&self, variants: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        for place in (0..variants).rev() {
            for rate in (0..self.rates.len()).rev() {
                jobs.extend((0..self.seeds).rev().map(|seed| Job { place, rate, seed }));
            }
        }
        jobs
    }
}

/// The validation loss after training; infinite for a run that diverged.
fn train(task: &dyn Task, settings: &Settings, variant: Variant, job: Job) -> Result<f64> {
    let task = task.of_seed(job.seed).unwrap_or(task);
    let mut params = task.initial(job.seed);
    let mut workers = Workers::new(variant, &task.shapes(), settings.workers, job.seed)?;
    let mut order = Order::new(task.samples(), job.seed);
    for step in 0..settings.steps {
        let fallen = (1.0 - settings.last_rate) * step as f32 / settings.steps as f32;
        let rate = settings.rates[job.rate] * (1.0 - fallen);
        let batch = order.next(task.batch());
        let Some(update) = workers.step(task, &params, &batch, rate, step as u64)? else {
            return Ok(f64::INFINITY);
        };
        params.iter_mut().flatten().zip(update).for_each(|(p, u)| *p -= u);
    }
    let loss = task.validation(&params)?.loss;
    Ok(if loss.is_finite() { loss } else { f64::INFINITY })
}
