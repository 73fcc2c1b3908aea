//! Prints the Bit3 digest of the Shakespeare model, which every platform must agree on.
#![no_std]
#![no_main]

use firmware::{entry, eprintln, exit, instructions, or_exit, paint_stack, println, stack_bytes};
use static_cell::ConstStaticCell;
use trilane_esp32::core::model::{Digest, VERIFY_TOKENS};
use trilane_esp32::footprint::STACK_BYTES;
use trilane_esp32::{Engine, Layer, Line, Model, include_model};

const MODEL: Model = include_model!("../../../../models/shakespeare.gguf");

static ARENA: ConstStaticCell<[Line; MODEL.arena_lines(VERIFY_TOKENS)]> =
    ConstStaticCell::new([Line::ZERO; MODEL.arena_lines(VERIFY_TOKENS)]);

#[entry]
fn main() -> ! {
    paint_stack();
    let arena = ARENA.take();
    let mut layers = [Layer::EMPTY; MODEL.layers()];
    let mut layer_digests = [Digest::default(); MODEL.layers() + 1];
    let start = instructions();
    let engine = Engine::init(MODEL.bytes(), VERIFY_TOKENS, &mut layers, arena);
    let mut engine = or_exit(engine);
    let loaded = instructions();
    let digest = or_exit(engine.digest(&mut layer_digests));
    let ran = instructions();
    println!("{} {:016x}", engine.lane(), digest.value());
    eprintln!("{} instructions to load the model", loaded - start);
    eprintln!("{} instructions a token", (ran - loaded) / VERIFY_TOKENS as u64);
    let stack = stack_bytes();
    eprintln!("{} bytes of arena, {stack} of stack", size_of_val(&ARENA));
    // What this program keeps on the stack itself, and what was said of the library.
    let own = size_of_val(&layers) + size_of_val(&layer_digests);
    if stack > own + STACK_BYTES {
        eprintln!("expected at most {} bytes of stack", own + STACK_BYTES);
        exit(1);
    }
    exit(0)
}
