//! Why a file was refused.

use core::fmt;

use super::{SizeError, ValueType};

/// Why [`Gguf::parse`](super::Gguf::parse) refused a file.
///
/// `offset` is always a byte offset from the start of the file, `key` and `tensor` are 0-based
/// positions in the file's own order.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GgufError {
    /// The file ends inside a fixed-size field.
    Truncated {
        /// Where the field begins.
        offset: u64,
        /// Bytes the field takes.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
    /// The first four bytes are not `GGUF`.
    Magic {
        /// What stands there.
        found: [u8; 4],
    },
    /// A big-endian file: its numbers are stored the other way round.
    ByteSwapped {
        /// The version as this reader's byte order shows it.
        version: u32,
    },
    /// A version other than 2 and 3.
    Version {
        /// The version number found.
        found: u32,
    },
    /// More keys than the limit, which also catches a signed −1.
    KeyCount {
        /// The count found.
        found: u64,
        /// The largest accepted.
        limit: u64,
    },
    /// More tensors than the limit, which also catches a signed −1.
    TensorCount {
        /// The count found.
        found: u64,
        /// The largest accepted.
        limit: u64,
    },
    /// Metadata and tensor descriptions take more than the limit.
    HeaderLength {
        /// Bytes up to the end of the last entry read.
        found: u64,
        /// The largest accepted.
        limit: u64,
    },
    /// A key of zero bytes or more than 65,535.
    KeyLength {
        /// Position of the key.
        key: u32,
        /// Its length in bytes.
        found: u64,
    },
    /// A string's length reaches past the end of the file.
    StringLength {
        /// Where the string's bytes begin.
        offset: u64,
        /// Its length in bytes.
        found: u64,
        /// Bytes left.
        available: u64,
    },
    /// A string is not UTF-8.
    Utf8 {
        /// The first byte that is not part of a character.
        offset: u64,
    },
    /// A key or a tensor name contains a NUL byte.
    Nul {
        /// Where the NUL is.
        offset: u64,
    },
    /// Two keys are equal.
    DuplicateKey {
        /// Position of the later of the two.
        key: u32,
        /// Where the earlier one's entry begins.
        first: u64,
        /// Where the later one's entry begins.
        second: u64,
    },
    /// A value's type number is unknown.
    ValueType {
        /// Position of the key.
        key: u32,
        /// Where the type number stands.
        offset: u64,
        /// The number found.
        found: u32,
    },
    /// An array's element type number is unknown.
    ElementType {
        /// Where the type number stands.
        offset: u64,
        /// The number found.
        found: u32,
    },
    /// A boolean is neither 0 nor 1.
    Bool {
        /// Where the byte is.
        offset: u64,
        /// The byte found.
        found: u8,
    },
    /// An array has more elements than the rest of the file could hold.
    ArrayLength {
        /// Where the first element would be.
        offset: u64,
        /// The number of elements found.
        found: u64,
        /// Bytes left.
        available: u64,
    },
    /// Arrays are nested deeper than the limit.
    ArrayDepth {
        /// Where the array that is one too deep begins.
        offset: u64,
        /// The deepest nesting accepted.
        limit: u32,
    },
    /// `general.alignment` is not stored as a `u32`.
    AlignmentType {
        /// The type found.
        found: ValueType,
    },
    /// `general.alignment` is zero, not a power of two, or above 65,536.
    Alignment {
        /// The alignment found.
        found: u32,
    },
    /// A tensor name of zero bytes or more than 64.
    NameLength {
        /// Position of the tensor.
        tensor: u32,
        /// The name's length in bytes.
        found: u64,
    },
    /// Two tensor names are equal.
    DuplicateTensor {
        /// Position of the later of the two.
        tensor: u32,
        /// Where the earlier one's description begins.
        first: u64,
        /// Where the later one's description begins.
        second: u64,
    },
    /// A tensor type number that was never given out, as far as this reader knows.
    UnknownTensorType {
        /// Position of the tensor.
        tensor: u32,
        /// The number found.
        found: u32,
    },
    /// A tensor type number that was withdrawn, or that means different things in different forks.
    RemovedTensorType {
        /// Position of the tensor.
        tensor: u32,
        /// The number found.
        found: u32,
    },
    /// Shape and type do not give a size.
    Size {
        /// Position of the tensor.
        tensor: u32,
        /// What is wrong with them.
        error: SizeError,
    },
    /// A byte between the last tensor description and the data section is not zero: the counts in
    /// the header are too small, or something was written there.
    Padding {
        /// Where the byte is.
        offset: u64,
        /// The byte found.
        found: u8,
    },
    /// A tensor's offset is not a multiple of the alignment.
    Unaligned {
        /// Position of the tensor.
        tensor: u32,
        /// The offset in the data section.
        found: u64,
        /// The file's alignment in bytes.
        alignment: u64,
    },
    /// A tensor's data ends after the file does, or beyond 2⁶⁴.
    PastEnd {
        /// Position of the tensor.
        tensor: u32,
        /// The offset in the data section.
        found: u64,
        /// Bytes of the tensor.
        len: u64,
        /// Bytes of the file.
        file_len: u64,
    },
    /// A tensor does not begin where the one before it, padded, ends. Overlapping, identical,
    /// descending and gapped offsets all end here, and so do tensors whose real block size is not
    /// the one their type number stands for.
    Misplaced {
        /// Position of the tensor.
        tensor: u32,
        /// The offset in the data section.
        found: u64,
        /// The offset it must have.
        expected: u64,
    },
}

