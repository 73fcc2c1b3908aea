//! Runs the conformance program at every level of this machine:
//! `conformance SHAKESPEARE DIGITS` prints `level · part · digest`, tabs between.

use std::error::Error;
use std::path::Path;
use trilane_conformance::{Memory, Models, run};
use trilane_std::level::levels;
use trilane_std::mapped::MappedFile;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [shakespeare, digits] = paths.as_slice() else {
        return Err("usage: conformance SHAKESPEARE.gguf DIGITS.gguf".into());
    };
    let shakespeare = MappedFile::open(Path::new(shakespeare))?;
    let digits = MappedFile::open(Path::new(digits))?;
    let models = Models { shakespeare: shakespeare.bytes(), digits: digits.bytes() };
    let mut memory = Box::new(Memory::EMPTY);
    for level in levels() {
        run(level, models, &mut memory, &mut |part, digest| {
            println!("{level}\t{part}\t{digest:016x}");
        })?;
    }
    Ok(())
}
