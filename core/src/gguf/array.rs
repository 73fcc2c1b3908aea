//! Metadata arrays.

use core::fmt;

use super::cursor::Cursor;
use super::value::Check;
use super::{Value, ValueType};

/// Values of one type, read in place.
///
/// The typed iterators give `None` when the elements are of another type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Array<'a> {
    element: ValueType,
    len: usize,
    payload: &'a [u8],
}

impl<'a> Array<'a> {
    /// An array whose payload has been walked: it holds exactly `len` elements.
    pub(super) const fn new(element: ValueType, len: usize, payload: &'a [u8]) -> Self {
        Self { element, len, payload }
    }

    /// Type of the elements.
    pub const fn element(&self) -> ValueType {
        self.element
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements as they stand in the file, without element type and count.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Element `index`; `None` past the end. Takes constant time, except that strings and arrays
    /// have to be walked from the first.
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        match self.element.fixed_len() {
            _ if index >= self.len => None,
            None => self.iter().nth(index),
            Some(len) => {
                let mut cursor = Cursor::new(self.payload, index.checked_mul(len)?);
                Value::read(&mut cursor, self.element, Check::Lengths).ok()
            }
        }
    }

    /// All elements in order.
    pub const fn iter(&self) -> Elements<'a> {
        Elements { cursor: Cursor::new(self.payload, 0), element: self.element, left: self.len }
    }

    /// The elements as text.
    pub fn strs(&self) -> Option<impl Iterator<Item = &'a str> + Clone + use<'a>> {
        let elements = (self.element == ValueType::Str).then(|| self.iter())?;
        Some(elements.map_while(|value| value.as_str()))
    }

    /// The elements as bytes.
    pub fn u8s(&self) -> Option<&'a [u8]> {
        (self.element == ValueType::U8).then_some(self.payload)
    }

    /// The elements as `u32`.
    pub fn u32s(&self) -> Option<impl ExactSizeIterator<Item = u32> + Clone + use<'a>> {
        Some(self.words(ValueType::U32)?.map(|word| u32::from_le_bytes(*word)))
    }

    /// The elements as `i32`.
    pub fn i32s(&self) -> Option<impl ExactSizeIterator<Item = i32> + Clone + use<'a>> {
        Some(self.words(ValueType::I32)?.map(|word| i32::from_le_bytes(*word)))
    }

    /// The elements as `f32`.
    pub fn f32s(&self) -> Option<impl ExactSizeIterator<Item = f32> + Clone + use<'a>> {
        Some(self.words(ValueType::F32)?.map(|word| f32::from_le_bytes(*word)))
    }

    /// The elements as `u64`.
    pub fn u64s(&self) -> Option<impl ExactSizeIterator<Item = u64> + Clone + use<'a>> {
        Some(self.words(ValueType::U64)?.map(|word| u64::from_le_bytes(*word)))
    }

    /// The elements' bytes, if they are of type `element`.
    fn words<const N: usize>(&self, element: ValueType) -> Option<core::slice::Iter<'a, [u8; N]>> {
        (self.element == element).then(|| self.payload.as_chunks().0.iter())
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}; {}]", self.element, self.len)
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

/// Iterator over the elements of an [`Array`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
    element: ValueType,
    left: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        Value::read(&mut self.cursor, self.element, Check::Lengths).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}