impl fmt::Display for GgufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { offset, needed, available } => write!(
                f,
                "file ends early: {needed} bytes needed at offset {offset}, {available} left"
            ),
            Self::Magic { found } => {
                write!(f, "not a GGUF file: it begins with bytes {found:02x?}")
            }
            Self::ByteSwapped { version } => {
                write!(f, "big-endian GGUF file (version reads as {version:#x})")
            }
            Self::Version { found } => write!(f, "GGUF version {found}; 2 and 3 are supported"),
            Self::KeyCount { found, limit } => write!(f, "{found} keys; at most {limit} accepted"),
            Self::TensorCount { found, limit } => {
                write!(f, "{found} tensors; at most {limit} accepted")
            }
            Self::HeaderLength { found, limit } => {
                write!(f, "header of {found} bytes or more; at most {limit} accepted")
            }
            Self::KeyLength { key, found } => {
                write!(f, "key {key} has {found} bytes; 1 to 65535 accepted")
            }
            Self::StringLength { offset, found, available } => {
                write!(f, "string of {found} bytes at offset {offset}, {available} left")
            }
            Self::Utf8 { offset } => write!(f, "string is not UTF-8 at offset {offset}"),
            Self::Nul { offset } => write!(f, "NUL byte inside a name at offset {offset}"),
            Self::DuplicateKey { key, first, second } => {
                write!(f, "key {key} at offset {second} repeats the one at offset {first}")
            }
            Self::ValueType { key, offset, found } => {
                write!(f, "key {key} has unknown value type {found} at offset {offset}")
            }
            Self::ElementType { offset, found } => {
                write!(f, "array has unknown element type {found} at offset {offset}")
            }
            Self::Bool { offset, found } => write!(f, "boolean is {found} at offset {offset}"),
            Self::ArrayLength { offset, found, available } => write!(
                f,
                "array of {found} elements at offset {offset} cannot fit the {available} bytes left"
            ),
            Self::ArrayDepth { offset, limit } => {
                write!(f, "array at offset {offset} is nested deeper than {limit}")
            }
            Self::AlignmentType { found } => {
                write!(f, "general.alignment is stored as {found}, not u32")
            }
            Self::Alignment { found } => {
                write!(f, "alignment {found} is not a power of two from 1 to 65536")
            }
            Self::NameLength { tensor, found } => {
                write!(f, "tensor {tensor} has a name of {found} bytes; 1 to 64 accepted")
            }
            Self::DuplicateTensor { tensor, first, second } => write!(
                f,
                "tensor {tensor}, described at offset {second}, has the name of the one at {first}"
            ),
            Self::UnknownTensorType { tensor, found } => {
                write!(f, "tensor {tensor} has unknown type {found}")
            }
            Self::RemovedTensorType { tensor, found } => {
                write!(f, "tensor {tensor} has type {found}, which was removed or is ambiguous")
            }
            Self::Size { tensor, error } => write!(f, "tensor {tensor}: {error}"),
            Self::Padding { offset, found } => {
                write!(f, "padding byte at offset {offset} is {found}, not 0")
            }
            Self::Unaligned { tensor, found, alignment } => {
                write!(f, "tensor {tensor} at data offset {found} is not {alignment}-byte aligned")
            }
            Self::PastEnd { tensor, found, len, file_len } => write!(
                f,
                "tensor {tensor}, {len} bytes at data offset {found}, ends after the file's \
                 {file_len} bytes"
            ),
            Self::Misplaced { tensor, found, expected } => {
                write!(f, "tensor {tensor} is at data offset {found}; {expected} expected")
            }
        }
    }
}

impl core::error::Error for GgufError {}
