//! Prints the Bit3 digest of the Shakespeare model, which every platform must agree on.
#![no_std]
#![no_main]

use core::fmt::Display;
use firmware::{entry, exit, instructions, println};
use trilane_esp32::core::model::{Digest, VERIFY_TOKENS};
use trilane_esp32::{Engine, Memory, Model, include_model};

const MODEL: Model = include_model!("../../../../models/shakespeare.gguf");

#[entry]
fn main() -> ! {
    let mut memory = Memory::<{ MODEL.layers() }, { MODEL.arena_lines(VERIFY_TOKENS) }>::new();
    let mut layer_digests = [Digest::default(); MODEL.layers() + 1];
    let start = instructions();
    let engine = Engine::init(MODEL.bytes(), VERIFY_TOKENS, &mut memory.layers, &mut memory.arena);
    let mut engine = or_exit(engine);
    let loaded = instructions();
    let digest = or_exit(engine.digest(&mut layer_digests));
    let ran = instructions();
    println!("{} {:016x}", engine.lane(), digest.value());
    println!("loading: {} instructions", loaded - start);
    println!("a token: {} instructions", (ran - loaded) / VERIFY_TOKENS as u64);
    exit(0)
}

fn or_exit<T, E: Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        println!("{error}");
        exit(1)
    })
}
