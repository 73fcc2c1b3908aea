//! The weights of a folder, by name.

use super::super::source::SourceTensor;
use super::FolderError;
use crate::mapped::MappedFile;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::borrow::Cow;
use trilane_core::gguf::TensorType;
use trilane_core::gguf::blocks::expand;

/// The tensors of all files.
pub(super) struct Tensors<'a> {
    files: Vec<SafeTensors<'a>>,
}

impl<'a> Tensors<'a> {
    pub(super) fn new(files: &'a [MappedFile]) -> Result<Self, FolderError> {
        let parse = |file: &'a MappedFile| {
            SafeTensors::deserialize(file.bytes()).map_err(|error| FolderError::Format {
                path: file.path().into(),
                what: error.to_string(),
            })
        };
        Ok(Self { files: files.iter().map(parse).collect::<Result<_, _>>()? })
    }

    fn find(&self, name: &str) -> Option<TensorView<'a>> {
        self.files.iter().find_map(|file| file.tensor(name).ok())
    }

    /// Tensors in all files.
    pub(super) fn len(&self) -> usize {
        self.files.iter().map(SafeTensors::len).sum()
    }

    /// Whether some file holds a tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The tensor `from`, which has to have these dimensions, the row length last, under the name
    /// that GGUF has for it. Vectors become F32.
    pub(super) fn take(
        &self,
        from: &str,
        dims: &[usize],
        name: String,
    ) -> Result<SourceTensor<'a>, FolderError> {
        let missing = || FolderError::MissingTensor { name: from.into() };
        let view = self.find(from).ok_or_else(missing)?;
        if view.shape() != dims {
            let (expected, found) = (dims.to_vec(), view.shape().to_vec());
            return Err(FolderError::TensorShape { name: from.into(), expected, found });
        }
        let kind = match view.dtype() {
            Dtype::F32 => TensorType::F32,
            Dtype::F16 => TensorType::F16,
            Dtype::BF16 => TensorType::BF16,
            other => {
                let found = format!("{other:?}");
                return Err(FolderError::TensorType { name: from.into(), found });
            }
        };
        let mut tensor = SourceTensor {
            name,
            kind,
            dims: dims.iter().rev().map(|&n| n as u64).collect(),
            data: Cow::Borrowed(view.data()),
        };
        if dims.len() == 1 && kind != TensorType::F32 {
            let mut floats = vec![0.0f32; dims.iter().product()];
            let found = kind.to_string();
            let wrong = |_| FolderError::TensorType { name: from.into(), found };
            expand(kind, view.data(), &mut floats).map_err(wrong)?;
            tensor.data = floats.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into();
            tensor.kind = TensorType::F32;
        }
        Ok(tensor)
    }
}
