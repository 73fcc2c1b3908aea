//! `trilane embed`: vectors of texts.

use crate::args::{ComputeArgs, parse_lane};
use crate::error::Error;
use crate::load::threads;
use crate::progress::bar;
use crate::table::counted;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fs;
use std::io::{Read, Write, stderr, stdin};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use trilane::core::lane::PrecisionLane;
use trilane::std::embedding::{Embedding, EmbeddingError, EmbeddingOptions, EmbeddingProvider};
use trilane::std::gguf_writer::write_atomically;

/// Texts between two steps of the progress bar, and the most whose vectors are held at once.
const TOGETHER: usize = 64;

/// Turn texts into vectors, with an encoder
///
/// Each vector has length 1: the cosine of two texts is the dot product of theirs. The result does
/// not depend on threads or machine. A text that is longer than the model's longest is cut, which
/// is said.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane embed minilm.gguf --text 'A cat sits on the mat.'
  trilane embed minilm.gguf --file lines.txt --lane bit5 > vectors.jsonl
      a line of JSON for each line: text, tokens, embedding
  trilane embed minilm.gguf --file lines.txt --format npy --out vectors.npy
      for numpy: f32, a row for each line")]
pub(crate) struct EmbedArgs {
    /// Encoder (GGUF, architecture bert)
    model: PathBuf,
    /// Text; may be given several times
    #[arg(long, value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    text: Vec<String>,
    /// File with a text in every line (UTF-8); - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Lane to read weights at: float, bit7, bit5 or bit3 [default: the highest stored]
    #[arg(long, value_name = "LANE", value_parser = parse_lane)]
    lane: Option<PrecisionLane>,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Format of the vectors
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// File to write, complete or not at all [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON object in each line.
    Json,
    /// An array of numpy.
    Npy,
}

/// Runs the command.
pub(crate) fn embed(args: &EmbedArgs, out: &mut dyn Write) -> Result<(), Error> {
    let texts = texts(args)?;
    let options = EmbeddingOptions { lane: args.lane, level: args.compute.level };
    let model =
        EmbeddingProvider::open(&args.model, &options).map_err(|e| refused(&args.model, e))?;
    let Some(path) = &args.out else { return vectors(args, &model, &texts, out) };
    write_atomically(path, |file| vectors(args, &model, &texts, file)).map_err(|e| match e {
        // What was written to is not standard output.
        Error::Io { error, .. } => Error::io(path, error),
        error => error,
    })
}

/// The texts that the arguments name.
fn texts(args: &EmbedArgs) -> Result<Vec<String>, Error> {
    let Some(path) = &args.file else { return Ok(args.text.clone()) };
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        stdin().read_to_end(&mut bytes).map(|_| ())
    } else {
        fs::read(path).map(|read| bytes = read)
    };
    read.map_err(|e| Error::io(path, e))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::file(path, format!("not UTF-8 from byte {at} on"))
    })?;
    let lines: Vec<String> = text.lines().map(String::from).collect();
    if lines.is_empty() {
        return Err(Error::file(path, "empty: expected a text in every line"));
    }
    Ok(lines)
}

/// Computes and writes the vectors of all texts, in their order.
fn vectors(
    args: &EmbedArgs,
    model: &EmbeddingProvider,
    texts: &[String],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let threads = threads(args.compute.threads.map_or(0, usize::from))?;
    if args.format == Format::Npy {
        out.write_all(&npy_header(texts.len(), model.dim()))?;
    }
    let progress = args.file.as_ref().map(|_| bar("embedding", texts.len()));
    let (mut first, mut tokens, mut time) = (0, 0, Duration::ZERO);
    for part in texts.chunks(TOGETHER) {
        let start = Instant::now();
        let embeddings = threads.install(|| model.embed_batch(part));
        time += start.elapsed();
        let embeddings = embeddings.map_err(|e| refused(&args.model, e))?;
        tokens += embeddings.iter().map(|embedding| embedding.tokens).sum::<usize>();
        for (i, (text, embedding)) in part.iter().zip(&embeddings).enumerate() {
            if embedding.cut > 0 {
                warn(first + i + 1, embedding);
            }
            match args.format {
                Format::Json => {
                    // By hand: the fewest digits that give the same f32 again.
                    let vector: Vec<String> =
                        embedding.vector.iter().map(|value| value.to_string()).collect();
                    writeln!(
                        out,
                        r#"{{"text":{},"tokens":{},"embedding":[{}]}}"#,
                        json!(text),
                        embedding.tokens,
                        vector.join(",")
                    )?;
                }
                Format::Npy => {
                    for value in &embedding.vector {
                        out.write_all(&value.to_le_bytes())?;
                    }
                }
            }
        }
        first += part.len();
        progress.iter().for_each(|progress| progress.step(part.len()));
    }
    drop(progress);
    if args.file.is_some() {
        // Nothing depends on whether it can be written.
        let _ = writeln!(
            stderr(),
            "[{}, {}, {:.1} texts/s; {}, {}]",
            counted(texts.len(), "text"),
            counted(tokens, "token"),
            texts.len() as f64 / time.as_secs_f64().max(1e-9),
            model.lane(),
            counted(threads.count(), "thread"),
        );
    }
    Ok(())
}

/// Says that a text was cut. Nothing depends on whether that can be written.
fn warn(text: usize, embedding: &Embedding) {
    let (kept, cut) = (counted(embedding.tokens, "token"), counted(embedding.cut, "token"));
    let _ = writeln!(
        stderr(),
        "trilane: warning: text {text} is cut: the model takes {kept}, {cut} are left out"
    );
}

/// What a `.npy` file of f32 begins with (format version 1.0): padded to a multiple of 64 bytes.
fn npy_header(rows: usize, cols: usize) -> Vec<u8> {
    let mut description =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    let before = b"\x93NUMPY\x01\x00";
    // The length of the description takes two bytes, and it ends with a line feed.
    let len = before.len() + 2 + description.len() + 1;
    description.extend(std::iter::repeat_n(' ', len.next_multiple_of(64) - len));
    description.push('\n');
    let mut header = before.to_vec();
    header.extend((description.len() as u16).to_le_bytes());
    header.extend(description.bytes());
    header
}

/// A fault in the model's file.
fn refused(path: &Path, error: EmbeddingError) -> Error {
    match error {
        EmbeddingError::Open(error) => error.into(),
        error => Error::file(path, error),
    }
}
