//! Training of four workers whose gradients travel compressed: loss by codec and ratio.

mod method;
mod workers;

use crate::tasks::{Digits, Order, Task, Transformer};
use crate::{Data, Result};
use clap::{Args, ValueEnum};
use method::Method;
use std::sync::Mutex;
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
    /// Learning rates, the best of which counts for each codec.
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.3,1")]
    rates: Vec<f32>,
    /// Words sent for each parameter.
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.02")]
    ratios: Vec<f32>,
    /// Codecs; nothing compressed is always there.
    #[arg(long, value_delimiter = ',', default_values_t = Method::COMPRESSED)]
    codecs: Vec<Method>,
    /// Workers that share a batch.
    #[arg(long, default_value_t = 4)]
    workers: usize,
}

/// A run to make: its place in the table, codec, ratio, rate and seed.
type Job = (usize, Method, f32, f32, u64);

/// Prints the validation loss of every codec at its best rate, beside that of nothing compressed.
pub(crate) fn run(data: &Data, settings: &Settings) -> Result<()> {
    let task: Box<dyn Task> = match (settings.subject, &data.digits, &data.text) {
        (Subject::Digits, Some(path), _) => Box::new(Digits::read(path, data.hidden)?),
        (Subject::Transformer, _, Some(path)) => {
            Box::new(Transformer::new(&std::fs::read_to_string(path)?)?)
        }
        _ => return Err("this task needs --digits or --text".into()),
    };
    let mut rows = vec![(Method::None, 1.0)];
    for &ratio in &settings.ratios {
        rows.extend(settings.codecs.iter().map(|&method| (method, ratio)));
    }
    let mut jobs = Vec::new();
    for (place, &(method, ratio)) in rows.iter().enumerate() {
        for &rate in &settings.rates {
            jobs.extend((0..settings.seeds).map(|seed| (place, method, ratio, rate, seed)));
        }
    }
    jobs.reverse();
    let (jobs, losses) = (Mutex::new(jobs), Mutex::new(vec![Vec::new(); rows.len()]));
    let poisoned = |_| "another run failed";
    std::thread::scope(|scope| -> Result<()> {
        let work = || -> Result<()> {
            loop {
                let Some(job) = jobs.lock().map_err(|_| poisoned(()))?.pop() else { return Ok(()) };
                let loss = train(task.as_ref(), settings, job)?;
                losses.lock().map_err(|_| poisoned(()))?[job.0].push((job.3, loss));
            }
        };
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            thread.join().map_err(|_| "a run panicked")??;
        }
        Ok(())
    })?;
    let losses = losses.into_inner().map_err(|_| poisoned(()))?;
    let means = |runs: &[(f32, f64)]| -> Vec<f64> {
        let mean = |rate: &f32| {
            let of_rate: Vec<f64> =
                runs.iter().filter(|(r, _)| r == rate).map(|(_, loss)| *loss).collect();
            of_rate.iter().sum::<f64>() / of_rate.len() as f64
        };
        settings.rates.iter().map(mean).collect()
    };
    let best = |means: &[f64]| means.iter().copied().fold(f64::INFINITY, f64::min);
    let plain = best(&means(&losses[0]));
    println!("codec, times smaller, best loss, against none, loss at rates {:?}", settings.rates);
    for ((method, ratio), runs) in rows.iter().zip(&losses) {
        let workers = Workers::new(*method, &task.shapes(), *ratio, settings.workers, 0)?;
        let means = means(runs);
        let rates: Vec<String> = means.iter().map(|m| format!("{m:.4}")).collect();
        println!(
            "| {method} | {:.1}× | {:.4} | {:+.1}% | {} |",
            workers.times_smaller(),
            best(&means),
            100.0 * (best(&means) / plain - 1.0),
            rates.join(" ")
        );
    }
    Ok(())
}

/// The validation loss after training.
fn train(task: &dyn Task, settings: &Settings, job: Job) -> Result<f64> {
    let (_, method, ratio, rate, seed) = job;
    let mut params = task.initial(seed);
    let mut workers = Workers::new(method, &task.shapes(), ratio, settings.workers, seed)?;
    let mut order = Order::new(task.samples(), seed);
    for step in 0..settings.steps {
        let batch = order.next(task.batch());
        let update = workers.step(task, &params, &batch, step as u64)?;
        let weights = params.iter_mut().flatten();
        weights.zip(update).for_each(|(p, u)| *p -= rate * u);
        if params.iter().flatten().any(|p| !p.is_finite()) {
            return Ok(f64::INFINITY);
        }
    }
    Ok(task.validation(&params)?.loss)
}
