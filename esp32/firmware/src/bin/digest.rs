//! Prints the Bit3 digest of the Shakespeare model, which every platform must agree on.
#![no_std]
#![no_main]

use core::fmt::Display;
use firmware::{entry, exit, instructions, println};
use trilane_core::gguf::Gguf;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, Digest, Layer, Line, VERIFY_TOKENS, Weights, verify};

#[repr(align(64))]
struct Flash<T: ?Sized>(T);
static MODEL: &Flash<[u8]> = &Flash(*include_bytes!("../../../../models/shakespeare.gguf"));

#[entry]
fn main() -> ! {
    let start = instructions();
    let mut layers = [Layer::EMPTY; 5];
    let mut arena = [Line::ZERO; 832];
    let mut digests = [Digest::default(); 6];
    let file = or_exit(Gguf::parse(&MODEL.0));
    let weights = or_exit(Weights::load(&file, &mut layers));
    let loaded = instructions();
    let mut decoder = or_exit(Decoder::new(weights, Scalar, VERIFY_TOKENS, &mut arena));
    let digest = or_exit(verify(&mut decoder, &Serial, PrecisionLane::Bit3, &mut digests));
    let ran = instructions();
    println!("bit3 {:016x}", digest.value());
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
