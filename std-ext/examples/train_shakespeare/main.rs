//! Trains the project's small model: a decoder of the llama architecture with about
//! a million weights, on one text file, with the nested quantiser in the loop.
//!
//! The first part of the steps runs in f32. From then on each step runs half of its
//! windows at Bit3 and half at Bit7 or Bit5 in turn; the gradient with respect to
//! the quantised weights is applied to the f32 weights behind them. The output is
//! an f32 GGUF file of the weights with the best mean validation loss over the three
//! lanes. Quantising it by the rule in `quantiser.rs` gives the lanes as trained.
//!
//! Vocabulary, initial weights, windows and lanes depend on the text and the
//! settings alone. With one build on one kind of CPU the file has been the same to the
//! last bit for one and two threads, and for a run that was stopped and resumed. It is
//! not guaranteed to be the same elsewhere: the matrix products come from candle's CPU
//! backend, which chooses its kernels by the instruction set, and the system's
//! mathematical library supplies the cosines and powers.

mod bpe;
mod checkpoint;
mod data;
mod gguf;
mod optimiser;
mod quantiser;
mod report;

use bpe::Vocabulary;
use candle_core::{Device, Tensor, Var};
use checkpoint::Checkpoint;
use clap::Parser;
use data::Corpus;
use optimiser::{AdamW, Schedule};
use quantiser::Lane;
use report::Report;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use trilane_std::train::decoder::{self, Config, Param};
use trilane_std::train::ops::{self, Activation};
use trilane_std::train::random;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Train a small llama on a text file, for nested 3/5/7-bit lanes.
///
/// The first nine tenths of the text are for training, the rest is for validation.
/// At every evaluation the loss (nats per token) is measured at f32, Bit7, Bit5 and
/// Bit3, and the weights with the best mean over the three lanes are written to OUT,
/// an f32 GGUF file that `trilane convert` turns into a nested-lane file.
///
/// The two halves of a step run on two threads. Set RAYON_NUM_THREADS=1, so that the
/// matrix products inside them do not start more, and RUSTFLAGS="-C target-cpu=native"
/// when building, for the wider vectors of the CPU.
#[derive(Parser, Debug)]
struct Args {
    /// The text to learn, UTF-8.
    #[arg(long)]
    text: PathBuf,
    /// The GGUF file to write.
    #[arg(long)]
    out: PathBuf,
    /// Start from the weights of this model, of the same sizes and text, instead of random
    /// ones.
    #[arg(long, value_name = "GGUF")]
    start: Option<PathBuf>,
    /// Optimiser steps in all. Must stay the same when a run is resumed.
    #[arg(long, default_value_t = 5500)]
    steps: usize,
    /// Share of the steps that run in f32 before the quantiser joins; 1 trains a
    /// plain f32 model to compare with.
    #[arg(long, default_value_t = 0.3)]
    float_share: f64,
    /// Windows per step, an even number.
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// Tokens per window, begin token included; at most the context of 256.
    #[arg(long, default_value_t = 256)]
    window: usize,
    /// Highest learning rate, after the warmup.
    #[arg(long, default_value_t = 2e-3)]
    rate: f64,
    /// Weight decay of the matrices.
    #[arg(long, default_value_t = 0.1)]
    decay: f64,
    /// Function of the gate in the feed-forward blocks, `silu` or `relu2`.
    #[arg(long, default_value_t = Activation::Silu)]
    activation: Activation,
    /// Share of the hidden neurons that should be zero, for `--activation relu2`. During
    /// the f32 steps the share asked for rises in a straight line from half of it.
    #[arg(long, default_value_t = 0.0)]
    sparsity: f64,
    /// Seed of the initial weights and of the windows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps from one evaluation to the next.
    #[arg(long, default_value_t = 200)]
    evaluate: usize,
    /// Keep a checkpoint in this folder, and continue from the one that is there.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
}

/// The models that `models/` holds.
const fn shakespeare(activation: Activation) -> Config {
    Config {
        vocab: 512,
        dim: 128,
        hidden: 384,
        layers: 5,
        heads: 4,
        kv_heads: 2,
        context: 256,
        norm_eps: 1e-5,
        rope_base: 10_000.0,
        activation,
    }
}

/// What stays the same from step to step.
struct Run {
    args: Args,
    config: Config,
    params: Vec<Param>,
    corpus: Corpus,
    schedule: Schedule,
}

/// Gradients whose joint norm is larger are scaled down to it.
const CLIP: f64 = 1.0;
/// Half the square of the share of neurons that are active beyond the share allowed, times
/// this, is added to the loss.
const PENALTY: f64 = 50.0;
/// Intermediate evaluations read one validation window of so many.
const EVALUATION_STRIDE: usize = 6;

impl Run {
    /// The lanes of the two halves of a step.
    fn lanes(&self, step: usize) -> [Lane; 2] {
        if (step as f64) < self.args.float_share * self.args.steps as f64 {
            [Lane::Float; 2]
        } else if step.is_multiple_of(2) {
            [Lane::Bit3, Lane::Bit7]
        } else {
            [Lane::Bit3, Lane::Bit5]
        }
    }

