//! Why a file could not be written.

use std::{fmt, io};

use trilane_core::gguf::SizeError;

/// Why a call of the writer failed. Except after `Io`, the writer is as it was before the call.
#[non_exhaustive]
#[derive(Debug)]
pub enum WriteError {
    /// The alignment is zero, not a power of two, or above 65,536.
    Alignment {
        /// The alignment asked for.
        found: u32,
    },
    /// `general.alignment` cannot be added like another key.
    AlignmentKey,
    /// A key of zero bytes or more than 65,535.
    KeyLength {
        /// Its length in bytes.
        found: usize,
    },
    /// A tensor name of zero bytes or more than 64.
    NameLength {
        /// Its length in bytes.
        found: usize,
    },
    /// A NUL byte in a key or a tensor name.
    Nul {
        /// Bytes before it.
        at: usize,
    },
    /// The key has been added before.
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A tensor of this name has been declared before.
    DuplicateTensor {
        /// The name.
        name: String,
    },
    /// Too many keys.
    KeyCount {
        /// The largest number accepted.
        limit: u64,
    },
    /// Too many tensors.
    TensorCount {
        /// The largest number accepted.
        limit: u64,
    },
    /// Arrays nested too deep.
    ArrayDepth {
        /// Their depth.
        found: u32,
        /// The largest accepted.
        limit: u32,
    },
    /// Metadata and tensor descriptions too long.
    HeaderLength {
        /// Bytes they would take.
        found: usize,
        /// The largest accepted.
        limit: u32,
    },
    /// All tensors together would take 2⁶³ bytes or more.
    TotalLength,
    /// Type and dimensions do not give a size.
    Size(SizeError),
    /// Data of the wrong length.
    DataLength {
        /// The tensor.
        name: String,
        /// Bytes it takes, or that are left of it.
        expected: u64,
        /// Bytes offered.
        actual: u64,
    },
    /// Data of another tensor than the next one in order.
    Order {
        /// The next one; `None` after the last.
        expected: Option<String>,
        /// The one offered.
        actual: String,
    },
    /// The file was finished before all data was written.
    Unfinished {
        /// The first tensor without all of its data.
        name: String,
        /// Bytes missing from it.
        missing: u64,
    },
    /// The output failed.
    Io(io::Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alignment { found } => {
                write!(f, "alignment {found} is not a power of two from 1 to 65536")
            }
            Self::AlignmentKey => f.write_str("general.alignment is set by the constructor"),
            Self::KeyLength { found } => write!(f, "key of {found} bytes; 1 to 65535 accepted"),
            Self::NameLength { found } => {
                write!(f, "tensor name of {found} bytes; 1 to 64 accepted")
            }
            Self::Nul { at } => write!(f, "NUL byte after {at} bytes of a name"),
            Self::DuplicateKey { key } => write!(f, "key {key:?} added twice"),
            Self::DuplicateTensor { name } => write!(f, "tensor {name:?} declared twice"),
            Self::KeyCount { limit } => write!(f, "more than {limit} keys"),
            Self::TensorCount { limit } => write!(f, "more than {limit} tensors"),
            Self::ArrayDepth { found, limit } => {
                write!(f, "arrays nested {found} deep; at most {limit} accepted")
            }
            Self::HeaderLength { found, limit } => {
                write!(f, "header of {found} bytes; at most {limit} accepted")
            }
            Self::TotalLength => f.write_str("tensors of 2^63 bytes or more"),
            Self::Size(error) => error.fmt(f),
            Self::DataLength { name, expected, actual } => {
                write!(f, "tensor {name:?}: {expected} bytes expected, {actual} given")
            }
            Self::Order { expected: Some(expected), actual } => {
                write!(f, "tensor {expected:?} is next, not {actual:?}")
            }
            Self::Order { expected: None, actual } => {
                write!(f, "all tensors are written, {actual:?} is one too many")
            }
            Self::Unfinished { name, missing } => {
                write!(f, "tensor {name:?} lacks {missing} bytes")
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Size(error) => Some(error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
