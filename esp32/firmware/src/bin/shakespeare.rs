//! Speaks: the Shakespeare model goes on with a prompt, at Bit3, as
//! `trilane run models/shakespeare.gguf --prompt ROMEO: --lane bit3 --tokens 32` does elsewhere.
#![no_std]
#![no_main]

use firmware::{
    entry, eprintln, exit, instructions, or_exit, paint_stack, print, println, stack_bytes,
};
use static_cell::ConstStaticCell;
use trilane_esp32::core::gguf::Gguf;
use trilane_esp32::core::model::sampler::{Candidate, Sampler, SamplerConfig};
use trilane_esp32::core::model::tokenizer::{Slot, Tokenizer, index_len, scratch_len};
use trilane_esp32::core::model::utf8::Utf8Stream;
use trilane_esp32::{Engine, Layer, Line, Model, include_model};

const MODEL: Model = include_model!("../../../../models/shakespeare.gguf");
const VOCABULARY: usize = MODEL.header().vocabulary;

const PROMPT: &str = "ROMEO:";
const TOKENS: usize = 32;
/// Prompt and text; a token of the prompt is one of its bytes or more, and one begins the text.
const CONTEXT: usize = PROMPT.len() + 1 + TOKENS;

/// Bytes that the text of a token may have.
const PIECE: usize = 64;

static ARENA: ConstStaticCell<[Line; MODEL.arena_lines(CONTEXT)]> =
    ConstStaticCell::new([Line::ZERO; MODEL.arena_lines(CONTEXT)]);

#[entry]
fn main() -> ! {
    paint_stack();
    let file = or_exit(Gguf::parse(MODEL.bytes()));
    let mut index = [0; index_len(VOCABULARY)];
    let tokenizer = or_exit(Tokenizer::read(&file, &mut index));
    let mut tokens = [0; CONTEXT];
    let mut slots = [Slot::default(); scratch_len(PROMPT.len())];
    let prompt = or_exit(tokenizer.encode(PROMPT, &mut tokens, &mut slots));

    let arena = ARENA.take();
    let mut layers = [Layer::EMPTY; MODEL.layers()];
    let engine = Engine::init(MODEL.bytes(), CONTEXT, &mut layers, arena);
    let mut engine = or_exit(engine);
    let mut sampler = or_exit(Sampler::new(SamplerConfig::default()));
    let mut candidates = [Candidate::default(); VOCABULARY];
    let mut characters = Utf8Stream::new();

    print!("{PROMPT}");
    let start = instructions();
    let mut known = prompt;
    while known < CONTEXT
        && let Some(&token) = tokens.get(engine.position())
    {
        let is_last = engine.position() + 1 == known;
        let logits = or_exit(engine.step(token));
        if !is_last {
            continue;
        }
        let past = tokens.get(..known).unwrap_or_default();
        let next = or_exit(sampler.sample(logits, past, &mut candidates));
        let mut piece = [0; PIECE];
        let len = or_exit(tokenizer.decode_piece(next, false, &mut piece));
        let mut text = [0; Utf8Stream::output_len(PIECE)];
        let piece = piece.get(..len).unwrap_or_default();
        print!("{}", characters.push(piece, &mut text).unwrap_or_default());
        if let Some(place) = tokens.get_mut(known) {
            *place = next;
        }
        known += 1;
    }
    println!("{}", characters.finish());
    let steps = engine.position();
    eprintln!("{} instructions a token", (instructions() - start) / steps as u64);
    eprintln!("{} bytes of arena, {} of stack", size_of_val(&ARENA), stack_bytes());
    exit(0)
}
