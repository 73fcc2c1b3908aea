//! `trilane run`: a prompt goes on.

mod converse;

use crate::args::{ComputeArgs, LaneArg};
use crate::auto;
use crate::error::Error;
use crate::generate::{Generation, Request, generate, rate, refused};
#[cfg(feature = "cuda")]
use crate::load::Compute;
use crate::load::{Model, block_types, choose_lanes, read_text};
use crate::memory::{MemoryArgs, ModelFile};
use crate::sparse::{self, SparseArgs};
use crate::table::counted;
use clap::Args;
use converse::converse;
use std::io::{Read, Write, stderr, stdin};
use std::path::{Path, PathBuf};
#[cfg(feature = "cuda")]
use trilane::core::kernel::Backend;
use trilane::core::lane::Lanes;
use trilane::core::model::sampler::SamplerConfig;
use trilane::core::model::{Decoder, Weights};
#[cfg(feature = "cuda")]
use trilane::cuda::{DevicePreference, seconds_per_token};
use trilane::std::generation::{End, GenerationConfig, ModelRunner};
use trilane::std::{memory, text};

/// Go on with a text
///
/// The prompt and what follows it go to standard output as they come, a line about speed to
/// standard error. Ends with the model's end of text, after --tokens, or when the context is full.
/// The same seed gives the same text on every machine.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane run model.gguf --prompt 'Once upon a time'
  trilane run nested.gguf --prompt 'Once upon a time' --lane bit3    the same file, fewer bytes
  trilane run model.gguf --prompt 'Once upon a time' --temperature 0  always the likeliest token
  trilane run nested.gguf --prompt 'Once upon a time' --lane auto    a lane for each layer and token
  trilane run model.gguf --prompt - --tokens 64 < prompt.txt
  trilane run model.gguf --prompt 'Once upon a time' --memory 300M   a model larger than memory
  trilane run model.gguf --prompt 'Once upon a time' --device cuda     on a GPU: the same text
  trilane run model.gguf --prompt 'JULIET:' --stop ROMEO               ends where ROMEO would begin
  trilane run model.gguf --interactive --stop '
'                                               turn by turn, a line of an answer each")]
pub(crate) struct RunArgs {
    /// Model (GGUF)
    file: PathBuf,
    /// Text to go on with; - reads it from standard input, without its last line end
    #[arg(
        long,
        short,
        value_name = "TEXT",
        allow_hyphen_values = true,
        required_unless_present = "interactive",
        default_value = "",
        hide_default_value = true
    )]
    prompt: String,
    /// Take every line of standard input as a turn: it and what the model goes on with become part
    /// of the text, and only what is new of it is computed. --tokens and --stop count for each turn
    #[arg(long, short)]
    interactive: bool,
    /// End where this text would begin, which is not shown; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    stop: Vec<String>,
    /// The most tokens to generate
    #[arg(long, short = 'n', value_name = "N", default_value_t = 128)]
    tokens: usize,
    /// Tokens that the context has room for, prompt included [default: as many as the model's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    #[command(flatten)]
    lane: LaneArg,
    #[command(flatten)]
    compute: ComputeArgs,
    #[cfg(feature = "cuda")]
    #[command(flatten)]
    device: crate::device::DeviceArgs,
    #[command(flatten)]
    sampler: SamplerArgs,
    #[command(flatten)]
    sparse: SparseArgs,
    #[command(flatten)]
    memory: MemoryArgs,
}

/// How tokens are chosen.
#[derive(Args, Debug)]
#[command(next_help_heading = "Choosing tokens")]
struct SamplerArgs {
    /// Lower is more predictable; 0 always takes the likeliest token
    #[arg(
        long,
        value_name = "T",
        allow_negative_numbers = true,
        default_value_t = usual().temperature
    )]
    temperature: f32,
    /// Choose among the K likeliest tokens; 0 among all
    #[arg(long, value_name = "K", default_value_t = usual().top_k)]
    top_k: usize,
    /// Choose among the likeliest tokens that have this probability together
    #[arg(
        long,
        value_name = "P",
        allow_negative_numbers = true,
        default_value_t = usual().top_p
    )]
    top_p: f32,
    /// Leave out tokens that are less likely than this share of the likeliest
    #[arg(
        long,
        value_name = "P",
        allow_negative_numbers = true,
        default_value_t = usual().min_p
    )]
    min_p: f32,
    /// Make the last 64 tokens less likely to come again; 1 does nothing
    #[arg(
        long,
        value_name = "R",
        allow_negative_numbers = true,
        default_value_t = usual().repetition_penalty
    )]
    repeat_penalty: f32,
    /// Number that chance begins from
    #[arg(long, value_name = "SEED", default_value_t = usual().seed)]
    seed: u64,
}

