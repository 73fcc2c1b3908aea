//! Which tensor becomes what.

use super::source::SourceTensor;
use super::{ConvertError, ConvertOptions, GgufWriter};
use trilane_core::digits::{Group, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use trilane_core::gguf::TensorType;
use trilane_core::gguf::blocks::is_supported;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{TAPS, parts};

/// A tensor and what it becomes.
pub(super) struct Planned<'a> {
    pub(super) tensor: &'a SourceTensor<'a>,
    /// The highest lane stored, or `None` for a copy.
    pub(super) top: Option<PrecisionLane>,
    /// The lowest lane that it may be read at.
    pub(super) floor: PrecisionLane,
}

/// Every tensor of a model.
pub(super) struct Plan<'a> {
    pub(super) tensors: Vec<Planned<'a>>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        all: &'a [SourceTensor<'a>],
        options: &ConvertOptions,
    ) -> Result<Self, ConvertError> {
        let lowest = match options.lane {
            PrecisionLane::Ternary => PrecisionLane::Ternary,
            _ => PrecisionLane::Bit3,
        };
        let mut used = vec![false; options.keep.len()];
        let mut tensors = Vec::new();
        for tensor in all {
            if tensor.rows() < 2 || tensor.name.ends_with(TAPS) {
                tensors.push(Planned { tensor, top: None, floor: lowest });
                continue;
            }
            let keep = options.keep.iter().position(|(pattern, _)| matches(pattern, &tensor.name));
            let (top, floor) = match keep.and_then(|i| options.keep.get(i)) {
                None if options.lane == PrecisionLane::Float32 => (None, lowest),
                None if tensor.is_table(all) => (Some(options.lane), options.lane),
                None => (Some(options.lane), lowest),
                Some((_, PrecisionLane::Float32)) => (None, lowest),
                Some((_, lane)) => (Some(*lane), *lane),
            };
            if let Some(used) = keep.and_then(|i| used.get_mut(i)) {
                *used = true;
            }
            if top.is_some() && !is_supported(tensor.kind) {
                let (tensor, kind) = (tensor.name.clone(), tensor.kind);
                return Err(ConvertError::Unsupported { tensor, kind });
            }
            tensors.push(Planned { tensor, top, floor });
        }
        if let Some(((pattern, _), _)) = options.keep.iter().zip(used).find(|(_, used)| !used) {
            return Err(ConvertError::Pattern(pattern.clone()));
        }
        if options.lane != PrecisionLane::Float32 && tensors.iter().all(|t| t.top.is_none()) {
            return Err(ConvertError::NothingToConvert);
        }
        Ok(Self { tensors })
    }
}

impl Planned<'_> {
    /// Declares the tensors that this one is stored in, in the order of `PackedMatrix::parts`.
    pub(super) fn declare(
        &self,
        group: Group,
        writer: &mut GgufWriter,
    ) -> Result<(), ConvertError> {
        let name = &self.tensor.name;
        let Some(top) = self.top else {
            let len = self.tensor.data.len() as u64;
            return Ok(writer.declare(name, self.tensor.kind, &self.tensor.dims, len)?);
        };
        let (rows, units) = (self.tensor.rows() as u64, units(self.tensor.cols()) as u64);
        let mut plane = |suffix: &str, per_unit: usize| {
            let row = units * per_unit as u64;
            writer.declare(&format!("{name}{suffix}"), TensorType::I8, &[row, rows], row * rows)
        };
        match top.tiers() {
            None => plane(parts::TERNARY, UNIT_DIGIT_BYTES)?,
            Some(tiers) => {
                plane(parts::HIGH, UNIT_HIGH_BYTES)?;
                for suffix in parts::DIGITS.into_iter().take(tiers) {
                    plane(suffix, UNIT_DIGIT_BYTES)?;
                }
            }
        }
        if group != Group::Row {
            plane(parts::GROUP_SCALES, group.scales_per_unit())?;
        }
        let lanes = top.tiers().unwrap_or(1) as u64;
        let suffix = parts::ROW_SCALES;
        let bytes = 4 * rows * lanes;
        writer.declare(&format!("{name}{suffix}"), TensorType::F32, &[rows, lanes], bytes)?;
        Ok(())
    }
}

/// Whether a pattern of literal characters, `*` (any run) and `?` (any one) matches all of `name`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // reach[j]: the pattern so far can end after j characters of the name.
    let mut reach = vec![false; name.len() + 1];
    reach[0] = true;
    for p in pattern {
        if p == '*' {
            let first = reach.iter().position(|&r| r).unwrap_or(reach.len());
            reach.iter_mut().skip(first).for_each(|r| *r = true);
        } else {
            for j in (0..name.len()).rev() {
                reach[j + 1] = reach[j] && (p == '?' || p == name[j]);
            }
            reach[0] = false;
        }
    }
    reach[name.len()]
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("token_embd.weight", "token_embd.weight", true),
            ("token_embd*", "token_embd.weight", true),
            ("*.attn_?.weight", "blk.3.attn_q.weight", true),
            ("*.attn_?.weight", "blk.3.attn_output.weight", false),
            ("blk.1.*", "blk.10.ffn_up.weight", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
