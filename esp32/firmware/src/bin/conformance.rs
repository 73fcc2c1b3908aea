//! Runs the conformance program, which every target must agree on.
#![no_std]
#![no_main]

use firmware::{entry, exit, or_exit, println};
use static_cell::ConstStaticCell;
use trilane_conformance::{Memory, Models, run};
use trilane_esp32::Flash;
use trilane_esp32::core::kernel::Level;

static SHAKESPEARE: &Flash<[u8]> = &Flash(*include_bytes!("../../../../models/shakespeare.gguf"));
static DIGITS: &Flash<[u8]> = &Flash(*include_bytes!("../../../../models/digits.gguf"));

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::EMPTY);

#[entry]
fn main() -> ! {
    let models = Models { shakespeare: &SHAKESPEARE.0, digits: &DIGITS.0 };
    or_exit(run(Level::baseline(), models, MEMORY.take(), &mut |part, digest| {
        println!("{part}\t{digest:016x}");
    }));
    exit(0)
}
