//! `trilane classify`: how well a classifier does on labelled inputs.

use crate::args::parse_level;
use crate::error::Error;
use crate::load::perceptron;
use crate::progress::bar;
use crate::table::{Table, counted};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use trilane::core::kernel::Level;
use trilane::std::classify::{Confusion, Samples, confusion};
use trilane::std::level;
use trilane::std::mapped::MappedFile;

/// Measure how many labelled inputs a classifier gets right
///
/// The data are records without a header: a byte of label, then a signed byte for each feature of
/// the model. The scores are integers, so the count is the same on every machine, microcontrollers
/// included.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane classify models/digits.gguf --data models/digits-test.bin
  trilane classify models/digits.gguf --data models/digits-test.bin --level scalar --json")]
pub(crate) struct ClassifyArgs {
    /// Classifier (GGUF, architecture mlp)
    file: PathBuf,
    /// Labelled inputs
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Instruction set: scalar, avx2, avx512vnni, avx512, neon or neondot [default: the best of this
    /// machine].
    /// Results do not depend on it
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    level: Option<Level>,
    /// Print JSON: samples, correct, accuracy, confusion (label, class, times), level
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn classify(args: &ClassifyArgs, out: &mut dyn Write) -> Result<(), Error> {
    let path = &args.file;
    let file = MappedFile::open(path)?;
    let model = perceptron(path, &file.gguf()?)?;
    let bytes = fs::read(&args.data).map_err(|e| Error::io(&args.data, e))?;
    let samples = Samples::new(&bytes, model.header()).map_err(|e| Error::file(&args.data, e))?;
    let level = args.level.unwrap_or_else(level::detect);
    let progress = bar("classifying", samples.len());
    let all = confusion(&model, level, &samples, &mut || progress.step(1))
        .map_err(|e| Error::file(path, e))?;
    drop(progress);
    if args.json {
        let counts: Vec<Value> = all
            .counts()
            .map(|(label, class, times)| json!({ "label": label, "class": class, "times": times }))
            .collect();
        let value = json!({
            "samples": all.samples(),
            "correct": all.correct(),
            "accuracy": accuracy(&all),
            "confusion": counts,
            "level": level.to_string(),
        });
        return Ok(writeln!(out, "{value}")?);
    }
    show(&all, out)
}

/// Correct ones of all.
fn accuracy(all: &Confusion) -> f64 {
    all.correct() as f64 / all.samples() as f64
}

/// For people: a row for each label, and a line for all.
fn show(all: &Confusion, out: &mut dyn Write) -> Result<(), Error> {
    let mut labels: BTreeMap<u8, (usize, usize, Vec<String>)> = BTreeMap::new();
    for (label, class, times) in all.counts() {
        let (samples, correct, others) = labels.entry(label).or_default();
        *samples += times;
        if usize::from(label) == class {
            *correct += times;
        } else {
            others.push(format!("{class} ({times})"));
        }
    }
    let mut table = Table::new(["label", "samples", "correct", "taken for (times)"]);
    for (label, (samples, correct, others)) in labels {
        let counts = [label.into(), samples, correct].map(|n| n.to_string());
        table.row(counts.into_iter().chain([others.join(", ")]));
    }
    table.write(out)?;
    let (samples, correct) = (counted(all.samples(), "sample"), all.correct());
    writeln!(out, "\n{correct} of {samples} correct, {:.2}%", 100.0 * accuracy(all))?;
    Ok(())
}
