//! `trilane perplexity`: how well a model predicts a text.

use crate::args::{ComputeArgs, LaneArg};
use crate::auto::{self, Measured};
use crate::error::Error;
use crate::load::{Model, choose_lanes, read_text};
use crate::memory::{MemoryArgs, ModelFile};
use crate::progress::bar;
use crate::sparse::SparseArgs;
use crate::table::Table;
use clap::Args;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use trilane::core::kernel::{Backend, Pool};
use trilane::core::lane::Lanes;
use trilane::core::model::{Decoder, ModelError};
use trilane::std::eval::{Loss, document_loss};
use trilane::std::text::Text;
use trilane::std::{memory, text};

/// Measure how well a model predicts a text
///
/// The loss is the mean of −ln(probability) of each token, in nats; the perplexity is e to that
/// power. Lower is better. Every long line is a document of its own, and the model starts anew
/// with each.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane perplexity nested.gguf --text sample.txt --lane bit5
  trilane perplexity nested.gguf --text sample.txt --lane auto    beside the fixed lanes
  trilane perplexity model.gguf --text book.txt --whole
  trilane perplexity model.gguf --text sample.txt --json")]
pub(crate) struct PerplexityArgs {
    /// Model (GGUF)
    file: PathBuf,
    /// Text (UTF-8)
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    #[command(flatten)]
    lane: LaneArg,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten)]
    sparse: SparseArgs,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Leave out lines of at most this many characters
    #[arg(long, value_name = "N", default_value_t = 80)]
    min_chars: usize,
    /// Take the whole file as one document, cut into contexts
    #[arg(long, conflicts_with = "min_chars")]
    whole: bool,
    /// Print JSON: loss, perplexity, tokens, documents, lane
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn perplexity(args: &PerplexityArgs, out: &mut dyn Write) -> Result<(), Error> {
    let path = &args.file;
    let file = ModelFile::open(path, &args.memory)?;
    let mut model = Model::read(path, file.gguf()?)?;
    let (gguf, header) = (model.gguf, model.header);
    let mut index = text::index(&gguf);
    let vocabulary = read_text(path, &gguf, &header, &mut index)?;
    let content = fs::read_to_string(&args.text).map_err(|e| Error::io(&args.text, e))?;
    let long = (!args.whole).then_some(args.min_chars);
    let documents = documents(&args.text, long, &vocabulary, &content)?;
    let weights = file.weights(path, &mut model)?;
    let lanes = choose_lanes(path, &weights, args.lane.lane)?;
    let graduation = args.lane.graduation()?;
    let mode = args.sparse.mode(path, &gguf)?;
    file.prepare(&weights, lanes, mode.is_some())?;
    let compute = args.compute.start()?;
    let longest = documents.iter().map(Vec::len).max().unwrap_or(1);
    let capacity = header.context.min(longest);
    let refused = |e: ModelError| file.explain(Error::file(path, e));
    let mut arena = memory::arena(&header, capacity).map_err(refused)?;
    let mut decoder =
        Decoder::new(weights, compute.level, capacity, &mut arena).map_err(refused)?;
    if lanes == Lanes::Auto {
        if mode.is_some() {
            let what = "--lane auto is measured with dense feed-forward blocks";
            return Err(Error::Usage(what.into()));
        }
        let mut memory = auto::Memory::new(&header);
        let chosen = memory.lanes(&weights, compute.level, graduation);
        let mut decoder = decoder.with_auto(chosen.map_err(|e| Error::file(path, e))?);
        let run = Measured { path, compute: &compute, documents: &documents, json: args.json };
        return auto::compare(&run, &mut decoder, out).map_err(|e| file.explain(e));
    }
    if let Some(asked) = &mode {
        asked.apply(&mut decoder, &compute.threads, lanes).map_err(refused)?;
    }
    file.reset();
    let loss = loss(&mut decoder, &compute.threads, lanes, &documents).map_err(refused)?;
    if args.json {
        let value = json!({
            "loss": loss.mean(),
            "perplexity": loss.perplexity(),
            "tokens": loss.tokens,
            "documents": documents.len(),
            "lane": lanes.name(),
            "feed_forward": mode.as_ref().map(|_| crate::sparse::json(&decoder.feed_forward_reads())),
            "memory": file.json(loss.tokens),
        });
        return Ok(writeln!(out, "{value}")?);
    }
    let mut table = Table::new(["lane", "loss", "perplexity", "tokens", "documents"]);
    table.row([
        lanes.name().to_owned(),
        format!("{:.4}", loss.mean()),
        format!("{:.3}", loss.perplexity()),
        loss.tokens.to_string(),
        documents.len().to_string(),
    ]);
    table.write(out)?;
    if mode.is_some() {
        writeln!(out, "\n{}", crate::sparse::reads(&decoder.feed_forward_reads()))?;
    }
    if let Some(read) = file.report(loss.tokens).strip_prefix(", ") {
        writeln!(out, "\n{read}")?;
    }
    Ok(())
}

/// The loss over all documents.
pub(crate) fn loss<B: Backend>(
    decoder: &mut Decoder<'_, '_, B>,
    pool: &dyn Pool,
    lanes: Lanes<'static>,
    documents: &[Vec<u32>],
) -> Result<Loss, ModelError> {
    let tokens = documents.iter().map(|document| document.len().saturating_sub(1)).sum();
    let progress = bar("predicting", tokens);
    let mut all = Loss::default();
    for document in documents {
        let loss = document_loss(decoder, pool, lanes, document, &mut |n| progress.step(n))?;
        all.sum += loss.sum;
        all.tokens += loss.tokens;
    }
    Ok(all)
}

/// The tokens of each document with something to predict: of every line of more than so many
/// characters, or of the whole text.
pub(crate) fn documents(
    path: &Path,
    min_chars: Option<usize>,
    vocabulary: &Text<'_>,
    content: &str,
) -> Result<Vec<Vec<u32>>, Error> {
    let texts: Vec<&str> = match min_chars {
        Some(least) => content.lines().filter(|line| line.chars().count() > least).collect(),
        None => vec![content],
    };
    let mut documents = Vec::new();
    for text in texts {
        let tokens = encode(path, vocabulary, text)?;
        if tokens.len() > 1 {
            documents.push(tokens);
        }
    }
    if documents.is_empty() {
        let what = match min_chars {
            None => "the text has nothing to predict".into(),
            Some(least) => format!("no line is longer than {least} characters (see --min-chars)"),
        };
        return Err(Error::file(path, what));
    }
    Ok(documents)
}

/// The tokens of a document, the begin token first where the model has one.
pub(crate) fn encode(path: &Path, vocabulary: &Text<'_>, text: &str) -> Result<Vec<u32>, Error> {
    let mut tokens = vocabulary.encode(text).map_err(|e| Error::file(path, e))?;
    let special = vocabulary.tokenizer().special();
    if let Some(bos) = special.bos.filter(|_| !special.add_bos) {
        tokens.insert(0, bos);
    }
    Ok(tokens)
}
