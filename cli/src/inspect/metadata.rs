//! Metadata values as text and as JSON, long ones abbreviated.

use serde_json::{Value as Json, json};
use trilane::core::gguf::Value;

/// Elements of an array that are shown.
const SHOWN: usize = 4;
/// Characters of a text that are shown.
const TEXT: usize = 72;

/// A value on one line.
pub(super) fn text(value: Value<'_>) -> String {
    match value {
        Value::U8(v) => v.to_string(),
        Value::I8(v) => v.to_string(),
        Value::U16(v) => v.to_string(),
        Value::I16(v) => v.to_string(),
        Value::U32(v) => v.to_string(),
        Value::I32(v) => v.to_string(),
        Value::U64(v) => v.to_string(),
        Value::I64(v) => v.to_string(),
        Value::F32(v) => format!("{v:?}"),
        Value::F64(v) => format!("{v:?}"),
        Value::Bool(v) => v.to_string(),
        Value::Str(v) if v.chars().count() > TEXT => {
            let start: String = v.chars().take(TEXT).collect();
            format!("{start:?}… ({} bytes)", v.len())
        }
        Value::Str(v) => format!("{v:?}"),
        Value::Array(array) => {
            let mut parts: Vec<String> = array.iter().take(SHOWN).map(text).collect();
            if array.len() > SHOWN {
                parts.push("…".into());
            }
            format!("[{}] ({} × {})", parts.join(", "), array.len(), array.element())
        }
    }
}

/// A value for a program: numbers and texts whole, of an array its type, length and beginning.
pub(super) fn json(value: Value<'_>) -> Json {
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::F32(v) => json!(v),
        Value::F64(v) => json!(v),
        Value::Bool(v) => json!(v),
        Value::Str(v) => json!(v),
        Value::Array(array) => json!({
            "type": array.element().to_string(),
            "len": array.len(),
            "first": array.iter().take(SHOWN).map(json).collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "ü".repeat(100);
        assert_eq!(text(Value::Str(&long)), format!("\"{}\"… (200 bytes)", "ü".repeat(72)));
        assert_eq!(text(Value::Str("a\n")), "\"a\\n\"");
    }

    #[test]
    fn numbers_that_json_lacks_are_null() {
        assert_eq!(json(Value::F32(f32::NAN)), Json::Null);
        assert_eq!(text(Value::F64(f64::INFINITY)), "inf");
    }
}
