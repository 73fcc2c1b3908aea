//! The same model with fewer tiers: what a device gets that never reads the higher lanes.

use crate::gguf_writer::{GgufWriter, WriteError, write_atomically};
use std::path::Path;
use trilane_core::gguf::{Gguf, Tensor, Value};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{keys, parts};

/// Writes a parsed file without the tiers above `lane` to `out`, which appears complete or not at
/// all; returns its length.
///
/// A matrix that may not be read as low as that keeps the tiers of its own lowest lane. All other
/// tensors and the metadata are copied, so every lane up to `lane` computes the same bits as
/// before.
///
/// # Errors
/// [`WriteError`] when the file cannot be written.
pub fn strip(file: &Gguf<'_>, out: &Path, lane: PrecisionLane) -> Result<u64, WriteError> {
    let mut writer = GgufWriter::new(64)?;
    writer.copy_metadata(file)?;
    let tiers = tiers(file, lane);
    let kept: Vec<Kept<'_>> = file.tensors().filter_map(|t| Kept::of(t, &tiers)).collect();
    for Kept { tensor, dims, bytes } in &kept {
        writer.declare(tensor.name(), tensor.kind(), dims, bytes.len() as u64)?;
    }
    write_atomically(out, |out| {
        let mut data = writer.begin(&mut *out)?;
        for Kept { tensor, bytes, .. } in &kept {
            data.write_tensor(tensor.name(), bytes)?;
        }
        data.finish()?;
        Ok::<(), WriteError>(())
    })?;
    Ok(out.metadata()?.len())
}

/// Each nested matrix by its name, and how many of its tiers are kept.
fn tiers<'a>(file: &Gguf<'a>, lane: PrecisionLane) -> Vec<(&'a str, usize)> {
    let array = |key| file.get(key).and_then(|value: Value<'a>| value.as_array());
    let (names, floors) = (array(keys::NAMES), array(keys::FLOOR));
    let names = names.iter().filter_map(|names| names.strs()).flatten();
    let floors = floors.iter().filter_map(|floors| floors.strs()).flatten();
    let floors = floors.map(|floor| PrecisionLane::from_name(floor).unwrap_or(lane));
    // Trits have no tiers, and a nested matrix has one at least.
    names.zip(floors).map(|(name, floor)| (name, lane.max(floor).tiers().unwrap_or(1))).collect()
}

/// A tensor that goes into the new file, and how much of it.
struct Kept<'a> {
    tensor: Tensor<'a>,
    dims: Vec<u64>,
    bytes: &'a [u8],
}

impl<'a> Kept<'a> {
    fn of(tensor: Tensor<'a>, tiers: &[(&str, usize)]) -> Option<Self> {
        let mut dims: Vec<u64> = tensor.dims().iter().map(|&d| d as u64).collect();
        let mut bytes = tensor.data();
        let part = tiers.iter().find_map(|&(name, tiers)| {
            Some((tensor.name().strip_prefix(name)?, tiers)).filter(|(part, _)| !part.is_empty())
        });
        if let Some((part, tiers)) = part {
            if parts::DIGITS.iter().position(|&suffix| suffix == part).is_some_and(|i| i >= tiers) {
                return None;
            }
            if part == parts::ROW_SCALES
                && let [row, lanes @ ..] = &mut dims[..]
                && let [lanes] = lanes
            {
                *lanes = (*lanes).min(tiers as u64);
                let len = 4 * *row * *lanes;
                bytes = usize::try_from(len).ok().and_then(|len| bytes.get(..len))?;
            }
        }
        Some(Self { tensor, dims, bytes })
    }
}
