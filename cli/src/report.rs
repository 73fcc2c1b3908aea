//! `trilane report`: what sparsity and lanes cost and save, as numbers and as plots.

use crate::args::ComputeArgs;
use crate::error::Error;
use crate::load::{Model, lanes, read_text};
use crate::perplexity::documents;
use crate::plot::{Axis, Curve, chart};
use crate::progress::bar;
use crate::sparse::parse_share;
use crate::table::Table;
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use trilane::core::model::{Decoder, FeedForwardMode, ModelError, PredictorKind};
use trilane::core::nn::{Selection, SparsityConfig};
use trilane::std::calibrate::{Inputs, ModeReport, measure};
use trilane::std::gguf_writer::write_atomically;
use trilane::std::layer_errors::{LaneErrors, layer_errors};
use trilane::std::mapped::MappedFile;
use trilane::std::{memory, text};

/// The most that a point of the loss plot lies above the dense model, in nats.
const MOST_ADDED: f64 = 0.8;

/// Tokens on which the lanes are compared.
const LANE_TOKENS: usize = 64;

/// Measure what sparsity and lanes cost and save, with plots
///
/// Runs a file of `trilane calibrate` over a text with every predictor it holds and at several
/// shares of the neurons, and with the bytes spent on lanes for each neuron. OUT gets report.json
/// and loss.svg, recall.svg, error.svg, time.svg and lanes.svg. Take a text that the calibration has
/// not read.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane report sparse.gguf --text held-out.txt -o report
  trilane report sparse.gguf --text held-out.txt -o report --shares 0.1,0.2,0.3 --force")]
pub(crate) struct ReportArgs {
    /// Model (GGUF) written by trilane calibrate
    file: PathBuf,
    /// Text (UTF-8); every long line is a document of its own
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Folder to write into
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
    /// Shares of the neurons, or of the bytes, to measure
    #[arg(
        long,
        value_name = "SHARES",
        value_delimiter = ',',
        value_parser = parse_share,
        default_value = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,1"
    )]
    shares: Vec<f32>,
    /// Leave out lines of at most this many characters
    #[arg(long, value_name = "N", default_value_t = 80)]
    min_chars: usize,
    /// The most tokens of the text to read
    #[arg(long, value_name = "N", default_value_t = 4096)]
    tokens: usize,
    /// Replace the files of an earlier report
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// One way to spend less, at several shares.
struct Line {
    name: String,
    points: Vec<(f32, ModeReport)>,
}

