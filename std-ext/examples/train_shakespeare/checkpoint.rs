//! The state of a training run on disk.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use trilane_std::gguf_writer::write_atomically;

const MAGIC: &[u8; 8] = b"TLTRAIN1";

/// Everything that a run needs to go on as if it had not stopped.
pub(crate) struct Checkpoint<'a> {
    /// What the run was started with; a different one does not resume.
    pub(crate) run: String,
    pub(crate) step: usize,
    pub(crate) best: f64,
    /// Weights, first and second moments, best weights.
    pub(crate) tensors: [&'a mut Vec<Vec<f32>>; 4],
}

impl Checkpoint<'_> {
    /// Writes the state to `path`, replacing the file whole.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        write_atomically(path, |out| {
            out.write_all(MAGIC)?;
            out.write_all(&(self.run.len() as u64).to_le_bytes())?;
            out.write_all(self.run.as_bytes())?;
            out.write_all(&(self.step as u64).to_le_bytes())?;
            out.write_all(&self.best.to_le_bytes())?;
            for tensor in self.tensors.iter().flat_map(|t| t.iter()) {
                let bytes: Vec<u8> = tensor.iter().flat_map(|v| v.to_le_bytes()).collect();
                out.write_all(&bytes)?;
            }
            Ok(())
        })
    }

    /// Fills the state from `path`; `false` when there is no such file.
    pub(crate) fn load(&mut self, path: &Path) -> io::Result<bool> {
        let bytes = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let mut rest = bytes.as_slice();
        if number(&mut rest)? != u64::from_le_bytes(*MAGIC) {
            return Err(bad("is not a training checkpoint"));
        }
        let len = number(&mut rest)? as usize;
        let run = rest.get(..len).ok_or_else(|| bad("is cut short"))?;
        if run != self.run.as_bytes() {
            return Err(bad("belongs to a run with other settings"));
        }
        rest = &rest[len..];
        self.step = number(&mut rest)? as usize;
        self.best = f64::from_bits(number(&mut rest)?);
        let mut floats = rest.as_chunks::<4>().0.iter();
        for value in self.tensors.iter_mut().flat_map(|t| t.iter_mut()).flatten() {
            let bytes = floats.next().ok_or_else(|| bad("is cut short"))?;
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(true)
    }
}

fn number(bytes: &mut &[u8]) -> io::Result<u64> {
    let (head, tail) = bytes.split_first_chunk().ok_or_else(|| bad("is cut short"))?;
    *bytes = tail;
    Ok(u64::from_le_bytes(*head))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the checkpoint {what}"))
}
