//! The `trilane` command: arguments in, the library's answers out.

mod args;
mod auto;
mod calibrate;
mod classify;
mod convert;
mod demo;
#[cfg(feature = "cuda")]
mod device;
#[cfg(feature = "cuda")]
mod devices;
mod embed;
mod error;
mod export;
mod generate;
mod inspect;
mod load;
mod memory;
mod perplexity;
mod plot;
mod progress;
mod report;
mod run;
mod sparse;
mod table;
#[cfg(feature = "train")]
mod train;
mod verify;

use clap::{Parser, Subcommand};
use error::Error;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

/// Low-bit neural networks with the same bits everywhere.
///
/// A converted file holds several lanes at once: the same weights at 3, 5 and 7 bits. A lower lane
/// reads fewer bytes, so it runs faster and is less precise.
#[derive(Parser, Debug)]
#[command(
    name = "trilane",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  trilane demo
  trilane inspect model.gguf
  trilane convert model.gguf nested.gguf --lane bit7
  trilane run nested.gguf --prompt 'Once upon a time' --lane bit5
  trilane perplexity nested.gguf --text sample.txt --lane bit3
  trilane verify nested.gguf
  trilane classify models/digits.gguf --data models/digits-test.bin
  trilane embed minilm.gguf --text 'A cat sits on the mat.'
  trilane export nested.gguf --target esp32 --out firmware
  trilane train shakespeare.yaml        (a build with --features train)

Exit codes: 0 done, 1 failed (results differ, for one), 2 wrong arguments, 3 a file's contents are
wrong, 4 a file cannot be read or written, 5 there is no such device or it cannot compute this."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::DemoArgs),
    Run(run::RunArgs),
    Convert(convert::ConvertArgs),
    Calibrate(calibrate::CalibrateArgs),
    Report(report::ReportArgs),
    Export(export::ExportArgs),
    Inspect(inspect::InspectArgs),
    Verify(verify::VerifyArgs),
    Perplexity(perplexity::PerplexityArgs),
    Classify(classify::ClassifyArgs),
    Embed(embed::EmbedArgs),
    #[cfg(feature = "cuda")]
    Devices(devices::DevicesArgs),
    #[cfg(feature = "train")]
    Train(train::TrainArgs),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = stdout().lock();
    let result = match arguments.command {
        Command::Demo(args) => demo::demo(&args, &mut out),
        Command::Run(args) => run::run(&args, &mut out),
        Command::Convert(args) => convert::convert(&args, &mut out),
        Command::Calibrate(args) => calibrate::calibrate(&args, &mut out),
        Command::Report(args) => report::report(&args, &mut out),
        Command::Export(args) => export::export(&args, &mut out),
        Command::Inspect(args) => inspect::inspect(&args, &mut out),
        Command::Verify(args) => verify::verify(&args, &mut out),
        Command::Perplexity(args) => perplexity::perplexity(&args, &mut out),
        Command::Classify(args) => classify::classify(&args, &mut out),
        Command::Embed(args) => embed::embed(&args, &mut out),
        #[cfg(feature = "cuda")]
        Command::Devices(args) => devices::devices(&args, &mut out),
        #[cfg(feature = "train")]
        Command::Train(args) => train::train(&args, &mut out),
    };
    let result = result.and_then(|()| Ok(out.flush()?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, Error::Closed) {
                // Without standard error there is nowhere left to say it.
                let _ = writeln!(stderr(), "trilane: {error}");
            }
            ExitCode::from(error.code())
        }
    }
}
