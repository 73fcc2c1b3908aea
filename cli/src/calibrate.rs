//! `trilane calibrate`: what the neurons of a model do on a text, stored with the model.

use crate::args::{ComputeArgs, parse_stored_lane};
use crate::convert::parse_group;
use crate::error::Error;
use crate::load::{Model, lanes, read_text};
use crate::perplexity::encode;
use crate::progress::bar;
use crate::sparse::{parse_predictor, parse_share};
use crate::table::{Table, bytes};
use clap::Args;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use trilane::core::digits::Group;
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Decoder, PredictorKind, Weights};
use trilane::std::calibrate::{
    LayerPredictor, Rank, Recording, Rewrite, RewriteError, magnitudes, predictor, record, rewrite,
};
use trilane::std::convert::{ConvertOptions, convert};
use trilane::std::gguf_writer::remove_temporaries;
use trilane::std::mapped::MappedFile;
use trilane::std::{memory, text};

/// Prepare a model for sparse inference
///
/// Reads a text with the dense model and records what the neurons of its feed-forward blocks do.
/// The new file holds the neurons from hot to cold, the second matrix by neuron, and a low-rank
/// predictor for each layer, all in digit planes.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane calibrate model.gguf --text sample.txt -o sparse.gguf
  trilane report sparse.gguf --text held-out.txt -o report    what it costs and saves
  trilane run sparse.gguf --prompt 'Once upon a time' --active 0.3
  trilane perplexity sparse.gguf --text sample.txt --ffn-bytes 0.5")]
pub(crate) struct CalibrateArgs {
    /// Model (GGUF)
    file: PathBuf,
    /// Text of the kind that the model will meet (UTF-8)
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// File to write
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
    /// Highest lane to store, which brings those below
    #[arg(long, value_name = "LANE", default_value = "bit7", value_parser = parse_stored_lane)]
    lane: PrecisionLane,
    /// Weights that share a scale: 32, or 64 for a slightly smaller file
    #[arg(long, value_name = "WEIGHTS", default_value = "32", value_parser = parse_group)]
    group: Group,
    /// Rank of the low-rank predictors, 2 at least; 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = parse_rank)]
    rank: usize,
    /// Recall wanted of the low-rank predictors: of each layer the smallest rank that has it, on
    /// tokens that nothing was fitted to
    #[arg(long, value_name = "SHARE", value_parser = parse_share, conflicts_with = "rank")]
    recall: Option<f32>,
    /// Share of the neurons that is computed where recall is measured
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = parse_share)]
    active: f32,
    /// Predictor that runs take when they do not say otherwise
    #[arg(long, value_name = "NAME", default_value = "tier0", value_parser = parse_predictor)]
    predictor: PredictorKind,
    /// Share of the dense blocks' bytes that runs with --active auto read
    #[arg(long, value_name = "SHARE", default_value = "0.6", value_parser = parse_share)]
    bytes: f32,
    /// The most tokens of the text to read
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    tokens: usize,
    /// Replace OUT if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Runs the command.