    /// The share of the neurons that may be active in `step` without a penalty.
    fn allowed(&self, step: usize) -> f64 {
        let float_steps = (self.args.float_share * self.args.steps as f64).max(1.0);
        let progress = (step as f64 / float_steps).min(1.0);
        1.0 - self.args.sparsity * 0.5 * (1.0 + progress)
    }

    /// The values that a lane's forward pass reads, one vector per parameter.
    fn at_lane(&self, values: &[Vec<f32>], lane: Lane) -> Vec<Vec<f32>> {
        let pairs = self.params.iter().zip(values);
        pairs
            .map(|(param, w)| match param.matrix_cols() {
                Some(cols) => quantiser::reconstruct(w, cols, lane),
                None => w.clone(),
            })
            .collect()
    }

    /// Loss and gradients of one step, the mean of its two halves.
    fn gradients(&self, values: &[Vec<f32>], step: usize) -> Result<(f32, Vec<Vec<f32>>)> {
        let [first, second] = self.lanes(step);
        let (first, second) = thread::scope(|scope| {
            let other = scope.spawn(|| self.half_gradients(values, step, 1, second));
            (self.half_gradients(values, step, 0, first), other.join())
        });
        let (mut loss, mut grads) = first?;
        let (other_loss, other_grads) = second.map_err(|_| "a training thread failed")??;
        loss = 0.5 * (loss + other_loss);
        let pairs = grads.iter_mut().flatten().zip(other_grads.iter().flatten());
        pairs.for_each(|(a, b)| *a = 0.5 * (*a + b));
        Ok((loss, grads))
    }

    /// Loss and gradients of one half of a step, at one lane.
    fn half_gradients(
        &self,
        values: &[Vec<f32>],
        step: usize,
        half: usize,
        lane: Lane,
    ) -> candle_core::Result<(f32, Vec<Vec<f32>>)> {
        let leaves = self.params.iter().zip(self.at_lane(values, lane));
        let leaves: Vec<Var> = leaves
            .map(|(p, w)| Var::from_vec(w, p.shape.as_slice(), &Device::Cpu))
            .collect::<candle_core::Result<_>>()?;
        let weights: Vec<Tensor> = leaves.iter().map(|v| v.as_tensor().clone()).collect();
        let (sequences, window) = (self.args.batch / 2, self.args.window);
        let batch = self.corpus.draw(!self.args.seed, 2 * step + half, sequences, window);
        let outcome = decoder::outcome(&self.config, &weights, batch)?;
        let loss = outcome.loss()?;
        let grads = if self.args.sparsity > 0.0 {
            let excess = (outcome.active - self.allowed(step))?.relu()?;
            (&loss + (excess.sqr()? * (0.5 * PENALTY))?)?.backward()?
        } else {
            loss.backward()?
        };
        let missing = || candle_core::Error::Msg("a parameter has no gradient".into());
        let grads = leaves.iter().map(|leaf| ops::from_rows(grads.get(leaf).ok_or_else(missing)?));
        Ok((loss.to_scalar::<f32>()?, grads.collect::<candle_core::Result<_>>()?))
    }

    /// Validation loss and active share at one lane, over one window of every `stride`.
    fn validate(
        &self,
        values: &[Vec<f32>],
        lane: Lane,
        stride: usize,
    ) -> candle_core::Result<(f64, f64)> {
        let leaves = self.params.iter().zip(self.at_lane(values, lane));
        let weights: Vec<Tensor> = leaves
            .map(|(p, w)| Tensor::from_vec(w, p.shape.as_slice(), &Device::Cpu))
            .collect::<candle_core::Result<_>>()?;
        let (mut sum, mut active, mut count) = (0.0, 0.0, 0.0);
        for batch in self.corpus.validate(self.args.batch, self.config.context, stride) {
            let tokens = batch.targets.len() as f64;
            let outcome = decoder::outcome(&self.config, &weights, batch)?;
            sum += f64::from(outcome.loss()?.to_scalar::<f32>()?) * tokens;
            active += f64::from(outcome.active.to_scalar::<f32>()?) * tokens;
            count += tokens;
        }
        Ok((sum / count, active / count))
    }

    /// Validation losses of [`Lane::ALL`] and the mean of the three quantised ones.
    fn evaluate(&self, values: &[Vec<f32>], stride: usize) -> Result<(String, f64)> {
        let (mut line, mut mean) = (String::from("validation"), 0.0);
        let outcomes = thread::scope(|scope| {
            let task = |lane| scope.spawn(move || self.validate(values, lane, stride));
            Lane::ALL.map(task).map(|task| task.join())
        });
        for (lane, outcome) in Lane::ALL.into_iter().zip(outcomes) {
            let (loss, active) = outcome.map_err(|_| "a validation thread failed")??;
            line += &format!("  {} {loss:.4}", lane.name());
            if self.config.activation == Activation::Relu2 {
                line += &format!(" ({:.1}% active)", 100.0 * active);
            }
            if lane != Lane::Float {
                mean += loss / 3.0;
            }
        }
        Ok((line, mean))
    }

