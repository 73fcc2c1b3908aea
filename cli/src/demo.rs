//! `trilane demo`: the model in the command itself, at every lane.

use crate::args::ComputeArgs;
use crate::error::Error;
use crate::generate::{Request, generate, rate};
use crate::load::{Compute, Model, lanes, read_text, stored};
use crate::perplexity::{encode, loss};
use crate::table::{Table, bits_per_weight, bytes, counted};
use crate::verify::{digest, hex};
use clap::Args;
use std::io::Write;
use std::path::Path;
use trilane::core::gguf::Gguf;
use trilane::core::lane::{GraduationConfig, PrecisionLane};
use trilane::core::model::sampler::SamplerConfig;
use trilane::core::model::{Decoder, ModelError, Weights};
use trilane::std::eval::Loss;
use trilane::std::generation::GenerationConfig;
use trilane::std::text::Text;
use trilane::std::{memory, text};

/// A file in the program, at an address where its floats can be read in place.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

/// The model, converted with `--lane bit7`.
static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/shakespeare.gguf"));

/// Text that the model was not trained on.
const HELD_OUT: &str = include_str!("../../models/shakespeare-validation.txt");

/// Tokens of that text that the loss is measured on, at most.
const LOSS_TOKENS: usize = 1024;

/// How errors name the model.
const NAME: &str = "the built-in model";

/// Try three lanes of one small model that is built in
///
/// A model trained on Shakespeare goes on with a prompt at 7, 5 and 3 bits, with the same seed, and
/// shows what each lane reads, how fast it is, how well it predicts a text it was not trained on,
/// and the digest that is the same on every machine.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane demo
  trilane demo --prompt 'JULIET:' --seed 7
  trilane demo --threads 1 --level scalar    slower, and the same text")]
pub(crate) struct DemoArgs {
    /// Text to go on with
    #[arg(long, short, value_name = "TEXT", default_value = "ROMEO:\n")]
    prompt: String,
    /// Tokens to generate at each lane
    #[arg(long, short = 'n', value_name = "N", default_value_t = 120)]
    tokens: usize,
    /// Number that chance begins from
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Runs the command.
pub(crate) fn demo(args: &DemoArgs, out: &mut dyn Write) -> Result<(), Error> {
    let path = Path::new(NAME);
    let gguf = Gguf::parse(&MODEL.0).map_err(|e| Error::file(path, e))?;
    let mut model = Model::read(path, gguf)?;
    let (header, tied) = (model.header, model.is_tied());
    let mut index = text::index(&gguf);
    let text = read_text(path, &gguf, &header, &mut index)?;
    let prompt = text.encode(&args.prompt).map_err(|e| Error::Usage(e.to_string()))?;
    if prompt.len() > header.context {
        let what =
            format!("the prompt has {} tokens, the context {}", prompt.len(), header.context);
        return Err(Error::Usage(what));
    }
    let mut held_out = encode(path, &text, HELD_OUT)?;
    held_out.truncate(LOSS_TOKENS + 1);
    let weights = model.weights(path)?;
    let compute = args.compute.start()?;
    let mut lanes = lanes(&weights);
    lanes.reverse();
    let (count, _) = lanes
        .first()
        .map_or(Ok((0, 0)), |&lane| stored(&weights, tied, lane))
        .map_err(|e| Error::file(path, e))?;
    writeln!(
        out,
        "A model of {count} weights in {}: {} for {} ({}, {}).",
        counted(header.layers, "layer"),
        bytes(MODEL.0.len()),
        counted(lanes.len(), "lane"),
        compute.level,
        counted(compute.threads.count(), "thread"),
    )?;
    let show = Show { path, args, text: &text, weights, compute: &compute, prompt: &prompt };
    let headings =
        ["lane", "bits per weight", "read per token", "tokens/s", "validation loss", "digest"];
    let mut table = Table::new(headings);
    let mut predicted = 0;
    for lane in lanes {
        let speed = show.text(lane, out)?;
        let loss = show.loss(lane, &held_out)?;
        predicted = loss.tokens;
        let refused = |e: ModelError| Error::file(path, e);
        let (_, size) = stored(&weights, tied, lane).map_err(refused)?;
        table.row([
            lane.name().to_owned(),
            format!("{:.3}", bits_per_weight(size, count)),
            bytes(weights.bytes_per_token(lane).map_err(refused)?),
            format!("{speed:.0}"),
            format!("{:.4}", loss.mean()),
            hex(digest(path, weights, &compute, lane.into(), GraduationConfig::default())?.all),
        ]);
    }
    writeln!(out)?;
    table.write(out)?;
    writeln!(
        out,
        "\nThe loss is in nats a token, over {} of text that the model was not trained on.
The digests, and the texts, are the same on every machine.

Next, in the repository:
  trilane inspect models/shakespeare.gguf
  trilane run models/shakespeare.gguf --prompt 'JULIET:' --lane bit5
  trilane verify models/shakespeare.gguf --all-levels
With a llama model of your own, in GGUF:
  trilane convert model.gguf nested.gguf --lane bit7",
        counted(predicted, "token")
    )?;
    Ok(())
}

/// What every lane is shown with.
struct Show<'s, 'a, 'm> {
    path: &'s Path,
    args: &'s DemoArgs,
    text: &'s Text<'m>,
    weights: Weights<'a, 'm>,
    compute: &'s Compute,
    prompt: &'s [u32],
}

impl Show<'_, '_, '_> {
    /// Shows a text, and gives its tokens a second.
    fn text(&self, lane: PrecisionLane, out: &mut dyn Write) -> Result<f64, Error> {
        writeln!(out, "\n── {lane} ──")?;
        let header = self.weights.header();
        let capacity = header.context.min(self.prompt.len().saturating_add(self.args.tokens));
        let refused = |e| Error::file(self.path, e);
        let mut arena = memory::arena(header, capacity).map_err(refused)?;
        let mut decoder = Decoder::new(self.weights, self.compute.level, capacity, &mut arena)
            .map_err(refused)?;
        let config = GenerationConfig {
            max_tokens: self.args.tokens,
            sampler: SamplerConfig { seed: self.args.seed, ..SamplerConfig::default() },
            ..GenerationConfig::new(lane)
        };
        let request = Request {
            path: self.path,
            text: self.text,
            pool: &self.compute.threads,
            prompt: &self.args.prompt,
            tokens: self.prompt,
            config: &config,
        };
        let generation = generate(&request, &mut decoder, &mut |piece| {
            out.write_all(piece.as_bytes())?;
            Ok(out.flush()?)
        })?;
        writeln!(out)?;
        Ok(rate(generation.steps))
    }

    /// The loss over a text.
    fn loss(&self, lane: PrecisionLane, held_out: &[u32]) -> Result<Loss, Error> {
        let run = || {
            let header = self.weights.header();
            let mut arena = memory::arena(header, header.context)?;
            let level = self.compute.level;
            let mut decoder = Decoder::new(self.weights, level, header.context, &mut arena)?;
            loss(&mut decoder, &self.compute.threads, lane.into(), &[held_out.to_vec()])
        };
        run().map_err(|e| Error::file(self.path, e))
    }
}
