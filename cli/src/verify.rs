//! `trilane verify`: the digest that is the same on every machine.

mod subject;

use crate::args::{ComputeArgs, LaneArg};
use crate::auto;
use crate::error::Error;
use crate::load::{Compute, Model, choose_lanes, is_encoder, is_perceptron, perceptron, threads};
use crate::memory::{MemoryArgs, ModelFile};
use crate::progress::bar;
use crate::table::Table;
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use subject::{Decoded, Perceptron, Subject};
use trilane::core::lane::{GraduationConfig, Lanes};
use trilane::core::model::{
    AutoError, Decoder, Digest, EncoderHeader, EncoderWeights, VERIFY_TOKENS, Weights,
    verify as fixed_run,
};
use trilane::std::embedding::layers;
use trilane::std::{level, memory};

/// Show the digest of a fixed run, which is the same on every machine
///
/// Sixteen fixed tokens run through the model at each lane; through an encoder as one text;
/// through a perceptron sixteen fixed inputs. Every layer's output and the logits, or the embedding, are hashed to the bit. Two machines that print the same digest compute the same.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane verify nested.gguf                     every lane of the file
  trilane verify models/digits.gguf              a perceptron, which computes in integers
  trilane verify nested.gguf --lane bit3 --json  one lane, for a program
  trilane verify nested.gguf --device cuda       on a GPU: the same digest
  trilane verify nested.gguf --all-levels        every instruction set of this machine, 1 and 2
                                                 threads; exit code 1 when they differ")]
pub(crate) struct VerifyArgs {
    /// Model (GGUF)
    file: PathBuf,
    #[command(flatten)]
    lane: LaneArg,
    #[command(flatten)]
    compute: ComputeArgs,
    #[cfg(feature = "cuda")]
    #[command(flatten)]
    device: crate::device::DeviceArgs,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Print JSON: digest, lanes, and level and threads or the device
    #[arg(long)]
    json: bool,
    /// Run every instruction set of this machine with 1 and 2 threads and compare
    #[arg(long, conflicts_with_all = ["level", "threads", "device"])]
    all_levels: bool,
}

/// The fixed run of one lane.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LaneDigest {
    pub(crate) lanes: Lanes<'static>,
    /// One for each layer, and the logits.
    pub(crate) layers: Vec<Digest>,
    /// The digest of these.
    pub(crate) all: Digest,
}

/// Runs the command.
pub(crate) fn verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<(), Error> {
    let path = &args.file;
    let file = ModelFile::open(path, &args.memory)?;
    let gguf = file.gguf()?;
    if is_perceptron(&gguf) || is_encoder(&gguf) {
        file.check_decoder(path)?;
    }
    if is_perceptron(&gguf) {
        return verify_subject(args, &Perceptron(perceptron(path, &gguf)?), out);
    }
    if is_encoder(&gguf) {
        let header = EncoderHeader::read(&gguf).map_err(|e| Error::file(path, e))?;
        let mut layers = layers(&gguf, &header);
        let weights = EncoderWeights::load(&gguf, &mut layers).map_err(|e| Error::file(path, e))?;
        return verify_subject(args, &weights, out);
    }
    let mut model = Model::read(path, gguf)?;
    let weights = file.weights(path, &mut model)?;
    file.prepare(&weights, choose_lanes(path, &weights, args.lane.lane)?, false)?;
    #[cfg(feature = "cuda")]
    if let Some(device) = args.device.open()? {
        let decoded = Decoded { weights, graduation: GraduationConfig::default() };
        let lanes = decoded.lanes(path, args.lane.lane)?;
        let run = crate::device::digests(path, &device, &weights, &lanes)?;
        return show(args, &[("device", device.info().name.clone().into())], &run, out);
    }
    let decoded = Decoded { weights, graduation: args.lane.graduation()? };
    verify_subject(args, &decoded, out).map_err(|e| file.explain(e))
}

/// Runs the command on what the file holds.
fn verify_subject(
    args: &VerifyArgs,
    subject: &dyn Subject,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let path = &args.file;
    let lanes = subject.lanes(path, args.lane.lane)?;
    let computes = if args.all_levels {
        let mut computes = Vec::new();
        for level in level::levels() {
            for count in [1, 2] {
                computes.push(Compute { threads: threads(count)?, level });
            }
        }
        computes
    } else {
        vec![args.compute.start()?]
    };
    let progress = bar("verifying", computes.len() * lanes.len());
    let mut runs = Vec::new();
    for compute in &computes {
        let mut run = Vec::new();
        for &lanes in &lanes {
            run.push(subject.digest(path, compute, lanes)?);
            progress.step(1);
        }
        runs.push(run);
    }
    drop(progress);
    match (runs.first(), computes.first(), args.all_levels) {
        (Some(run), Some(compute), false) => {
            let level = compute.level.to_string().into();
            let by = [("level", level), ("threads", compute.threads.count().into())];
            show(args, &by, run, out)
        }
        _ => compare(args, &computes, &runs, out),
    }
}

