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
use trilane_esp32::{Engine, Layer, Line, Model, Speaker, include_model};

const MODEL: Model = include_model!("../../../../models/shakespeare.gguf");
const VOCABULARY: usize = MODEL.header().vocabulary;

const PROMPT: &str = "ROMEO:";
const TOKENS: usize = 32;
/// Prompt and text; a token of the prompt is one of its bytes or more, and one begins the text.
const CONTEXT: usize = PROMPT.len() + 1 + TOKENS;

static ARENA: ConstStaticCell<[Line; MODEL.arena_lines(CONTEXT)]> =
    ConstStaticCell::new([Line::ZERO; MODEL.arena_lines(CONTEXT)]);

#[entry]
fn main() -> ! {
    paint_stack();
    let file = or_exit(Gguf::parse(MODEL.bytes()));
    let mut index = [0; index_len(VOCABULARY)];
    let mut speaker = Speaker {
        tokenizer: or_exit(Tokenizer::read(&file, &mut index)),
        sampler: or_exit(Sampler::new(SamplerConfig::default())),
        candidates: &mut [Candidate::default(); VOCABULARY],
    };
    let mut tokens = [0; CONTEXT];
    let mut slots = [Slot::default(); scratch_len(PROMPT.len())];
    let known = or_exit(speaker.tokenizer.encode(PROMPT, &mut tokens, &mut slots));

    let mut layers = [Layer::EMPTY; MODEL.layers()];
    let mut engine = or_exit(Engine::init(MODEL.bytes(), CONTEXT, &mut layers, ARENA.take()));
    print!("{PROMPT}");
    let start = instructions();
    or_exit(speaker.go_on(&mut engine, &mut tokens, known, &mut |text| print!("{text}")));
    println!();
    let steps = engine.position();
    eprintln!("{} instructions a token", (instructions() - start) / steps as u64);
    eprintln!("{} bytes of arena, {} of stack", size_of_val(&ARENA), stack_bytes());
    exit(0)
}
