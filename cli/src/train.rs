//! `trilane train`: a decoder trained as a YAML file says.

use crate::error::Error;
use crate::plot::{Axis, Curve, chart};
use crate::progress::bar;
use clap::Args;
use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use trilane::std::gguf_writer::write_atomically;
use trilane::std::train::{LaneLoss, Passes, Record, TrainConfig, TrainError, Trainer};

/// A file to begin with, every setting explained.
const EXAMPLE: &str = include_str!("train/example.yaml");

/// Train or fine-tune a small llama as a YAML file says
///
/// Writes model.gguf (floats, for trilane convert), log.csv and loss.svg into the output folder, and a
/// checkpoint from which the same command goes on after an interruption (Ctrl-C), with the same bits.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane train --example > shakespeare.yaml      a file to begin with, every setting explained
  trilane train shakespeare.yaml
  trilane convert out/model.gguf model.gguf --lane bit7

The model does not depend on the number of threads. RAYON_NUM_THREADS=1 is faster where
gradient_accumulation_steps is at least the number of cores: micro-batches run side by side.")]
pub(crate) struct TrainArgs {
    /// Settings (YAML)
    config: Option<PathBuf>,
    /// Print a file of settings, explained
    #[arg(long, conflicts_with = "config")]
    example: bool,
}

/// Runs the command.
pub(crate) fn train(args: &TrainArgs, out: &mut dyn Write) -> Result<(), Error> {
    if args.example {
        return Ok(write!(out, "{EXAMPLE}")?);
    }
    let what =
        "train: expected a file of settings; trilane train --example prints one to begin with";
    let path = args.config.as_ref().ok_or_else(|| Error::Usage(what.into()))?;
    let yaml = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let config: TrainConfig =
        serde_saphyr::from_str(&yaml).map_err(|e| Error::file(path, first_line(&e.to_string())))?;
    let (steps, folder) = (config.max_steps, config.output_dir.clone());
    let batch = config.micro_batch_size * config.gradient_accumulation_steps;
    let step_tokens = batch * config.sequence_len;
    let mut trainer = Trainer::open(config).map_err(|e| refused(path, e))?;
    let (training, validation) = trainer.tokens();
    writeln!(
        out,
        "{} weights, {training} tokens to train on, {validation} to validate with",
        trainer.weights()
    )?;
    if trainer.steps_done() > 0 {
        writeln!(out, "continuing after step {}", trainer.steps_done())?;
    }
    out.flush()?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    // Where no handler can be set, an interrupted run continues from its last evaluation.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let progress = bar("training", steps - trainer.steps_done());
    let (begin, first) = (Instant::now(), trainer.steps_done());
    while trainer.steps_done() < steps {
        if stop.load(Ordering::Relaxed) {
            trainer.save().map_err(|e| refused(path, e))?;
            drop(progress);
            let done = trainer.steps_done();
            let what = format!("stopped after step {done} of {steps}; the same command goes on");
            return Err(Error::Other(what));
        }
        trainer.train_step().map_err(|e| refused(path, e))?;
        progress.step(1);
        let passes = trainer.passes();
        if passes.forward > 0 || passes.predicted_steps > 0 {
            progress.note(format!("training, {}", spent(passes)));
        }
        if trainer.is_evaluation_due() {
            let tokens = (trainer.steps_done() - first) * step_tokens;
            let speed = tokens as f64 / begin.elapsed().as_secs_f64();
            let record = trainer.evaluate().map_err(|e| refused(path, e))?;
            let line = format!(
                "step {}: training {:.4}, validation{}  ({speed:.0} tokens/s)",
                record.step,
                record.training,
                losses(&record.validation)
            );
            if stderr().is_terminal() {
                progress.line(&line);
            } else {
                writeln!(out, "{line}")?;
                out.flush()?;
            }
            log(&folder, trainer.history())?;
        }
    }
    drop(progress);
    let passes = trainer.passes();
    if passes.forward > 0 || passes.predicted_steps > 0 {
        writeln!(out, "{} of {steps}", spent(passes))?;
    }
    let losses = losses(&trainer.final_validation().map_err(|e| refused(path, e))?);
    writeln!(out, "{}: whole validation{losses}", trainer.model_path().display())?;
    writeln!(out, "log.csv and loss.svg are in {}", folder.display())?;
    Ok(())
}

/// Place and fault; the lines after it repeat the file.
fn first_line(error: &str) -> &str {
    let line = error.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line)
}

/// What a run has spent.
fn spent(passes: Passes) -> String {
    let Passes { forward, backward, skipped, predicted_steps } = passes;
    format!(
        "windows: {backward} backward, {forward} forward to select, {skipped} skipped; steps \
         predicted: {predicted_steps}"
    )
}

/// The losses of an evaluation, lane by lane.
fn losses(lanes: &[LaneLoss]) -> String {
    lanes.iter().map(|l| format!("  {} {:.4}", l.lane, l.loss)).collect()
}

/// What the library refuses: settings are the fault of their file, other files say their own name.
fn refused(config: &Path, error: TrainError) -> Error {
    match error {
        TrainError::File { path, what } => Error::File { path, what },
        TrainError::Io { path, error } => Error::Io { path, error },
        TrainError::Argument(_) | TrainError::Data { .. } => Error::file(config, error),
        error => Error::Other(error.to_string()),
    }
}

/// Writes the evaluations as a table and as a plot.
fn log(folder: &Path, history: &[Record]) -> Result<(), Error> {
    let lanes = history.first().map_or(&[][..], |record| &record.validation);
    let mut csv = String::from("step,training");
    for LaneLoss { lane, .. } in lanes {
        csv += &format!(",{lane},{lane} active");
    }
    csv += ",forward,backward,skipped,predicted steps";
    for record in history {
        csv += &format!("\n{},{}", record.step, record.training);
        for lane in &record.validation {
            csv += &format!(",{},{}", lane.loss, lane.active);
        }
        let Passes { forward, backward, skipped, predicted_steps } = record.passes;
        csv += &format!(",{forward},{backward},{skipped},{predicted_steps}");
    }
    csv.push('\n');
    let points = |value: &dyn Fn(&Record) -> f64| {
        history.iter().map(|record| (record.step as f64, value(record))).collect()
    };
    let mut curves = vec![Curve { name: "training".into(), points: points(&|r| r.training) }];
    for (i, LaneLoss { lane, .. }) in lanes.iter().enumerate() {
        let loss = |record: &Record| record.validation.get(i).map_or(f64::NAN, |lane| lane.loss);
        curves.push(Curve { name: format!("validation, {lane}"), points: points(&loss) });
    }
    let x = Axis { text: "step", from_zero: true };
    let y = Axis { text: "loss, nats per token", from_zero: false };
    let svg = chart("Loss", x, y, &curves).map_err(|e| Error::Other(e.to_string()))?;
    for (name, content) in [("log.csv", csv), ("loss.svg", svg)] {
        let path = folder.join(name);
        let written: std::io::Result<()> =
            write_atomically(&path, |file| file.write_all(content.as_bytes()));
        written.map_err(|e| Error::io(&path, e))?;
    }
    Ok(())
}
