//! Damaged models on the device: whatever the bytes are, the answer is an error or a result.
//!
//! A trap would end the program with another status than 0, and a hang the emulator's time.
#![no_std]
#![no_main]

use firmware::{entry, exit, println};
use static_cell::ConstStaticCell;
use trilane_esp32::core::gguf::Gguf;
use trilane_esp32::core::kernel::Lut;
use trilane_esp32::core::model::{Mlp, ModelError};
use trilane_esp32::{Engine, Flash, Layer, Line, Model, include_model};

const SHAKESPEARE: Model = include_model!("../../../../models/shakespeare.gguf");
const DIGITS: &[u8] = include_bytes!("../../../../models/digits.gguf");
const CONTEXT: usize = 4;

static ARENA: ConstStaticCell<[Line; SHAKESPEARE.arena_lines(CONTEXT)]> =
    ConstStaticCell::new([Line::ZERO; SHAKESPEARE.arena_lines(CONTEXT)]);
static COPY: ConstStaticCell<Flash<[u8; DIGITS.len()]>> =
    ConstStaticCell::new(Flash([0; DIGITS.len()]));

#[entry]
fn main() -> ! {
    let arena = ARENA.take();
    let file = SHAKESPEARE.bytes();
    let mut layers = [Layer::EMPTY; SHAKESPEARE.layers()];
    let mut refused = 0;
    // Cut within the header, which the first 16 KiB hold, and between tensors.
    let cuts = (0..16_384).step_by(61).chain((16_384..file.len()).step_by(32_749));
    for len in cuts {
        let cut = file.get(..len).unwrap_or(&[]);
        refused += usize::from(Engine::init(cut, CONTEXT, &mut layers, arena).is_err());
    }
    println!("{refused} cut files refused");

    let copy = &mut COPY.take().0;
    copy.copy_from_slice(DIGITS);
    let (mut errors, mut classes) = (0, 0);
    for at in 0..copy.len() {
        for damage in [0xFF, 1 << (at % 8)] {
            copy[at] ^= damage;
            match scored(copy, arena) {
                Ok(_) => classes += 1,
                Err(_) => errors += 1,
            }
            copy[at] ^= damage;
        }
    }
    println!("{errors} damaged files refused, {classes} computed");
    exit(0)
}

/// The class of an input that fits every number of features; a file without a model has none.
fn scored(file: &[u8], arena: &mut [Line]) -> Result<usize, ModelError> {
    let file = Gguf::parse(file).map_err(|_| ModelError::Architecture)?;
    let model = Mlp::load(&file)?;
    let features = [9; 256];
    let features = features.get(..model.header().features).unwrap_or(&features);
    Ok(model.scores(Lut::<1>, features, arena)?.class())
}
