//! The state of a training run on disk.

use super::TrainError;
use super::record::{Passes, Record};
use crate::gguf_writer::write_atomically;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"TLTRAIN3";

/// What is told before the tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// The settings the run was started with; other ones do not resume.
    pub(super) settings: String,
    /// Steps done.
    pub(super) step: usize,
    /// The best mean loss of an evaluation, as bits.
    pub(super) best: u64,
    /// Sum of the losses since the last evaluation, as bits, and of how many steps.
    pub(super) losses: (u64, u32),
    /// What was spent.
    pub(super) passes: Passes,
    /// Windows drawn to select from.
    pub(super) drawn: u64,
    /// Evaluations until now.
    pub(super) history: Vec<Record>,
}

/// Writes the state and the tensors to `path`, replacing the file whole.
pub(super) fn save(path: &Path, state: &State, tensors: &[&[Vec<f32>]]) -> Result<(), TrainError> {
    let head = serde_json::to_vec(state).map_err(|e| TrainError::file(path, e))?;
    let written: io::Result<()> = write_atomically(path, |out| {
        out.write_all(MAGIC)?;
        out.write_all(&(head.len() as u64).to_le_bytes())?;
        out.write_all(&head)?;
        for tensor in tensors.iter().copied().flatten() {
            out.write_all(bytemuck::cast_slice(tensor))?;
        }
        Ok(())
    });
    written.map_err(|e| TrainError::io(path, e))
}

/// Fills the tensors from `path` and gives the state; `None` when there is no such file.
pub(super) fn load(
    path: &Path,
    settings: &str,
    tensors: &mut [&mut [Vec<f32>]],
) -> Result<Option<State>, TrainError> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(TrainError::io(path, e)),
        Ok(bytes) => bytes,
    };
    let cut = || TrainError::file(path, "the checkpoint is cut short");
    let rest = bytes.strip_prefix(MAGIC);
    let rest = rest.ok_or_else(|| TrainError::file(path, "is no checkpoint of this version"))?;
    let (len, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| cut())?;
    let (head, rest) = rest.split_at_checked(len).ok_or_else(cut)?;
    let state: State = serde_json::from_slice(head).map_err(|e| TrainError::file(path, e))?;
    if state.settings != settings {
        let what = "the checkpoint belongs to a run with other settings; remove it, or use another output_dir";
        return Err(TrainError::file(path, what));
    }
    let expected: usize = tensors.iter().flat_map(|t| t.iter()).map(Vec::len).sum();
    let (floats, odd) = rest.as_chunks::<4>();
    if floats.len() < expected {
        return Err(cut());
    }
    if floats.len() > expected || !odd.is_empty() {
        return Err(TrainError::file(path, "the checkpoint is longer than the model's state"));
    }
    let values = tensors.iter_mut().flat_map(|tensor| tensor.iter_mut()).flatten();
    for (value, bytes) in values.zip(floats) {
        *value = f32::from_le_bytes(*bytes);
    }
    Ok(Some(state))
}
