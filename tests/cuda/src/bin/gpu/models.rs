//! The digests of the models, on the device and on this processor.

use std::error::Error;
use std::path::Path;
use trilane_core::kernel::Serial;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, Digest, Header, Weights, verify};
use trilane_cuda::Device;
use trilane_std::{level, mapped::MappedFile, memory};

const MODELS: [&str; 2] = ["models/shakespeare.gguf", "models/shakespeare-ternary.gguf"];

/// Compares every lane of every model.
pub(crate) fn check(device: &Device) -> Result<(), Box<dyn Error>> {
    println!("\n| model | lane | digest of the device | of the processor |\n|---|---|---|---|");
    for name in MODELS {
        let file = MappedFile::open(Path::new(name))?;
        let model = file.gguf()?;
        let mut layers = memory::layers(&model, &Header::read(&model)?);
        let weights = Weights::load(&model, &mut layers)?;
        let mut arena = memory::arena(weights.header(), 16)?;
        let mut here = Decoder::new(weights, level::detect(), 16, &mut arena)?;
        let mut there = trilane_cuda::Decoder::new(device, &weights, 16, 1)?;
        for lane in PrecisionLane::ALL {
            if weights.check_lane(lane).is_err() {
                continue;
            }
            let mut digests = vec![Digest::default(); weights.header().layers + 1];
            let expected = verify(&mut here, &Serial, lane, &mut digests)?.value();
            let found = there.verify(lane)?.0.value();
            println!("| {name} | {lane} | `{found:016x}` | `{expected:016x}` |");
            if found != expected {
                return Err(format!("{name}, {lane}: the digests differ").into());
            }
        }
    }
    Ok(())
}
