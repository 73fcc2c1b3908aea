//! Experiments with training: what each method of `trilane_core::train` is worth, against plain
//! training with learning rates tuned alike.
//!
//! Results depend on the settings alone. Runs are spread over two threads, each computes alone: set
//! RAYON_NUM_THREADS=1, so that the matrix products of the transformer do not start more.

mod compression;
mod cost;
#[path = "../train_digits/data.rs"]
#[allow(dead_code, reason = "the rest of it is for train_digits")]
mod data;
mod prediction;
mod published;
#[path = "../train_digits/random.rs"]
#[allow(dead_code, reason = "the rest of it is for train_digits")]
mod random;
mod selection;
mod sweep;
mod tasks;

use clap::{Args, Parser, Subcommand};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use tasks::{Digits, DigitsSettings, Gradient, Logistic, Order, Quadratic, Task, Transformer};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Experiments with training; each prints a table of docs/training.md.
#[derive(Parser, Debug)]
struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,
    #[command(flatten)]
    data: Data,
}

#[derive(Subcommand, Debug)]
enum Experiment {
    /// Plain training of every task, once.
    Tasks,
    /// Training of several workers whose gradients travel compressed.
    Compression(compression::Settings),
    /// Predicted gradients against SGD, momentum and the published predictor, at equal backward
    /// passes.
    Prediction {
        #[command(flatten)]
        size: Size,
        /// Variants of prediction too.
        #[arg(long)]
        variants: bool,
    },
    /// Selected samples against plain training, at equal sample-backward passes.
    Selection {
        #[command(flatten)]
        size: Size,
        #[command(flatten)]
        settings: selection::Settings,
    },
    /// The time of a prediction.
    Cost {
        /// Parameters in a tensor.
        #[arg(long, default_value_t = 1_000_000)]
        parameters: usize,
        /// Gradients, of which the fastest counts.
        #[arg(long, default_value_t = 200)]
        rounds: u64,
    },
    /// Sample-backward passes to plain training's best validation loss.
    Race {
        #[command(flatten)]
        size: Size,
        #[command(flatten)]
        settings: selection::Settings,
    },
}

/// How large an experiment is.
#[derive(Args, Debug)]
struct Size {
    /// Backward passes, each of a batch.
    #[arg(long, default_value_t = 200)]
    passes: usize,
    /// Seeds, from 1.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Learning rates from 2 to this power …
    #[arg(long, default_value_t = -6, allow_negative_numbers = true)]
    first_rate: i32,
    /// … to 2 to this one.
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    last_rate: i32,
    /// Only tasks whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// A tenth of the passes and two seeds, to see that it works.
    #[arg(long)]
    quick: bool,
}

impl Size {
    /// Prints a table for every task: of task, rates, seeds and passes.
    fn tables(
        &self,
        tasks: &[Box<dyn Task>],
        table: impl Fn(&dyn Task, &[f32], u64, usize) -> Result<()>,
    ) -> Result<()> {
        let rates = prediction::rates(self.first_rate, self.last_rate);
        let (passes, seeds) =
            if self.quick { (self.passes.div_ceil(10), 2) } else { (self.passes, self.seeds) };
        if rates.is_empty() || passes == 0 || seeds == 0 {
            return Err("no rates, passes or seeds".into());
        }
        let chosen = tasks.iter().filter(|task| task.name().contains(&self.only));
        chosen.into_iter().try_for_each(|task| table(task.as_ref(), &rates, seeds, passes))
    }
}

/// Where the data is; tasks without it are left out.
#[derive(Args, Debug)]
struct Data {
    /// scikit-learn's digits.csv, as models/README.md says where to get it.
    #[arg(long, global = true)]
    digits: Option<PathBuf>,
    #[command(flatten)]
    settings: DigitsSettings,
    /// Tiny Shakespeare, or another text.
    #[arg(long, global = true)]
    text: Option<PathBuf>,
    /// Windows of the text in a step of the transformer.
    #[arg(long, global = true, default_value_t = 8)]
    windows: usize,
}

impl Data {
    /// All the tasks whose data is there.
    fn tasks(&self) -> Result<Vec<Box<dyn Task>>> {
        let mut tasks: Vec<Box<dyn Task>> = vec![
            Box::new(Quadratic::new(100, 100.0, 0.0)),
            Box::new(Quadratic::new(100, 100.0, 0.1)),
            Box::new(Logistic::new(50, 2000, 1)),
        ];
        if let Some(path) = &self.digits {
            tasks.push(Box::new(Digits::read(path, self.settings)?));
        }
        if let Some(path) = &self.text {
            let text = std::fs::read_to_string(path)
                .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            tasks.push(Box::new(Transformer::new(&text, self.windows)?));
        }
        Ok(tasks)
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let tasks = arguments.data.tasks()?;
    match arguments.experiment {
        Experiment::Compression(settings) => compression::run(&arguments.data, &settings),
        Experiment::Tasks => tasks.iter().try_for_each(|task| plain(task.as_ref())),
        Experiment::Prediction { size, variants } => size
            .tables(&tasks, |task, rates, seeds, passes| {
                prediction::table(task, variants, rates, seeds, passes)
            }),
        Experiment::Selection { size, settings } => size
            .tables(&tasks, |task, rates, seeds, passes| {
                selection::table(task, &settings, rates, seeds, passes)
            }),
        Experiment::Cost { parameters, rounds } => cost::table(parameters, rounds),
        Experiment::Race { size, settings } => size.tables(&tasks, |task, rates, seeds, passes| {
            selection::race(task, &settings, rates, seeds, passes)
        }),
    }
}

/// Two hundred plain steps.
fn plain(task: &dyn Task) -> Result<()> {
    let mut params = task.initial(1);
    let mut order = Order::new(task.samples(), 1);
    let (start, mut first) = (Instant::now(), None);
    for _ in 0..200 {
        let Gradient { losses, gradients } =
            task.mean_gradient(&params, &order.next(task.batch()))?;
        first.get_or_insert(losses.iter().sum::<f32>() / losses.len() as f32);
        for (p, g) in params.iter_mut().flatten().zip(gradients.iter().flatten()) {
            *p -= 0.3 * g;
        }
    }
    let step = start.elapsed().as_secs_f64() / 200.0 * 1e3;
    let (loss, validation) = (task.training_loss(&params, 512)?, task.validation(&params)?);
    println!(
        "{}: {} weights in {} tensors, {step:.2} ms a step, training loss {:.4} to {loss:.4}, \
         validation {:.4}, {:.1}%",
        task.name(),
        params.iter().map(Vec::len).sum::<usize>(),
        task.shapes().len(),
        first.unwrap_or(f32::NAN),
        validation.loss,
        100.0 * validation.accuracy
    );
    Ok(())
}
