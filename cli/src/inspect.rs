//! `trilane inspect`: what is in a file, and what it would take to run it.

mod dump;
mod encoder;
mod metadata;
mod perceptron;
mod report;

use crate::args::parse_lane;
use crate::error::Error;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use trilane::core::lane::PrecisionLane;
use trilane::std::mapped::MappedFile;

/// Show what is in a GGUF file: metadata, tensor types, lanes, memory
///
/// Works for files of any architecture; for one that cannot be run it says why.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane inspect model.gguf
  trilane inspect model.gguf --tensors
  trilane inspect nested.gguf --json
  trilane inspect nested.gguf --dump token_embd.weight embedding.f32 --lane bit5
      the tensor as little-endian f32, row after row, as the lane reads it")]
pub(crate) struct InspectArgs {
    /// File (GGUF)
    file: PathBuf,
    /// List every tensor
    #[arg(long, conflicts_with = "dump")]
    tensors: bool,
    /// Write a tensor to a file as little-endian f32
    #[arg(long, num_args = 2, value_names = ["TENSOR", "OUT"], conflicts_with = "json")]
    dump: Option<Vec<String>>,
    /// Lane that a tensor in digit planes is dumped at [default: the highest it has]
    #[arg(long, value_name = "LANE", value_parser = parse_lane, requires = "dump")]
    lane: Option<PrecisionLane>,
    /// Print JSON, tensors included
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn inspect(args: &InspectArgs, out: &mut dyn Write) -> Result<(), Error> {
    let file = MappedFile::open(&args.file)?;
    let gguf = file.gguf()?;
    if let Some([tensor, to]) = args.dump.as_deref() {
        return dump::dump(&args.file, gguf, tensor, to.as_ref(), args.lane, out);
    }
    let model = report::Runnable::read(&args.file, gguf);
    if args.json {
        return Ok(writeln!(out, "{}", report::json(&gguf, &model))?);
    }
    report::show(&gguf, &model, args.tensors, out)
}
