//! `trilane export`: a model as firmware takes it.

mod budget;
mod decoder;
mod perceptron;
mod source;

use crate::args::parse_stored_lane;
use crate::error::Error;
use crate::verify::hex;
use clap::{Args, ValueEnum};
use source::{Constants, write_header, write_module};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use trilane::core::gguf::Gguf;
use trilane::core::kernel::{Backend, Lut};
use trilane::core::lane::PrecisionLane;
use trilane::std::gguf_writer::write_atomically;
use trilane::std::mapped::MappedFile;
use trilane::std::strip::strip;

/// Write a model for firmware: only the tiers it reads, as a file and as sources for C and Rust
///
/// OUT gets the model without the tiers above the lane (under its own name), `model.h` (the bytes
/// and the memory they need, for C) and `model.rs` (for the crate trilane-esp32). Says what the
/// model takes of the device's flash and RAM, and whether that fits.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane export models/shakespeare.gguf --target esp32 --out firmware/model
  trilane export models/digits.gguf --target esp32 --out firmware/model   a perceptron
  trilane export nested.gguf --target esp32 --lane bit3 --context 128 --out model --json")]
pub(crate) struct ExportArgs {
    /// Model (GGUF, converted to lanes)
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Device to write for
    #[arg(long, value_name = "TARGET")]
    target: Target,
    /// Highest lane to keep: bit3, bit5 or bit7; or ternary
    #[arg(long, value_name = "LANE", default_value = "bit3", value_parser = parse_stored_lane)]
    lane: PrecisionLane,
    /// Tokens that the context has room for [default: 64]; not for a perceptron
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    /// Folder to write to, made if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Devices.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    /// Espressif's microcontrollers; the budget is that of an ESP32-C3
    Esp32,
}

/// The files to write.
struct Outputs {
    model: PathBuf,
    header: PathBuf,
    module: PathBuf,
}

/// Runs the command.
pub(crate) fn export(args: &ExportArgs, out: &mut dyn Write) -> Result<(), Error> {
    let Target::Esp32 = args.target;
    let file = MappedFile::open(&args.input)?;
    let gguf = file.gguf()?;
    match gguf.get("general.architecture").and_then(|value| value.as_str()) {
        Some("mlp") => perceptron::export(args, &gguf, out),
        Some("llama") | None => decoder::export(args, gguf, out),
        Some(found) => {
            let expected = "general.architecture: expected \"llama\" or \"mlp\"";
            Err(Error::file(&args.input, format!("{expected}, found {found:?}")))
        }
    }
}

/// Writes the model without the tiers above `lane`; its length.
fn write_model(
    args: &ExportArgs,
    gguf: &Gguf<'_>,
    outputs: &Outputs,
    lane: PrecisionLane,
) -> Result<u64, Error> {
    fs::create_dir_all(&args.out).map_err(|e| Error::io(&args.out, e))?;
    strip(gguf, &outputs.model, lane).map_err(|e| Error::write(&outputs.model, e))
}

/// Writes the sources of a model that has been written, and says what it takes.
fn finish(
    args: &ExportArgs,
    outputs: &Outputs,
    constants: &Constants<'_>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let bytes = fs::read(&outputs.model).map_err(|e| Error::io(&outputs.model, e))?;
    write(&outputs.header, |out| write_header(constants, &bytes, out))?;
    write(&outputs.module, |out| write_module(constants, out))?;
    let (budget, lane, digest) = (constants.budget, constants.lane, hex(constants.digest));
    if args.json {
        return Ok(writeln!(out, "{}", budget.json(&outputs.model, lane, &digest))?);
    }
    for path in [&outputs.model, &outputs.header, &outputs.module] {
        writeln!(out, "wrote {}", path.display())?;
    }
    budget.show(lane, &digest, out)
}

/// The feature of the library that takes all these lanes, where one is needed.
fn feature(mut lanes: impl Iterator<Item = PrecisionLane>) -> Option<&'static str> {
    lanes.any(|lane| !Lut::<1>.computes(lane)).then_some("lanes")
}

/// The files to write, none of which may be the input, or be there already.
fn outputs(args: &ExportArgs) -> Result<Outputs, Error> {
    let Some(name) = args.input.file_name() else {
        return Err(Error::Usage(format!("{}: expected a file", args.input.display())));
    };
    if args.out.exists() && !args.out.is_dir() {
        return Err(Error::Usage(format!("{}: expected a folder", args.out.display())));
    }
    let place = |name: &Path| -> Result<PathBuf, Error> {
        let path = args.out.join(name);
        let refused = |what| Err(Error::Usage(format!("{}: {what}", path.display())));
        if let (Ok(from), Ok(to)) = (args.input.canonicalize(), path.canonicalize())
            && from == to
        {
            return refused("input and output are the same");
        }
        if path.is_dir() {
            return refused("expected a file to write");
        }
        if !args.force && path.symlink_metadata().is_ok() {
            return refused("exists; --force replaces it");
        }
        Ok(path)
    };
    Ok(Outputs {
        model: place(name.as_ref())?,
        header: place("model.h".as_ref())?,
        module: place("model.rs".as_ref())?,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Writes a file that appears whole or not at all.
fn write(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Error> {
    write_atomically(path, |out| content(out)).map_err(|e| Error::io(path, e))
}
