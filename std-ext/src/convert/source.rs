//! What is converted: metadata and tensors, wherever they come from.

use super::ConvertError;
use crate::gguf_writer::GgufWriter;
use std::borrow::Cow;
use trilane_core::gguf::{Gguf, TensorType};
use trilane_core::model::keys;

/// Alignment of the file that is written.
pub(super) const ALIGNMENT: u32 = 64;

/// The table of learnt positions.
const POSITIONS: &str = "position_embd.weight";

/// A model that is to be stored in a new file.
pub(super) struct Source<'a> {
    /// The new file, with the model's metadata.
    pub(super) writer: GgufWriter,
    pub(super) tensors: Vec<SourceTensor<'a>>,
}

/// One of its tensors.
pub(super) struct SourceTensor<'a> {
    pub(super) name: String,
    pub(super) kind: TensorType,
    /// Row length first.
    pub(super) dims: Vec<u64>,
    pub(super) data: Cow<'a, [u8]>,
}

impl SourceTensor<'_> {
    /// Whether a token reads one row of it and no more, so that a low lane would save nothing: the
    /// embedding tables of encoders, the only models that have positions and types.
    pub(super) fn is_table(&self, all: &[SourceTensor<'_>]) -> bool {
        const TABLES: [&str; 3] = ["token_embd.weight", "token_types.weight", POSITIONS];
        TABLES.contains(&&*self.name) && all.iter().any(|tensor| tensor.name == POSITIONS)
    }

    /// Weights in a row.
    pub(super) fn cols(&self) -> usize {
        self.dims.first().map_or(0, |&cols| cols as usize)
    }

    /// Rows: the product of the other dimensions.
    pub(super) fn rows(&self) -> usize {
        self.dims.iter().skip(1).product::<u64>() as usize
    }
}

impl<'a> Source<'a> {
    /// A model without metadata and tensors.
    pub(super) fn new() -> Result<Self, ConvertError> {
        Ok(Self { writer: GgufWriter::new(ALIGNMENT)?, tensors: Vec::new() })
    }

    /// The model of a GGUF file.
    pub(super) fn gguf(file: &Gguf<'a>) -> Result<Self, ConvertError> {
        if file.get(keys::NAMES).is_some() {
            return Err(ConvertError::AlreadyConverted);
        }
        let mut source = Self::new()?;
        source.writer.copy_metadata(file)?;
        source.tensors.extend(file.tensors().map(|tensor| SourceTensor {
            name: tensor.name().into(),
            kind: tensor.kind(),
            dims: tensor.dims().iter().map(|&d| d as u64).collect(),
            data: Cow::Borrowed(tensor.data()),
        }));
        Ok(source)
    }
}
