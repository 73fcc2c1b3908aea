//! Why a row cannot be had.

use std::{fmt, io};

/// Why a row cannot be had. What was resident stays as it was, but for rows that gave way.
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheError {
    /// There is no such row.
    Row {
        /// The row asked for.
        row: usize,
        /// Rows there are.
        count: usize,
    },
    /// A row does not fit next to those that are pinned, or needed at the same time.
    Budget {
        /// Bytes of a row.
        row_bytes: usize,
        /// Bytes that are left.
        free: usize,
    },
    /// The file ends before the rows do, or has become shorter since.
    Truncated {
        /// Bytes that it has to have.
        expected: u64,
        /// Bytes found.
        actual: u64,
    },
    /// The file was written to since it was opened.
    Changed,
    /// The system does not have the memory.
    Memory {
        /// Bytes needed.
        bytes: usize,
    },
    /// The operating system's answer.
    Io(io::Error),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { row, count } => write!(f, "row {row} of {count} does not exist"),
            Self::Budget { row_bytes, free } => {
                write!(f, "a row of {row_bytes} bytes does not fit in the {free} that are free")
            }
            Self::Truncated { expected, actual } => {
                write!(f, "expected a file of at least {expected} bytes, found {actual}")
            }
            Self::Changed => f.write_str("the file was written to while it was in use"),
            Self::Memory { bytes } => write!(f, "{bytes} bytes of memory are not to be had"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CacheError {}

impl From<io::Error> for CacheError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