/// Runs the command.
pub(crate) fn report(args: &ReportArgs, out: &mut dyn Write) -> Result<(), Error> {
    let path = &args.file;
    let json_path = args.output.join("report.json");
    if json_path.exists() && !args.force {
        let what = "exists; --force replaces the report";
        return Err(Error::Usage(format!("{}: {what}", json_path.display())));
    }
    let file = MappedFile::open(path)?;
    let mut model = Model::read(path, file.gguf()?)?;
    let (gguf, header) = (model.gguf, model.header);
    if header.sparse_rank.is_none() {
        let what = "its feed-forward blocks are not stored by neuron; trilane calibrate does";
        return Err(Error::Usage(format!("{}: {what}", path.display())));
    }
    let mut index = text::index(&gguf);
    let vocabulary = read_text(path, &gguf, &header, &mut index)?;
    let content = fs::read_to_string(&args.text).map_err(|e| Error::io(&args.text, e))?;
    let documents = documents(&args.text, Some(args.min_chars), &vocabulary, &content)?;
    let documents = first_tokens(documents, args.tokens);
    let weights = model.weights(path)?;
    let lane = *lanes(&weights).last().ok_or_else(|| Error::file(path, "no lane is stored"))?;
    let compute = args.compute.start()?;
    let refused = |e: ModelError| Error::file(path, e);
    let longest = documents.iter().map(Vec::len).max().unwrap_or(1);
    let capacity = header.context.min(longest);
    let mut arena = memory::arena(&header, capacity).map_err(refused)?;
    let mut decoder =
        Decoder::new(weights, compute.level, capacity, &mut arena).map_err(refused)?;
    let pool = &compute.threads;
    let inputs = Inputs::record(&mut decoder, pool, lane, &documents).map_err(refused)?;
    let lines = ways(&mut decoder);
    let progress = bar("measuring", 1 + lines.len() * args.shares.len());
    let mut run = |mode| {
        let report = measure(&mut decoder, pool, lane, mode, &inputs, &documents);
        progress.step(1);
        report.map_err(refused)
    };
    let dense = run(FeedForwardMode::DENSE)?;
    let mut measured = Vec::new();
    for (name, predictor, selection) in lines {
        let mut points = Vec::new();
        for &share in &args.shares {
            let config = SparsityConfig::new(selection(share));
            let config = config.map_err(|e| Error::Usage(e.to_string()))?;
            points.push((share, run(FeedForwardMode { predictor, config })?));
        }
        measured.push(Line { name, points });
    }
    drop(progress);
    let tokens: Vec<u32> = documents.iter().flatten().copied().take(LANE_TOKENS).collect();
    let of_lanes = tokens.get(..tokens.len().min(header.context)).unwrap_or(&[]);
    let errors = layer_errors(weights, compute.level, pool, of_lanes).map_err(refused)?;
    fs::create_dir_all(&args.output).map_err(|e| Error::io(&args.output, e))?;
    for (name, svg) in plots(&dense, &measured, &errors)? {
        write(&args.output.join(name), svg.as_bytes())?;
    }
    let value = json_report(path, &args.text, &dense, &measured, &errors);
    write(&json_path, format!("{value:#}\n").as_bytes())?;
    show(&dense, &measured, out)?;
    writeln!(out, "\nwrote report.json and 5 plots into {}", args.output.display())?;
    Ok(())
}

type Select = fn(f32) -> Selection;

/// Predictors that the file has, each with shares of the neurons, and lanes for each neuron.
fn ways<B: trilane::core::kernel::Backend>(
    decoder: &mut Decoder<'_, '_, B>,
) -> Vec<(String, PredictorKind, Select)> {
    let has = |predictor: &PredictorKind| {
        let config = SparsityConfig::ALL;
        decoder.set_feed_forward(FeedForwardMode { predictor: *predictor, config }).is_ok()
    };
    let share: Select = Selection::Share;
    let predictors = PredictorKind::ALL.into_iter().filter(has);
    let mut ways: Vec<_> = predictors.map(|p| (p.name().to_owned(), p, share)).collect();
    let bytes: Select = Selection::Bytes;
    ways.push(("tier0, a lane for each neuron".into(), PredictorKind::Tier0, bytes));
    ways
}

/// The documents up to a number of tokens; of the last one, what fits.
fn first_tokens(documents: Vec<Vec<u32>>, mut left: usize) -> Vec<Vec<u32>> {
    let cut = documents.into_iter().map(|mut document| {
        document.truncate(left);
        left -= document.len();
        document
    });
    cut.filter(|document| document.len() > 1).collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_atomically(path, |out| Ok(out.write_all(bytes)?)).map_err(|e| Error::write(path, e))
}

