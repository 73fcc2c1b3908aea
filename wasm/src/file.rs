//! What a file says, whatever kind of model it holds.

use js_sys::Map;
use trilane_core::gguf::{Gguf, Value};
use trilane_core::model::Digest;
use trilane_core::model::tokenizer::keys;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

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

/// Tokens of the vocabulary.
pub(crate) fn tokens(gguf: &Gguf<'_>) -> usize {
    gguf.get(keys::TOKENS).and_then(|v| v.as_array()).map_or(0, |array| array.len())
}

/// The digest of digests.
#[wasm_bindgen(js_name = combinedDigest)]
#[must_use]
pub fn combined_digest(digests: &[u64]) -> u64 {
    let mut all = Digest::default();
    digests.iter().for_each(|digest| all.bytes(&digest.to_le_bytes()));
    all.value()
}