/// The fixed run at one lane, or at those of a policy.
pub(crate) fn digest(
    path: &Path,
    weights: Weights<'_, '_>,
    compute: &Compute,
    lanes: Lanes<'static>,
    graduation: GraduationConfig,
) -> Result<LaneDigest, Error> {
    let run = || {
        let header = *weights.header();
        let mut arena = memory::arena(&header, VERIFY_TOKENS)?;
        let mut auto = auto::Memory::new(&header);
        let mut decoder = Decoder::new(weights, compute.level, VERIFY_TOKENS, &mut arena)?;
        if lanes == Lanes::Auto {
            decoder = decoder.with_auto(auto.lanes(&weights, compute.level, graduation)?);
        }
        let mut layers = vec![Digest::default(); header.layers + 1];
        let all = fixed_run(&mut decoder, &compute.threads, lanes, &mut layers)?;
        Ok(LaneDigest { lanes, layers, all })
    };
    run().map_err(|e: AutoError| Error::file(path, e))
}

/// The digest over the lanes' digests, lowest lane first.
fn combined(run: &[LaneDigest]) -> Digest {
    let mut digest = Digest::default();
    run.iter().for_each(|lane| digest.bytes(&lane.all.value().to_le_bytes()));
    digest
}

/// A digest as everyone writes it.
pub(crate) fn hex(digest: Digest) -> String {
    format!("{:016x}", digest.value())
}

fn lanes_json(run: &[LaneDigest]) -> Map<String, Value> {
    run.iter()
        .map(|lane| {
            let digests: Vec<String> = lane.layers.iter().map(|&d| hex(d)).collect();
            let (logits, layers) =
                digests.split_last().map_or((None, &[][..]), |(l, r)| (Some(l), r));
            let value = json!({ "digest": hex(lane.all), "layers": layers, "logits": logits });
            (lane.lanes.name().to_owned(), value)
        })
        .collect()
}

/// Shows the digests of a run; `by` is what computed them.
fn show(
    args: &VerifyArgs,
    by: &[(&str, Value)],
    run: &[LaneDigest],
    out: &mut dyn Write,
) -> Result<(), Error> {
    if args.json {
        let mut value = Map::from_iter([
            ("digest".into(), hex(combined(run)).into()),
            ("lanes".into(), lanes_json(run).into()),
        ]);
        value.extend(by.iter().map(|(key, value)| ((*key).into(), value.clone())));
        return Ok(writeln!(out, "{}", Value::from(value))?);
    }
    let headings = ["layer"].into_iter().chain(run.iter().map(|lane| lane.lanes.name()));
    let mut table = Table::new(headings);
    let layers = run.first().map_or(0, |lane| lane.layers.len());
    for layer in 0..layers {
        let name = if layer + 1 == layers { "logits".into() } else { layer.to_string() };
        let digests = run.iter().filter_map(|lane| lane.layers.get(layer)).map(|&d| hex(d));
        table.row([name].into_iter().chain(digests));
    }
    table.row(["all".to_owned()].into_iter().chain(run.iter().map(|lane| hex(lane.all))));
    table.write(out)?;
    writeln!(out, "\ndigest  {}", hex(combined(run)))?;
    Ok(())
}

fn compare(
    args: &VerifyArgs,
    computes: &[Compute],
    runs: &[Vec<LaneDigest>],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let agree = runs.windows(2).all(|pair| pair.first() == pair.last());
    let first = runs.first().map_or(&[][..], |run| run);
    if args.json {
        let all: Vec<Value> = computes
            .iter()
            .zip(runs)
            .map(|(compute, run)| {
                json!({
                    "level": compute.level.to_string(),
                    "threads": compute.threads.count(),
                    "digest": hex(combined(run)),
                })
            })
            .collect();
        let value = json!({
            "agree": agree,
            "digest": hex(combined(first)),
            "lanes": lanes_json(first),
            "runs": all,
        });
        writeln!(out, "{value}")?;
    } else {
        let lanes = first.iter().map(|lane| lane.lanes.name());
        let mut table = Table::new(["level", "threads"].into_iter().chain(lanes).chain(["digest"]));
        for (compute, run) in computes.iter().zip(runs) {
            let start = [compute.level.to_string(), compute.threads.count().to_string()];
            let digests = run.iter().map(|lane| hex(lane.all)).chain([hex(combined(run))]);
            table.row(start.into_iter().chain(digests));
        }
        table.write(out)?;
        if agree {
            writeln!(out, "\nall agree\ndigest  {}", hex(combined(first)))?;
        }
    }
    if agree {
        return Ok(());
    }
    let what = "digests differ between instruction sets or numbers of threads";
    Err(Error::Other(format!("{}: {what}", args.file.display())))
}
