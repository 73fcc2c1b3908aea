//! The Shakespeare model on an ESP32-C3: speaks over USB, and says how fast.
#![no_std]
#![no_main]

use esp_backtrace as _;
use esp_hal::clock::CpuClock;
use esp_hal::time::Instant;
use esp_hal::{Config, main};
use esp_println::{print, println};
use static_cell::ConstStaticCell;
use trilane_esp32::core::gguf::Gguf;
use trilane_esp32::core::model::sampler::{Candidate, Sampler, SamplerConfig};
use trilane_esp32::core::model::tokenizer::{Slot, Tokenizer, index_len, scratch_len};
use trilane_esp32::{Engine, Error, Layer, Line, Model, Speaker, include_model};

esp_bootloader_esp_idf::esp_app_desc!();

const MODEL: Model = include_model!("../../../models/shakespeare.gguf");
const VOCABULARY: usize = MODEL.header().vocabulary;

const PROMPT: &str = "ROMEO:";
const CONTEXT: usize = 96;

static ARENA: ConstStaticCell<[Line; MODEL.arena_lines(CONTEXT)]> =
    ConstStaticCell::new([Line::ZERO; MODEL.arena_lines(CONTEXT)]);

#[main]
fn main() -> ! {
    esp_hal::init(Config::default().with_cpu_clock(CpuClock::max()));
    if let Err(error) = speak(ARENA.take()) {
        println!("{error}");
    }
    loop {
        core::hint::spin_loop();
    }
}

fn speak(arena: &mut [Line]) -> Result<(), Error> {
    let file = Gguf::parse(MODEL.bytes())?;
    let mut index = [0; index_len(VOCABULARY)];
    let mut speaker = Speaker {
        tokenizer: Tokenizer::read(&file, &mut index)?,
        sampler: Sampler::new(SamplerConfig::default())?,
        candidates: &mut [Candidate::default(); VOCABULARY],
    };
    let mut tokens = [0; CONTEXT];
    let mut slots = [Slot::default(); scratch_len(PROMPT.len())];
    let known = speaker.tokenizer.encode(PROMPT, &mut tokens, &mut slots)?;
    let mut layers = [Layer::EMPTY; MODEL.layers()];
    let mut engine = Engine::init(MODEL.bytes(), CONTEXT, &mut layers, arena)?;
    print!("{PROMPT}");
    let start = Instant::now();
    speaker.go_on(&mut engine, &mut tokens, known, &mut |text| print!("{text}"))?;
    let took = start.elapsed();
    println!("\n{} tokens in {} ms", engine.position(), took.as_millis());
    Ok(())
}
