//! Trains the project's smallest model: a perceptron for handwritten digits of 8×8 pixels, a few
//! kilobytes of ternary or 3-bit weights that are computed with in integers alone.
//!
//! The forward pass of training is the function that [`Mlp`] computes, so the accuracy that it
//! reports is that of the device. Everything is computed here, on one thread, in one order and
//! without the system's mathematical library: the file is the same to the last bit on every
//! machine, which a tensor library with kernels for each processor could not promise.

mod data;
mod gguf;
mod network;
mod optimiser;
mod quantiser;
mod random;
mod train;

use clap::Parser;
use data::Sample;
use indicatif::ProgressBar;
use network::Network;
use quantiser::Weights;
use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use train::Settings;
use trilane_core::model::{Line, MLP_MAX_LAYERS, Mlp};
use trilane_std::gguf_writer::write_atomically;
use trilane_std::level;
use trilane_std::mapped::MappedFile;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Train a small integer network on 8×8 handwritten digits.
///
/// A fifth of the data is held out, chosen by class and position in the file alone; training sees
/// the rest, each image warped a little every time. The file that is written is read back and
/// evaluated as a device would.
#[derive(Parser, Debug)]
#[command(after_help = "\
The data come with scikit-learn, which need not be installed:
  pip download --no-deps scikit-learn
  unzip -p scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz | gunzip > digits.csv

Examples:
  train_digits --data digits.csv --out digits.gguf --held-out digits-test.bin
  train_digits --data digits.csv --weights float            the twin in f32, nothing is written
  train_digits --data digits.csv --hidden 96,96 --fold 0    choose settings without the held-out fifth")]
struct Args {
    /// The images: lines of 64 pixels of 0..=16 and the digit, with commas.
    #[arg(long, value_name = "CSV")]
    data: PathBuf,
    /// The GGUF file to write; not with float weights.
    #[arg(long, value_name = "GGUF")]
    out: Option<PathBuf>,
    /// Write the held-out samples: a byte of label and 64 of pixels each.
    #[arg(long, value_name = "BIN")]
    held_out: Option<PathBuf>,
    /// What the forward pass reads the weights as.
    #[arg(long, value_enum, default_value_t = Weights::Bit3)]
    weights: Weights,
    /// Neurons of the hidden layers, with commas, all the same.
    #[arg(long, value_delimiter = ',', default_value = "192")]
    hidden: Vec<usize>,
    /// Times that every sample is seen.
    #[arg(long, default_value_t = 1000)]
    epochs: usize,
    /// Step size at the start; it falls to zero in a straight line.
    #[arg(long, default_value_t = 2e-3)]
    rate: f32,
    /// Share of a weight that a step of size 1 would take away.
    #[arg(long, default_value_t = 0.0)]
    decay: f32,
    /// Seed of the initial weights, the order of samples and their warps.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Hold out this fifth (0 to 4) of the training part instead, and leave the held-out samples
    /// alone: to choose settings by.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..5), conflicts_with = "held_out")]
    fold: Option<u8>,
}

/// Widest hidden layer: with more neurons the sums would not be exact in f32.
const WIDEST: usize = 1024;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if args.out.is_some() && args.weights == Weights::Float {
        return Err("--weights float is there to compare with, and has no --out".into());
    }
    let same = args.hidden.iter().all(|width| Some(width) == args.hidden.first());
    let fits = args.hidden.iter().all(|width| (1..=WIDEST).contains(width));
    if !same || !fits || args.hidden.len() >= MLP_MAX_LAYERS {
        let layers = MLP_MAX_LAYERS - 1;
        let what = format!("expected up to {layers} widths of 1 to {WIDEST}, all the same");
        return Err(format!("--hidden: {what}").into());
    }
    let csv = fs::read_to_string(&args.data)
        .map_err(|e| format!("cannot read {}: {e}", args.data.display()))?;
    let samples = data::parse(&csv).map_err(|e| format!("{}: {e}", args.data.display()))?;
    let (mut training, mut held_out) = data::split(&samples, 0);
    if let Some(path) = &args.held_out {
        write_file(path, &data::to_bytes(&held_out))?;
    }
    if let Some(fold) = args.fold {
        (training, held_out) = data::split(&training, fold.into());
    }
    if training.is_empty() || held_out.is_empty() {
        return Err(format!("{}: too few samples", args.data.display()).into());
    }
    let network = trained(args, &training);
    let accuracy = |name: &str, samples: &[Sample], correct: usize| {
        let percent = 100.0 * correct as f64 / samples.len() as f64;
        println!("{name}: {correct} of {} correct, {percent:.2}%", samples.len());
    };
    let weights = network.quantise();
    for (name, samples) in [("training", &training), ("held out", &held_out)] {
        let is_correct = |s: &&Sample| network.class(&weights, &s.pixels) == usize::from(s.label);
        accuracy(name, samples, samples.iter().filter(is_correct).count());
    }
    if let Some(path) = &args.out {
        write_file(path, &gguf::write(&network, Vec::new())?)?;
        let (bytes, correct) = evaluate(path, &held_out)?;
        println!("{}: {bytes} bytes of weights", path.display());
        accuracy("read back, held out", &held_out, correct);
    }
    Ok(())
}

/// A network trained as the arguments say.
fn trained(args: &Args, samples: &[Sample]) -> Network {
    let mut network = Network::new(args.weights, &args.hidden, args.seed);
    let Args { epochs, rate, decay, seed, .. } = *args;
    let settings = Settings { epochs, rate, decay, seed };
    let terminal = io::stderr().is_terminal();
    let bar = terminal.then(|| ProgressBar::new(epochs as u64));
    let start = Instant::now();
    train::train(&mut network, samples, settings, &mut |epoch, loss| {
        if let Some(bar) = &bar {
            bar.set_position(epoch as u64);
        }
        if bar.is_none() && (10 * epoch / epochs > 10 * (epoch - 1) / epochs) {
            println!("epoch {epoch} of {epochs}: loss {loss:.4}");
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    println!("trained in {:.1} s", start.elapsed().as_secs_f64());
    network
}

/// Bytes of weights of the file, and how many samples it gets right.
fn evaluate(path: &Path, samples: &[Sample]) -> Result<(usize, usize)> {
    let file = MappedFile::open(path)?;
    let model = Mlp::load(&file.gguf()?)?;
    let mut arena = vec![Line::ZERO; model.header().arena_lines()];
    let mut correct = 0;
    for sample in samples {
        let scores = model.scores(level::detect(), &sample.pixels, &mut arena)?;
        correct += usize::from(scores.class() == usize::from(sample.label));
    }
    Ok((model.bytes(), correct))
}

/// Writes a file whole or not at all.
fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let written: io::Result<()> = write_atomically(path, |out| out.write_all(bytes));
    Ok(written.map_err(|e| format!("cannot write {}: {e}", path.display()))?)
}