/// What the library takes when nothing else is asked for.
fn usual() -> SamplerConfig {
    SamplerConfig::default()
}

impl SamplerArgs {
    fn config(&self) -> SamplerConfig {
        SamplerConfig {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repeat_penalty,
            seed: self.seed,
            ..usual()
        }
    }
}

#[cfg(feature = "cuda")]
impl RunArgs {
    /// Refuses what only the processor computes.
    fn check_device(&self) -> Result<(), Error> {
        let with = [
            (self.interactive, "--interactive"),
            (self.lane.lane == Some(Lanes::Auto), "--lane auto"),
            (self.memory.is_asked(), "--memory"),
        ];
        match with.iter().find(|(asked, _)| *asked) {
            Some((_, what)) if self.device.device != DevicePreference::Cpu => Err(Error::Usage(
                format!("{what}: computed on the processor only, not by --device"),
            )),
            _ => Ok(()),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &RunArgs, out: &mut dyn Write) -> Result<(), Error> {
    let path = &args.file;
    let file = ModelFile::open(path, &args.memory)?;
    let mut model = Model::read(path, file.gguf()?)?;
    let (gguf, header) = (model.gguf, model.header);
    let mut index = text::index(&gguf);
    let text = read_text(path, &gguf, &header, &mut index)?;
    let context = args.context.map_or(header.context, |n| n as usize);
    if context > header.context {
        let what = format!("the model's context has {} tokens, not {context}", header.context);
        return Err(Error::Usage(format!("{}: {what}", path.display())));
    }
    #[cfg(feature = "cuda")]
    args.check_device()?;
    if args.interactive && args.prompt == "-" {
        let what = "--interactive reads standard input itself; --prompt - cannot";
        return Err(Error::Usage(what.into()));
    }
    let prompt = prompt(&args.prompt)?;
    let tokens = text.encode(&prompt).map_err(|e| Error::Usage(format!("the prompt: {e}")))?;
    if tokens.len() > context {
        let what = format!("the prompt has {} tokens, the context {context}", tokens.len());
        return Err(Error::Usage(format!("{}: {what}", path.display())));
    }
    let weights = file.weights(path, &mut model)?;
    let lanes = choose_lanes(path, &weights, args.lane.lane)?;
    let config = GenerationConfig {
        max_tokens: args.tokens,
        sampler: args.sampler.config(),
        stop: args.stop.clone(),
        ..GenerationConfig::new(lanes)
    };
    config.validate(header.vocabulary).map_err(|e| refused(path, e))?;
    let graduation = args.lane.graduation()?;
    let computed = computed(&weights, lanes);
    let mode = args.sparse.mode(path, &gguf)?;
    file.prepare(&weights, lanes, mode.is_some())?;
    let compute = args.compute.start()?;
    let capacity = match args.interactive {
        true => context,
        false => context.min(tokens.len().saturating_add(args.tokens)),
    };
    let spoiled = |e| Error::file(path, e);
    let mut arena = memory::arena(&header, capacity).map_err(spoiled)?;
    let mut auto = auto::Memory::new(&header);
    let mut decoder =
        Decoder::new(weights, compute.level, capacity, &mut arena).map_err(spoiled)?;
    if lanes == Lanes::Auto {
        let chosen = auto.lanes(&weights, compute.level, graduation);
        decoder = decoder.with_auto(chosen.map_err(|e| Error::file(path, e))?);
    }
    let mode = mode.map(|asked| asked.apply(&mut decoder, &compute.threads, lanes));
    let mode = mode.transpose().map_err(|e| file.explain(spoiled(e)))?;
    file.reset();
    if args.interactive {
        let runner = ModelRunner::new(text, decoder);
        let turns = converse(path, runner, &compute, &config, &prompt, out);
        return turns.map_err(|e| file.explain(e));
    }
    let request = Request {
        path,
        text: &text,
        pool: &compute.threads,
        prompt: &prompt,
        tokens: &tokens,
        config: &config,
    };
    let mut show = |piece: &str| {
        out.write_all(piece.as_bytes())?;
        Ok(out.flush()?)
    };
    #[cfg(feature = "cuda")]
    if let Some((mut on_device, device)) =
        on_device(args, &weights, capacity, &compute, &mut decoder)?
    {
        let generation = generate(&request, &mut on_device, &mut show)?;
        writeln!(out)?;
        let sparse = mode.map_or(String::new(), |name| format!(", {name}"));
        report(&generation, context, &format!("{computed}, {device}{sparse}"));
        return Ok(());
    }
    let generation = generate(&request, &mut decoder, &mut show).map_err(|e| file.explain(e))?;
    writeln!(out)?;
    let threads = counted(compute.threads.count(), "thread");
    let sparse = mode.map_or(String::new(), |name| {
        format!(", {} ({name})", sparse::reads(&decoder.feed_forward_reads()))
    });
    let read = file.report(generation.prompt.0 + generation.steps.0);
    report(
        &generation,
        context,
        &format!("{computed}, {}, {threads}{sparse}{read}", compute.level),
    );
    if let Some(auto) = decoder.auto() {
        auto::show(auto, &weights, &mut stderr())?;
    }
    Ok(())
}

/// The decoder on the device that was asked for, or that is faster, and what to call it; `None`
/// where the processor computes.
#[cfg(feature = "cuda")]
fn on_device<B: Backend>(
    args: &RunArgs,
    weights: &Weights<'_, '_>,
    capacity: usize,
    compute: &Compute,
    decoder: &mut Decoder<'_, '_, B>,
) -> Result<Option<(trilane::cuda::Decoder, String)>, Error> {
    let Some(device) = args.device.open()? else { return Ok(None) };
    let name = device.info().name.clone();
    // A measurement takes five tokens.
    let room = if args.device.is_forced() { capacity } else { capacity.max(5) };
    let mut on_device = match crate::device::decoder(&args.file, &device, weights, room) {
        Ok(on_device) => on_device,
        Err(_) if !args.device.is_forced() => return Ok(None),
        Err(error) => return Err(error),
    };
    if weights.header().sparse_rank.is_some() {
        let set = on_device.set_feed_forward(weights, decoder.feed_forward_mode());
        set.map_err(|e| crate::device::refused(&e))?;
    }
    if args.device.is_forced() {
        return Ok(Some((on_device, name)));
    }
    let lanes = choose_lanes(&args.file, weights, args.lane.lane)?;
    let pool = &compute.threads;
    let measured =
        |model| seconds_per_token(model, pool, lanes).map_err(|e| refused(&args.file, e));
    if decoder.capacity() < room {
        return Ok(None);
    }
    let (here, there) = (measured(decoder)?, measured(&mut on_device)?);
    let name = format!("{name} ({:.2} ms a token, {:.2} here)", 1e3 * there, 1e3 * here);
    Ok((there < here).then_some((on_device, name)))
}

/// The lanes, and the types that are expanded for it.
fn computed(weights: &Weights<'_, '_>, lanes: Lanes<'static>) -> String {
    match block_types(weights).join(", ") {
        types if types.is_empty() => lanes.name().into(),
        types => format!("{} expanded from {types} in every product", lanes.name()),
    }
}

/// The prompt itself, or what standard input says.
fn prompt(argument: &str) -> Result<String, Error> {
    if argument != "-" {
        return Ok(argument.into());
    }
    let mut text = String::new();
    let read = stdin().read_to_string(&mut text);
    read.map_err(|e| Error::io(Path::new("standard input"), e))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// The line about speed. Nothing depends on whether it can be written.
fn report(generation: &Generation, context: usize, computed: &str) {
    let ended = match generation.end {
        End::Limit => String::new(),
        End::Text => "; the text ended".into(),
        End::Stop => "; a stop string ended it".into(),
        End::Context => format!("; the context of {context} tokens is full"),
    };
    let _ = writeln!(
        stderr(),
        "[prompt: {}, {:.1}/s; generated: {}, {:.1}/s; {computed}{ended}]",
        counted(generation.prompt.0, "token"),
        rate(generation.prompt),
        counted(generation.tokens, "token"),
        rate(generation.steps),
    );
}