    fn train(&self, vocabulary: &Vocabulary) -> Result<()> {
        let mut values = match &self.args.start {
            Some(path) => gguf::read(path, &self.params)
                .map_err(|e| format!("cannot start from {}: {e}", path.display()))?,
            None => {
                let inits = self.params.iter().zip(0_u64..);
                inits.map(|(p, i)| p.init(random::bits(self.args.seed, i))).collect()
            }
        };
        let mut adam = AdamW::new(&self.params, self.args.decay);
        let mut best_values = values.clone();
        let (mut first, mut best) = (0, f64::INFINITY);
        let checkpoint = self.args.resume.as_ref().map(|dir| dir.join("checkpoint.bin"));
        if let Some(path) = &checkpoint {
            let mut state = self.checkpoint(0, best, &mut values, &mut adam, &mut best_values);
            if state.load(path)? {
                (first, best) = (state.step, state.best);
                println!("continuing at step {first}");
            }
        }
        let report = Report::new(first, self.args.steps, self.args.batch * self.args.window);
        for step in first..self.args.steps {
            let rate = self.schedule.rate(step);
            let (loss, mut grads) = self.gradients(&values, step)?;
            let norm = optimiser::clip(&mut grads, CLIP);
            adam.update(&self.params, &mut values, &grads, step, rate);
            report.step(step + 1, loss, norm);
            let done = step + 1;
            if done.is_multiple_of(self.args.evaluate) || done == self.args.steps {
                let (line, mean) = self.evaluate(&values, EVALUATION_STRIDE)?;
                report.line(&format!("step {done}: {line}"));
                if mean < best {
                    best = mean;
                    best_values.clone_from(&values);
                    self.export(vocabulary, &best_values)?;
                }
                if let Some(path) = &checkpoint {
                    self.checkpoint(done, best, &mut values, &mut adam, &mut best_values)
                        .save(path)?;
                }
            }
        }
        report.finish();
        self.export(vocabulary, &best_values)?;
        let (line, _) = self.evaluate(&best_values, 1)?;
        println!("{}: whole {line}", self.args.out.display());
        Ok(())
    }

    fn checkpoint<'a>(
        &self,
        step: usize,
        best: f64,
        values: &'a mut Vec<Vec<f32>>,
        adam: &'a mut AdamW,
        best_values: &'a mut Vec<Vec<f32>>,
    ) -> Checkpoint<'a> {
        let a = &self.args;
        Checkpoint {
            run: format!(
                "steps {} float {} batch {} window {} rate {} decay {} {} {} seed {} tokens {}",
                a.steps,
                a.float_share,
                a.batch,
                a.window,
                a.rate,
                a.decay,
                a.activation.name(),
                a.sparsity,
                a.seed,
                self.corpus.training.len()
            ),
            step,
            best,
            tensors: [values, &mut adam.first, &mut adam.second, best_values],
        }
    }

    fn export(&self, vocabulary: &Vocabulary, values: &[Vec<f32>]) -> Result<()> {
        let path: &Path = &self.args.out;
        Ok(gguf::write(path, &self.config, vocabulary, &self.params, values)?)
    }
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    let config = shakespeare(args.activation);
    let sparsity_range = match args.activation {
        Activation::Silu => 0.0..=0.0,
        Activation::Relu2 => 0.0..=1.0,
    };
    if !sparsity_range.contains(&args.sparsity) {
        return Err("--sparsity must be 0 to 1, and 0 without --activation relu2".into());
    }
    if !(2..=config.context).contains(&args.window) {
        return Err(format!("--window must be 2 to {}", config.context).into());
    }
    if args.batch == 0 || !args.batch.is_multiple_of(2) || args.evaluate == 0 {
        return Err("--batch must be even, and neither it nor --evaluate zero".into());
    }
    if let Some(dir) = &args.resume {
        fs::create_dir_all(dir)?;
    }
    let text = fs::read_to_string(&args.text)
        .map_err(|e| format!("cannot read {}: {e}", args.text.display()))?;
    let vocabulary = Vocabulary::train(data::split(&text).0, config.vocab);
    let corpus = Corpus::new(&text, &vocabulary);
    if vocabulary.len() < config.vocab || corpus.validation.len() < config.context {
        return Err("the text is too short for this vocabulary and context".into());
    }
    let params = decoder::params(&config);
    println!(
        "{} weights, {} training and {} validation tokens of {:.2} bytes",
        params.iter().map(Param::len).sum::<usize>(),
        corpus.training.len(),
        corpus.validation.len(),
        text.len() as f64 / (corpus.training.len() + corpus.validation.len()) as f64,
    );
    let schedule = Schedule {
        peak: args.rate,
        floor: args.rate / 20.0,
        warmup: 100.min(args.steps / 10),
        steps: args.steps,
    };
    Run { args, config, params, corpus, schedule }.train(&vocabulary)
}
