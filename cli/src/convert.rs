//! `trilane convert`: from the types that models come in to lanes.

use crate::args::{parse_keep, parse_lane};
use crate::error::Error;
use crate::load::threads;
use crate::progress::bar;
use crate::table::{Table, bits_per_weight, bytes, counted};
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use trilane::core::digits::Group;
use trilane::core::lane::PrecisionLane;
use trilane::std::convert::folder::{Folder, convert_folder};
use trilane::std::convert::{
    ConvertError, ConvertOptions, LaneReport, TensorReport, convert as convert_file,
};
use trilane::std::gguf_writer::remove_temporaries;
use trilane::std::mapped::MappedFile;

/// Store a model's matrices in digit planes, several lanes in one file
///
/// Shows for each tensor and lane the bits that a weight takes, scales included, and the relative
/// error that the lane makes. OUT appears complete or not at all.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane convert model.gguf nested.gguf --lane bit7
      three lanes in one file: bit3, bit5 and bit7
  trilane convert model.gguf ternary.gguf --lane ternary --keep 'token_embd*=float'
      trits, for a model that was trained for them; the embedding table stays as it is
  trilane convert all-MiniLM-L6-v2 minilm.gguf --lane bit7
      a folder of Hugging Face (BERT or Llama: config.json, safetensors, vocabulary)
  trilane convert all-MiniLM-L6-v2 minilm-f32.gguf --lane float
      the same with its weights as they are
  trilane convert model.gguf nested.gguf --lane bit7 --keep 'output.weight=bit7'
      the output matrix is read at bit7 whatever lane is asked for")]
pub(crate) struct ConvertArgs {
    /// Model to convert: GGUF, floats or quantised, or a folder of Hugging Face
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// File to write
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Highest lane to store, which brings those below: bit7, bit5 or bit3; or ternary; or, for a
    /// folder, float
    #[arg(long, value_name = "LANE", value_parser = parse_lane)]
    lane: PrecisionLane,
    /// Weights that share a scale: 32, or 64 for a slightly smaller file
    #[arg(long, value_name = "WEIGHTS", default_value = "32", value_parser = parse_group)]
    group: Group,
    /// Store the tensors that match PATTERN (* and ?) up to LANE and always read them there; float
    /// copies them. The first pattern that matches counts
    #[arg(long, value_name = "PATTERN=LANE", value_parser = parse_keep)]
    keep: Vec<(String, PrecisionLane)>,
    /// Replace OUT if it exists
    #[arg(long)]
    force: bool,
    /// Threads to convert with [default: one for each core]. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// The exit code after an interrupt, as shells have it: 128 and the signal's number.
pub(crate) const INTERRUPTED: i32 = 130;

/// Reads how many weights share a scale.
pub(crate) fn parse_group(text: &str) -> Result<Group, String> {
    match text {
        "32" => Ok(Group::G32),
        "64" => Ok(Group::G64),
        _ => Err("expected 32 or 64".into()),
    }
}

/// Runs the command.
pub(crate) fn convert(args: &ConvertArgs, out: &mut dyn Write) -> Result<(), Error> {
    let (from, to) = (&args.input, &args.output);
    let input = Input::open(from)?;
    check_output(from, to, args.force)?;
    let options = ConvertOptions { lane: args.lane, group: args.group, keep: args.keep.clone() };
    let threads = threads(args.threads.map_or(0, usize::from))?;
    let interrupted = to.clone();
    // Without a handler an interrupt leaves the hidden temporary file, and nothing else.
    let _ = ctrlc::set_handler(move || {
        remove_temporaries(&interrupted);
        std::process::exit(INTERRUPTED);
    });
    let reports = threads.install(|| input.convert(from, to, &options))?;
    let summary = Summary::new(&reports);
    if args.json {
        return Ok(writeln!(out, "{}", json_report(args, &summary, &reports))?);
    }
    show(args, &summary, &reports, out)
}

/// What is converted.
enum Input {
    File(MappedFile),
    Folder(Folder),
}

impl Input {
    fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            let folder = Folder::open(path);
            let wrong = |e| Error::convert(path, path, ConvertError::Folder(e));
            return Ok(Self::Folder(folder.map_err(wrong)?));
        }
        Ok(Self::File(MappedFile::open(path)?))
    }

    fn convert(
        &self,
        from: &Path,
        to: &Path,
        options: &ConvertOptions,
    ) -> Result<Vec<TensorReport>, Error> {
        let reports = match self {
            Self::File(file) => {
                let gguf = file.gguf()?;
                let progress = bar("converting", gguf.tensors().len());
                convert_file(&gguf, to, options, &mut |_| progress.step(1))
            }
            Self::Folder(folder) => {
                let progress = bar("converting", folder.tensors());
                convert_folder(folder, to, options, &mut |_| progress.step(1))
            }
        };
        reports.map_err(|e| Error::convert(from, to, e))
    }
}

/// Refuses an output that is the input, or is there already.
pub(crate) fn check_output(from: &Path, to: &Path, force: bool) -> Result<(), Error> {
    if to.file_name().is_none() || to.is_dir() {
        return Err(Error::Usage(format!("{}: expected a file to write", to.display())));
    }
    if let (Ok(from), Ok(to)) = (from.canonicalize(), to.canonicalize())
        && from == to
    {
        return Err(Error::Usage(format!("{}: input and output are the same", to.display())));
    }
    if !force && to.symlink_metadata().is_ok() {
        let what = "exists; --force replaces it";
        return Err(Error::Usage(format!("{}: {what}", to.display())));
    }
    Ok(())
}

