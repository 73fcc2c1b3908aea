//! Metadata values.

use super::cursor::Cursor;
use super::{Array, GgufError, ValueType};

/// Deepest nesting of arrays accepted; an array of plain values has depth 1.
pub const MAX_ARRAY_DEPTH: u32 = 4;

/// A metadata value, strings and arrays borrowed from the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// IEEE single precision; any bits, NaN and infinities included.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// Text, which may contain NUL.
    Str(&'a str),
    /// Values of one type.
    Array(Array<'a>),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// IEEE double precision; any bits, NaN and infinities included.
    F64(f64),
}

impl<'a> Value<'a> {
    /// The value's type.
    pub const fn kind(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::Str(_) => ValueType::Str,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The value as a `u64`, if it is of any integer type and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// The value as a `u32`, if it is of any integer type and within range.
    pub fn as_u32(&self) -> Option<u32> {
        self.as_u64()?.try_into().ok()
    }

    /// The value as an `i64`, if it is of any integer type and within range.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            _ => self.as_u64()?.try_into().ok(),
        }
    }

    /// The value, if it is an `f32`.
    pub const fn as_f32(&self) -> Option<f32> {
        match *self {
            Self::F32(value) => Some(value),
            _ => None,
        }
    }

    /// The value as an `f64`, if it is an `f32` or an `f64`.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it is text.
    pub const fn as_str(&self) -> Option<&'a str> {
        match *self {
            Self::Str(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it is a boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it is an array.
    pub const fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Self::Array(value) => Some(value),
            _ => None,
        }
    }

    /// Reads one value. With [`Check::Content`] everything in it is checked, so that reading it
    /// again with [`Check::Lengths`] cannot fail.
    pub(super) fn read(
        cursor: &mut Cursor<'a>,
        kind: ValueType,
        check: Check,
    ) -> Result<Self, GgufError> {
        Self::read_at_depth(cursor, kind, check, 1)
    }

    fn read_at_depth(
        cursor: &mut Cursor<'a>,
        kind: ValueType,
        check: Check,
        depth: u32,
    ) -> Result<Self, GgufError> {
        Ok(match kind {
            ValueType::U8 => Self::U8(u8::from_le_bytes(cursor.array()?)),
            ValueType::I8 => Self::I8(i8::from_le_bytes(cursor.array()?)),
            ValueType::U16 => Self::U16(u16::from_le_bytes(cursor.array()?)),
            ValueType::I16 => Self::I16(i16::from_le_bytes(cursor.array()?)),
            ValueType::U32 => Self::U32(cursor.u32()?),
            ValueType::I32 => Self::I32(i32::from_le_bytes(cursor.array()?)),
            ValueType::F32 => Self::F32(f32::from_le_bytes(cursor.array()?)),
            ValueType::U64 => Self::U64(cursor.u64()?),
            ValueType::I64 => Self::I64(i64::from_le_bytes(cursor.array()?)),
            ValueType::F64 => Self::F64(f64::from_le_bytes(cursor.array()?)),
            ValueType::Str => Self::Str(cursor.string()?),
            ValueType::Bool => {
                let offset = cursor.offset();
                match cursor.array()? {
                    [0] => Self::Bool(false),
                    [1] => Self::Bool(true),
                    [found] => return Err(GgufError::Bool { offset, found }),
                }
            }
            ValueType::Array => Self::Array(read_array(cursor, check, depth)?),
        })
    }
}

/// How closely to look at the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Text is UTF-8, booleans are 0 or 1.
    Content,
    /// Only as far as needed to find the end; for bytes that were checked before.
    Lengths,
}