pub(crate) fn calibrate(args: &CalibrateArgs, out: &mut dyn Write) -> Result<(), Error> {
    let (path, to) = (&args.file, &args.output);
    let file = MappedFile::open(path)?;
    crate::convert::check_output(path, to, args.force)?;
    let mut model = Model::read(path, file.gguf()?)?;
    let (gguf, header) = (model.gguf, model.header);
    if header.sparse_rank.is_some() {
        return Err(Error::Usage(format!("{}: is calibrated already", path.display())));
    }
    let mut index = text::index(&gguf);
    let vocabulary = read_text(path, &gguf, &header, &mut index)?;
    let content = fs::read_to_string(&args.text).map_err(|e| Error::io(&args.text, e))?;
    let tokens = encode(&args.text, &vocabulary, &content)?;
    let Some((&first, rest)) = tokens.split_first() else {
        return Err(Error::file(&args.text, "the text is empty"));
    };
    let documents: Vec<Vec<u32>> = rest
        .chunks(header.context.max(2) - 1)
        .take(args.tokens.div_ceil(header.context.max(2) - 1))
        .map(|piece| [&[first], piece].concat())
        .collect();
    let weights = model.weights(path)?;
    let lane = *lanes(&weights).last().ok_or_else(|| Error::file(path, "no lane is stored"))?;
    let compute = args.compute.start()?;
    let refused = |e| Error::file(path, e);
    let mut arena = memory::arena(&header, header.context).map_err(refused)?;
    let mut decoder =
        Decoder::new(weights, compute.level, header.context, &mut arena).map_err(refused)?;
    let progress = bar("recording", documents.iter().map(Vec::len).sum());
    let recording = record(weights, &mut decoder, &compute.threads, lane, &documents, &mut |n| {
        progress.step(n);
    })
    .map_err(refused)?;
    drop(progress);
    let magnitudes = recording.layers.iter().enumerate().map(|(layer, activity)| {
        magnitudes(&weights, layer, activity, compute.level, &compute.threads, lane)
    });
    let magnitudes = magnitudes.collect::<Result<Vec<_>, _>>().map_err(refused)?;
    let fitted = compute.threads.install(|| args.fit(&weights, &recording, lane))?;
    let floats = to.with_extension("floats.tmp");
    let interrupted = [to.clone(), floats.clone()];
    // Without a handler an interrupt leaves temporary files, and nothing else.
    let _ = ctrlc::set_handler(move || {
        interrupted.iter().for_each(|path| remove_temporaries(path));
        let [_, floats] = &interrupted;
        let _ = fs::remove_file(floats);
        std::process::exit(crate::convert::INTERRUPTED);
    });
    let predictors: Vec<_> = fitted.iter().map(|layer| layer.fit.clone()).collect();
    let with = Rewrite {
        recording: &recording,
        predictors: &predictors,
        magnitudes: &magnitudes,
        defaults: (args.predictor.name(), args.bytes),
    };
    rewrite(&gguf, &weights, lane, &with, &floats).map_err(|e| match e {
        RewriteError::Write(e) => Error::write(to, e),
        e => Error::file(path, e),
    })?;
    let options = ConvertOptions { lane: args.lane, group: args.group, keep: Vec::new() };
    let converted = (|| {
        let written = MappedFile::open(&floats)?;
        let gguf = written.gguf()?;
        let convert = || convert(&gguf, to, &options, &mut |_| {});
        compute.threads.install(convert).map_err(|e| Error::convert(path, to, e))
    })();
    fs::remove_file(&floats).map_err(|e| Error::io(&floats, e))?;
    converted?;
    args.show(&fitted, out)?;
    let size = to.metadata().map_err(|e| Error::io(to, e))?.len() as usize;
    writeln!(
        out,
        "{} tokens read at {lane}; wrote {} ({})",
        recording.tokens,
        to.display(),
        bytes(size)
    )?;
    Ok(())
}

impl CalibrateArgs {
    /// A predictor for each layer, or none at all.
    fn fit(
        &self,
        weights: &Weights<'_, '_>,
        recording: &Recording,
        lane: PrecisionLane,
    ) -> Result<Vec<LayerPredictor>, Error> {
        let rank = match self.recall {
            Some(recall) => Rank::Recall(f64::from(recall)),
            None if self.rank == 0 => return Ok(Vec::new()),
            None => Rank::Exactly(self.rank),
        };
        let progress = bar("fitting", recording.layers.len());
        let layers = recording.layers.iter().enumerate();
        let fitted = layers.map(|(layer, activity)| {
            let fitted = predictor(weights, layer, activity, lane, self.active, rank);
            progress.step(1);
            let few = || Error::file(&self.text, "the text is too short to fit predictors to");
            fitted.map_err(|e| Error::file(&self.file, e))?.ok_or_else(few)
        });
        fitted.collect()
    }

    /// The ranks, what they find, and what was asked for and not found.
    fn show(&self, fitted: &[LayerPredictor], out: &mut dyn Write) -> Result<(), Error> {
        if fitted.is_empty() {
            return Ok(());
        }
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        let active = percent(f64::from(self.active));
        let mut table = Table::new(["layer".into(), "rank".into(), format!("recall at {active}")]);
        for (layer, LayerPredictor { fit, recall }) in fitted.iter().enumerate() {
            table.row([layer.to_string(), fit.rank.to_string(), percent(*recall)]);
        }
        table.write(out)?;
        let wanted = f64::from(self.recall.unwrap_or(0.0));
        for (layer, LayerPredictor { fit, recall }) in fitted.iter().enumerate() {
            if *recall < wanted {
                writeln!(
                    out,
                    "layer {layer}: no rank finds {}; a larger one than {} makes predicting as \
                     expensive as gate and up themselves",
                    percent(wanted),
                    fit.rank,
                )?;
            }
        }
        Ok(())
    }
}

fn parse_rank(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(1) | Err(_) => Err("expected 0, or a rank of 2 or more".into()),
        Ok(rank) => Ok(rank),
    }
}
