//! Values as bytes.

use trilane_core::gguf::{Array, Value, ValueType};

/// What arrays can be made of: numbers, booleans, text, and slices of such elements.
pub trait Element {
    /// Its type in the file.
    const KIND: ValueType;
    /// How many levels of arrays it has: 0 for a plain value.
    const DEPTH: u32 = 0;
    /// Appends the value as it stands in the file.
    fn put(&self, out: &mut Vec<u8>);
}

/// Numbers stand in the file as their little-endian bytes.
macro_rules! numbers {
    ($($number:ty: $kind:ident),+) => {$(
        impl Element for $number {
            const KIND: ValueType = ValueType::$kind;
            fn put(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        }
    )+};
}

numbers!(u8: U8, i8: I8, u16: U16, i16: I16, u32: U32, i32: I32, u64: U64, i64: I64);
numbers!(f32: F32, f64: F64);

impl Element for bool {
    const KIND: ValueType = ValueType::Bool;
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Element for str {
    const KIND: ValueType = ValueType::Str;
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, self);
    }
}

impl Element for String {
    const KIND: ValueType = ValueType::Str;
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, self);
    }
}

impl<T: Element> Element for [T] {
    const KIND: ValueType = ValueType::Array;
    const DEPTH: u32 = T::DEPTH + 1;
    fn put(&self, out: &mut Vec<u8>) {
        put_elements(out, self);
    }
}

impl<T: Element> Element for Vec<T> {
    const KIND: ValueType = ValueType::Array;
    const DEPTH: u32 = T::DEPTH + 1;
    fn put(&self, out: &mut Vec<u8>) {
        put_elements(out, self);
    }
}

impl<T: Element + ?Sized> Element for &T {
    const KIND: ValueType = T::KIND;
    const DEPTH: u32 = T::DEPTH;
    fn put(&self, out: &mut Vec<u8>) {
        (*self).put(out);
    }
}

/// Appends a length and the text.
pub(super) fn put_str(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Appends a type number.
fn put_kind(out: &mut Vec<u8>, kind: ValueType) {
    out.extend((kind as u32).to_le_bytes());
}

/// Appends an array's element type, count and elements.
fn put_elements<T: Element>(out: &mut Vec<u8>, values: &[T]) {
    put_kind(out, T::KIND);
    out.extend((values.len() as u64).to_le_bytes());
    values.iter().for_each(|value| value.put(out));
}

/// Appends the type number of arrays and an array.
pub(super) fn put_array<T: Element>(out: &mut Vec<u8>, values: &[T]) {
    put_kind(out, ValueType::Array);
    put_elements(out, values);
}

/// Appends a value's type number and the value.
pub(super) fn put_value(out: &mut Vec<u8>, value: &Value<'_>) {
    put_kind(out, value.kind());
    match value {
        Value::U8(value) => value.put(out),
        Value::I8(value) => value.put(out),
        Value::U16(value) => value.put(out),
        Value::I16(value) => value.put(out),
        Value::U32(value) => value.put(out),
        Value::I32(value) => value.put(out),
        Value::F32(value) => value.put(out),
        Value::Bool(value) => value.put(out),
        Value::Str(value) => value.put(out),
        Value::U64(value) => value.put(out),
        Value::I64(value) => value.put(out),
        Value::F64(value) => value.put(out),
        Value::Array(array) => put_parsed(out, array),
    }
}

/// Appends an array of a parsed file, whose elements already stand as they must.
fn put_parsed(out: &mut Vec<u8>, array: &Array<'_>) {
    put_kind(out, array.element());
    out.extend((array.len() as u64).to_le_bytes());
    out.extend(array.payload());
}