/// Reads an array. Recursion is at most [`MAX_ARRAY_DEPTH`] deep.
fn read_array<'a>(
    cursor: &mut Cursor<'a>,
    check: Check,
    depth: u32,
) -> Result<Array<'a>, GgufError> {
    let offset = cursor.offset();
    if depth > MAX_ARRAY_DEPTH {
        return Err(GgufError::ArrayDepth { offset, limit: MAX_ARRAY_DEPTH });
    }
    let found = cursor.u32()?;
    let Some(element) = ValueType::from_u32(found) else {
        return Err(GgufError::ElementType { offset, found });
    };
    let found = cursor.u64()?;
    let (offset, available) = (cursor.offset(), cursor.available());
    let too_long = GgufError::ArrayLength { offset, found, available };
    // Keeps the walk below linear in the file whatever the count claims.
    let least = found.checked_mul(element.least_len()).ok_or(too_long)?;
    if least > available {
        return Err(too_long);
    }
    let len = usize::try_from(found).map_err(|_| too_long)?;
    let mut end = *cursor;
    match (element, check) {
        (ValueType::Str, Check::Lengths) => {
            for _ in 0..len {
                end.string_bytes()?;
            }
        }
        (ValueType::Str | ValueType::Array, _) | (ValueType::Bool, Check::Content) => {
            for _ in 0..len {
                Value::read_at_depth(&mut end, element, check, depth + 1)?;
            }
        }
        _ => {
            end.take(least).ok_or(too_long)?;
        }
    }
    let payload = cursor.take(end.offset() - offset).ok_or(too_long)?;
    Ok(Array::new(element, len, payload))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// An array's bytes: element type, count, payload.
    fn array(element: u32, count: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from(element.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(payload);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Array<'_>, GgufError> {
        let mut cursor = Cursor::new(bytes, 0);
        let value = Value::read(&mut cursor, ValueType::Array, Check::Content)?;
        assert_eq!(cursor.position(), bytes.len());
        Ok(value.as_array().unwrap())
    }

    #[test]
    fn integers_convert_within_their_range_only() {
        assert_eq!(Value::I8(-1).as_u64(), None);
        assert_eq!(Value::I8(-1).as_i64(), Some(-1));
        assert_eq!(Value::I16(-2).as_i64(), Some(-2));
        assert_eq!(Value::I32(-3).as_i64(), Some(-3));
        assert_eq!(Value::I64(1 << 32).as_u32(), None);
        assert_eq!(Value::I64(1 << 32).as_u64(), Some(1 << 32));
        assert_eq!(Value::U64(u64::MAX).as_i64(), None);
        for value in [Value::U8(7), Value::U16(7), Value::U32(7), Value::U64(7)] {
            assert_eq!((value.as_u32(), value.as_i64()), (Some(7), Some(7)));
        }
        for value in [Value::I8(7), Value::I16(7), Value::I32(7), Value::I64(7)] {
            assert_eq!((value.as_u32(), value.as_i64()), (Some(7), Some(7)));
        }
        for value in [Value::Bool(true), Value::F32(7.0), Value::Str("7")] {
            assert_eq!((value.as_u64(), value.as_i64()), (None, None));
        }
        assert_eq!(Value::F32(0.5).as_f64(), Some(0.5));
        assert_eq!(Value::F64(0.5).as_f32(), None);
    }

    #[test]
    fn hostile_arrays_are_named() {
        let unknown = GgufError::ElementType { offset: 0, found: 13 };
        assert_eq!(read(&array(13, 0, &[])), Err(unknown));
        let bool_error = GgufError::Bool { offset: 13, found: 2 };
        assert_eq!(read(&array(7, 2, &[1, 2])), Err(bool_error));
        let too_long =
            |found, available| Err(GgufError::ArrayLength { offset: 12, found, available });
        assert_eq!(read(&array(4, 2, &[0; 7])), too_long(2, 7));
        assert_eq!(read(&array(4, 1 << 62, &[0; 7])), too_long(1 << 62, 7));
        assert_eq!(read(&array(9, 1 << 40, &[0; 12])), too_long(1 << 40, 12));
        assert_eq!(read(&array(8, 2, &[0; 15])), too_long(2, 15));
        let string = GgufError::StringLength { offset: 20, found: 1, available: 0 };
        assert_eq!(read(&array(8, 1, &1u64.to_le_bytes())), Err(string));
        let mut text = Vec::from(2u64.to_le_bytes());
        text.extend([b'a', 0xC0]);
        assert_eq!(read(&array(8, 1, &text)), Err(GgufError::Utf8 { offset: 21 }));
    }

    #[test]
    fn nesting_is_bounded() {
        let mut nested = array(0, 1, &[5]);
        for _ in 1..MAX_ARRAY_DEPTH {
            nested = array(9, 1, &nested);
        }
        assert_eq!(read(&nested).unwrap().element(), ValueType::Array);
        let deeper = array(9, 1, &nested);
        let error = GgufError::ArrayDepth { offset: 48, limit: MAX_ARRAY_DEPTH };
        assert_eq!(read(&deeper), Err(error));
    }

    #[test]
    fn elements_come_back_by_index_and_in_order() {
        let bytes = array(5, 3, &[1, 0, 0, 0, 254, 255, 255, 255, 3, 0, 0, 0]);
        let integers = read(&bytes).unwrap();
        assert_eq!(integers.i32s().unwrap().collect::<Vec<_>>(), [1, -2, 3]);
        assert_eq!(integers.get(1), Some(Value::I32(-2)));
        assert_eq!(integers.get(3), None);
        assert_eq!(integers.get(usize::MAX), None);
        assert_eq!(integers.iter().len(), 3);
        assert!(integers.u32s().is_none() && integers.strs().is_none());

        let mut text = Vec::new();
        for word in ["", "\0", "né"] {
            text.extend((word.len() as u64).to_le_bytes());
            text.extend(word.as_bytes());
        }
        let inner = array(8, 3, &text);
        let bytes = array(9, 2, &[&inner[..], &inner[..]].concat());
        let outer = read(&bytes).unwrap();
        let second = outer.get(1).and_then(|value| value.as_array()).unwrap();
        assert_eq!(second.strs().unwrap().collect::<Vec<_>>(), ["", "\0", "né"]);
        assert_eq!(second.get(2), Some(Value::Str("né")));
        assert_eq!(outer.iter().count(), 2);
    }
}
