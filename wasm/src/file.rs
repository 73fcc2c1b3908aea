//! What a file says, whatever kind of model it holds.

use crate::bytes::Bytes;
use crate::failure::Failure;
use bumpalo::Bump;
use js_sys::Map;
use trilane_core::gguf::{Gguf, Value};
use trilane_core::model::tokenizer::{index_len, keys};
use trilane_core::model::{Digest, ModelError};
use trilane_std::memory::OutOfMemory;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// What a model lives in.
pub(crate) struct Memory {
    pub(crate) bytes: Bytes,
    /// The layers and the vocabulary's index.
    tables: Bump,
}

impl Memory {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, tables: Bump::new() }
    }

    /// Room for that many layers, or for as many as there are tensors: a hostile header cannot ask
    /// for memory.
    #[allow(clippy::mut_from_ref, reason = "a new piece of memory each time")]
    pub(crate) fn layers<T: Copy>(
        &self,
        gguf: &Gguf<'_>,
        count: usize,
        empty: T,
    ) -> Result<&mut [T], Failure> {
        self.table("the layers", count.min(gguf.tensors().len()), empty)
    }

    /// Room for the vocabulary's index.
    #[allow(clippy::mut_from_ref, reason = "a new piece of memory each time")]
    pub(crate) fn index(&self, gguf: &Gguf<'_>) -> Result<&mut [u32], Failure> {
        let tokens = gguf.get(keys::TOKENS).and_then(|v| v.as_array());
        self.table("the vocabulary's index", index_len(tokens.map_or(0, |list| list.len())), 0)
    }

    #[allow(clippy::mut_from_ref, reason = "a new piece of memory each time")]
    fn table<T: Copy>(
        &self,
        what: &'static str,
        count: usize,
        fill: T,
    ) -> Result<&mut [T], Failure> {
        let bytes = count.saturating_mul(size_of::<T>());
        let table = self.tables.try_alloc_slice_fill_copy(count, fill);
        table.map_err(|_| OutOfMemory { what, bytes }.into())
    }
}

/// A model error, in the words of the file where it is about the memory given for its layers.
pub(crate) fn refused(error: ModelError) -> Failure {
    match error {
        ModelError::Memory { what: "layers", expected, actual } => {
            let message = format!("block_count: {expected} layers, but only {actual} tensors");
            Failure::new("model", message)
        }
        error => error.into(),
    }
}

/// That a vocabulary has as many tokens as the model.
pub(crate) fn check_vocabulary(expected: usize, found: usize) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    let message = format!("the vocabulary: expected {expected} tokens, found {found}");
    Err(Failure::new("text", message))
}

/// The metadata, arrays left out.
pub(crate) fn metadata(gguf: &Gguf<'_>) -> Map {
    let map = Map::new();
    for (key, value) in gguf.metadata() {
        let value: JsValue = match value {
            Value::Str(text) => text.into(),
            Value::Bool(value) => value.into(),
            Value::U64(value) => value.into(),
            Value::I64(value) => value.into(),
            Value::Array(_) => continue,
            other => match (other.as_f64(), other.as_i64()) {
                (Some(value), _) => value.into(),
                (None, value) => (value.unwrap_or_default() as f64).into(),
            },
        };
        map.set(&key.into(), &value);
    }
    map
}

/// The digest of digests.
#[wasm_bindgen(js_name = combinedDigest)]
#[must_use]
pub fn combined_digest(digests: &[u64]) -> u64 {
    let mut all = Digest::default();
    digests.iter().for_each(|digest| all.bytes(&digest.to_le_bytes()));
    all.value()
}