/// Names and contents of the plots.
fn plots(
    dense: &ModeReport,
    lines: &[Line],
    errors: &[LaneErrors],
) -> Result<Vec<(&'static str, String)>, Error> {
    let curves = |x: fn(&ModeReport) -> f64, y: fn(&ModeReport) -> f64| -> Vec<Curve> {
        let curve = |line: &Line| Curve {
            name: line.name.clone(),
            points: line.points.iter().map(|(_, report)| (x(report), y(report))).collect(),
        };
        lines.iter().map(curve).collect()
    };
    let (neurons, bytes) = ("share of the neurons computed", "share of the dense bytes read");
    let mut loss = curves(|r| r.bytes, |r| r.loss.mean());
    // Further up nothing is to be compared.
    let most = dense.loss.mean() + MOST_ADDED;
    loss.iter_mut().for_each(|curve| curve.points.retain(|point| point.1 <= most));
    loss.push(Curve {
        name: "dense".into(),
        points: [0.0, 1.0].map(|x| (x, dense.loss.mean())).into(),
    });
    let mut time = curves(|r| r.neurons, |r| r.tokens_per_second);
    time.push(Curve {
        name: "dense".into(),
        points: [0.0, 1.0].map(|x| (x, dense.tokens_per_second)).into(),
    });
    let of_lanes: Vec<Curve> = errors
        .iter()
        .map(|lane| Curve {
            name: lane.lane.name().into(),
            points: lane.relative.iter().enumerate().map(|(i, &e)| (i as f64, e)).collect(),
        })
        .collect();
    let plot = |title, x, y: Axis, curves: &[Curve]| {
        chart(title, x, y, curves).map_err(|e| Error::Other(format!("plotting: {e}")))
    };
    let recall = curves(|r| r.neurons, |r| r.recall);
    let error = curves(|r| r.neurons, |r| r.error);
    let share = |text| Axis { text, from_zero: true };
    let free = |text| Axis { text, from_zero: false };
    let depth = share("layer, the logits last");
    Ok(vec![
        ("loss.svg", plot("Loss", share(bytes), free("loss in nats"), &loss)?),
        ("recall.svg", plot("Recall", share(neurons), share("recall"), &recall)?),
        (
            "error.svg",
            plot("Error of the blocks", share(neurons), share("relative error"), &error)?,
        ),
        ("time.svg", plot("Speed", share(neurons), share("tokens a second"), &time)?),
        (
            "lanes.svg",
            plot("Error of the lanes", depth, share("relative error to the top lane"), &of_lanes)?,
        ),
    ])
}

fn json_report(
    path: &Path,
    text: &Path,
    dense: &ModeReport,
    lines: &[Line],
    errors: &[LaneErrors],
) -> Value {
    let report = |r: &ModeReport| {
        json!({
            "neurons": r.neurons,
            "bytes": r.bytes,
            "recall": r.recall,
            "error": r.error,
            "loss": r.loss.mean(),
            "tokens_per_second": r.tokens_per_second,
        })
    };
    let line = |line: &Line| {
        let points = line.points.iter().map(|(share, r)| {
            let mut value = report(r);
            value["share"] = json!(share);
            value
        });
        json!({ "name": line.name, "points": points.collect::<Vec<_>>() })
    };
    let lane = |lane: &LaneErrors| json!({ "lane": lane.lane.name(), "relative": lane.relative });
    json!({
        "file": path.display().to_string(),
        "text": text.display().to_string(),
        "tokens": dense.loss.tokens,
        "dense": report(dense),
        "curves": lines.iter().map(line).collect::<Vec<_>>(),
        "lanes": errors.iter().map(lane).collect::<Vec<_>>(),
    })
}

fn show(dense: &ModeReport, lines: &[Line], out: &mut dyn Write) -> Result<(), Error> {
    let headings = ["", "neurons", "bytes", "recall", "error", "loss", "tokens/s"];
    let mut table = Table::new(headings);
    let mut row = |name: &str, r: &ModeReport| {
        table.row([
            name.to_owned(),
            format!("{:.1}%", 100.0 * r.neurons),
            format!("{:.1}%", 100.0 * r.bytes),
            format!("{:.3}", r.recall),
            format!("{:.4}", r.error),
            format!("{:.4}", r.loss.mean()),
            format!("{:.0}", r.tokens_per_second),
        ]);
    };
    row("dense", dense);
    for line in lines {
        line.points.iter().for_each(|(_, report)| row(&line.name, report));
    }
    Ok(table.write(out)?)
}
