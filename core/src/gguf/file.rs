//! The file as a whole.

use core::fmt;

use super::cursor::Cursor;
use super::metadata::{self, MAX_KEYS, Metadata};
use super::tensor::{self, MAX_TENSORS, Tensor, Tensors};
use super::{GgufError, Value};

/// Magic, version and two counts.
const FIXED_HEADER_LEN: usize = 24;

/// A GGUF file that has been checked from end to end, read in place.
///
/// It borrows the bytes, which may lie at any address: flash, a mapped file, a network buffer.
/// Nothing is decoded in advance, so looking something up walks the header from its start, and
/// whoever needs many things should go through [`metadata`](Self::metadata) or
/// [`tensors`](Self::tensors) once.
#[derive(Clone, Copy)]
pub struct Gguf<'a> {
    bytes: &'a [u8],
    version: u32,
    alignment: u32,
    key_count: u32,
    tensor_count: u32,
    tensors_at: usize,
    header_len: usize,
    data_start: usize,
}

impl<'a> Gguf<'a> {
    /// Reads and checks a whole little-endian GGUF file of version 2 or 3, except for the meaning
    /// of keys and the bytes of tensors. Afterwards nothing can fail.
    ///
    /// Allocates nothing, never panics, and recurses no deeper than
    /// [`MAX_ARRAY_DEPTH`](super::MAX_ARRAY_DEPTH). Time: the header is read three times, plus once
    /// for every 254 keys, plus the tensor descriptions once for every 254 tensors. Tensor data
    /// is not touched. Class: Exact.
    ///
    /// # Errors
    /// [`GgufError`], one variant for each thing that can be wrong, the first found in file order
    /// within each of these steps: fixed header, keys and values, equal keys, tensor descriptions,
    /// equal tensor names, padding, places of the tensors' data.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GgufError> {
        Self::parse_beginning(bytes, bytes.len() as u64)
    }

    /// As [`parse`](Self::parse), of a file of `file_len` bytes of which only the beginning is in
    /// memory, as far as [`data_start`](Self::data_start) at least. Everything is checked, the
    /// places of the tensors' data too; [`Tensor::data`] is empty where the bytes are not there, and
    /// [`Tensor::file_offset`] and [`Tensor::data_len`] say where they are.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); a beginning that ends within the header is a file that does.
    pub fn parse_beginning(bytes: &'a [u8], file_len: u64) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(bytes, 0);
        let version = check_version(&mut cursor)?;
        let (found, limit) = (cursor.u64()?, MAX_TENSORS);
        let tensor_count = within(found, limit).ok_or(GgufError::TensorCount { found, limit })?;
        let (found, limit) = (cursor.u64()?, MAX_KEYS);
        let key_count = within(found, limit).ok_or(GgufError::KeyCount { found, limit })?;
        let alignment = metadata::check(&mut cursor, key_count)?;
        let tensors_at = cursor.position();
        let data_start = tensor::check(&mut cursor, tensor_count, alignment, file_len)?;
        let header_len = cursor.position();
        Ok(Self {
            bytes,
            version,
            alignment,
            key_count,
            tensor_count,
            tensors_at,
            header_len,
            data_start,
        })
    }

    /// The format's version: 2 or 3, which differ in nothing but the number.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// What the offsets of tensor data are multiples of: a power of two, at most 65,536.
    pub const fn alignment(&self) -> u64 {
        self.alignment as u64
    }

    /// The file's bytes, as given.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes up to the end of the last tensor description.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Where tensor data begins: the header's length, padded. A file without tensors may end
    /// before.
    pub const fn data_start(&self) -> usize {
        self.data_start
    }

    /// Where the data of the last tensor ends, or the header, if there is none. Bytes after it, other
    /// than padding, are allowed, since a flash partition may be longer than the file in it;
    /// whoever knows the file's length can compare.
    pub fn data_end(&self) -> usize {
        let len = |tensor: &Tensor<'_>| usize::try_from(tensor.data_len()).unwrap_or(usize::MAX);
        let end = |tensor: Tensor<'_>| tensor.file_offset().saturating_add(len(&tensor));
        self.tensors().last().map_or(self.header_len, end)
    }

    /// Keys and values in the file's order; the iterator knows its length.
    pub const fn metadata(&self) -> Metadata<'a> {
        Metadata::new(Cursor::new(self.bytes, FIXED_HEADER_LEN), self.key_count)
    }

    /// The value of a key, if the file has it. Walks the keys before it.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.metadata().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Tensors in the file's order; the iterator knows its length.
    pub const fn tensors(&self) -> Tensors<'a> {
        let cursor = Cursor::new(self.bytes, self.tensors_at);
        Tensors::new(cursor, self.data_start, self.tensor_count)
    }

    /// The tensor of this name, if the file has it. Walks the descriptions before it.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'a>> {
        self.tensors().find(|tensor| tensor.name() == name)
    }
}

impl fmt::Debug for Gguf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gguf")
            .field("len", &self.bytes.len())
            .field("version", &self.version)
            .field("alignment", &self.alignment)
            .field("keys", &self.key_count)
            .field("tensors", &self.tensor_count)
            .finish_non_exhaustive()
    }
}

/// Reads magic and version.
fn check_version(cursor: &mut Cursor<'_>) -> Result<u32, GgufError> {
    let found: [u8; 4] = cursor.array()?;
    if found != *b"GGUF" && found != *b"FUGG" {
        return Err(GgufError::Magic { found });
    }
    match cursor.u32()? {
        version if found == *b"FUGG" => Err(GgufError::ByteSwapped { version }),
        version @ (2 | 3) => Ok(version),
        // A small number the wrong way round.
        version if version != 0 && version.trailing_zeros() >= 16 => {
            Err(GgufError::ByteSwapped { version })
        }
        found => Err(GgufError::Version { found }),
    }
}

/// `found`, if it is not above `limit`.
fn within(found: u64, limit: u64) -> Option<u32> {
    u32::try_from(found).ok().filter(|_| found <= limit)
}