/// What the whole file came to.
struct Summary {
    /// Every lane that some tensor is stored at, lowest first.
    columns: Vec<PrecisionLane>,
    /// Lanes that the whole file can be read at, with the bytes of all matrices at that lane.
    lanes: Vec<(PrecisionLane, usize)>,
    /// Weights in matrices.
    weights: usize,
    /// Bytes of tensors before and after.
    bytes: (usize, usize),
}

impl Summary {
    fn new(reports: &[TensorReport]) -> Self {
        let stored = |lane| reports.iter().any(|r| r.lanes.iter().any(|l| l.lane == lane));
        let columns: Vec<_> = PrecisionLane::ALL.into_iter().filter(|&l| stored(l)).collect();
        let matrices = || reports.iter().filter(|r| r.shape.0 > 1);
        let lanes = columns
            .iter()
            .filter(|&&lane| matrices().any(|r| read_at(r, lane).is_some_and(|l| l.lane == lane)))
            .filter_map(|&lane| {
                let bytes = matrices().map(|r| match r.lanes.is_empty() {
                    true => Some(r.bytes.1),
                    false => read_at(r, lane).map(|l| l.bytes),
                });
                Some((lane, bytes.sum::<Option<usize>>()?))
            })
            .collect();
        Self {
            columns,
            lanes,
            weights: matrices().map(weights).sum(),
            bytes: reports.iter().fold((0, 0), |sum, r| (sum.0 + r.bytes.0, sum.1 + r.bytes.1)),
        }
    }
}

/// What a tensor is read at when `lane` is asked for.
fn read_at(report: &TensorReport, lane: PrecisionLane) -> Option<&LaneReport> {
    let lane = lane.max(report.floor);
    report.lanes.iter().rev().find(|l| l.lane <= lane)
}

fn weights(report: &TensorReport) -> usize {
    report.shape.0 * report.shape.1
}

fn show(
    args: &ConvertArgs,
    summary: &Summary,
    reports: &[TensorReport],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut headings = vec!["tensor".to_owned(), "from".into(), "rows × cols".into()];
    for lane in &summary.columns {
        headings.extend([format!("{lane}: bits"), "error".into()]);
    }
    let mut table = Table::new(headings);
    for report in reports {
        let shape = format!("{} × {}", report.shape.0, report.shape.1);
        let mut row = vec![report.name.clone(), report.kind.to_string(), shape];
        if report.lanes.is_empty() {
            row.push("copied".into());
        }
        for &lane in &summary.columns {
            let stored = report.lanes.iter().find(|l| l.lane == lane && lane >= report.floor);
            match stored {
                Some(l) => row.extend([
                    format!("{:.3}", bits_per_weight(l.bytes, weights(report))),
                    format!("{:.4}", l.relative_error),
                ]),
                None if report.lanes.is_empty() => {}
                None => row.extend(["–".to_owned(), "–".into()]),
            }
        }
        table.row(row);
    }
    table.write(out)?;
    writeln!(
        out,
        "\n{}, {} weights in matrices; tensor data {} → {}",
        counted(reports.len(), "tensor"),
        summary.weights,
        bytes(summary.bytes.0),
        bytes(summary.bytes.1)
    )?;
    let mut table = Table::new(["lane", "bits per weight", "all matrices"]);
    for &(lane, size) in &summary.lanes {
        let bits = format!("{:.3}", bits_per_weight(size, summary.weights));
        table.row([lane.name().to_owned(), bits, bytes(size)]);
    }
    table.write(out)?;
    writeln!(out, "\nwrote {} ({})", args.output.display(), bytes(file_len(&args.output)?))?;
    Ok(())
}

fn json_report(args: &ConvertArgs, summary: &Summary, reports: &[TensorReport]) -> Value {
    let tensors: Vec<Value> = reports
        .iter()
        .map(|report| {
            let lanes: Map<String, Value> = report
                .lanes
                .iter()
                .map(|l| {
                    let value = json!({
                        "bytes": l.bytes,
                        "bits_per_weight": bits_per_weight(l.bytes, weights(report)),
                        "relative_error": l.relative_error,
                    });
                    (l.lane.name().to_owned(), value)
                })
                .collect();
            json!({
                "name": report.name,
                "type": report.kind.name(),
                "rows": report.shape.0,
                "cols": report.shape.1,
                "bytes_before": report.bytes.0,
                "bytes_after": report.bytes.1,
                "floor": (!lanes.is_empty()).then(|| report.floor.name()),
                "lanes": lanes,
            })
        })
        .collect();
    let lanes: Map<String, Value> = summary
        .lanes
        .iter()
        .map(|&(lane, size)| {
            let bits = bits_per_weight(size, summary.weights);
            (lane.name().to_owned(), json!({ "bytes": size, "bits_per_weight": bits }))
        })
        .collect();
    json!({
        "input": args.input.display().to_string(),
        "output": args.output.display().to_string(),
        "weights": summary.weights,
        "bytes_before": summary.bytes.0,
        "bytes_after": summary.bytes.1,
        "lanes": lanes,
        "tensors": tensors,
    })
}

fn file_len(path: &Path) -> Result<usize, Error> {
    let len = path.metadata().map_err(|e| Error::io(path, e))?.len();
    Ok(usize::try_from(len).unwrap_or(usize::MAX))
}
