//! The one chain of size arithmetic: dims → elements → blocks → bytes → padded → end.
//!
//! Nothing else in the reader or the writer computes a tensor's size.

use core::fmt;

use super::{GgufError, TensorType};

/// Most dimensions a tensor may have.
pub const MAX_DIMS: usize = 4;

/// Why a shape and a type do not give a size.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeError {
    /// Not 1 to 4 dimensions.
    DimensionCount {
        /// The number found.
        found: u32,
    },
    /// A dimension is zero, or above 2⁶³−1 (a negative number, if read as signed).
    Dimension {
        /// Which one, counted from the row length.
        dimension: u32,
        /// Its size.
        found: u64,
    },
    /// A row is not a whole number of blocks.
    Row {
        /// Weights in a row.
        columns: u64,
        /// Weights in a block.
        block_len: u64,
    },
    /// The number of weights does not fit this machine's `usize`.
    Elements {
        /// The product of the dimensions before the one that made it too large.
        partial: u64,
        /// That dimension.
        factor: u64,
    },
    /// The number of bytes, padding included, does not fit 64 bits.
    Bytes {
        /// The number of blocks.
        blocks: u64,
        /// Bytes in each.
        block_bytes: u64,
    },
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DimensionCount { found } => write!(f, "{found} dimensions; 1 to 4 accepted"),
            Self::Dimension { dimension, found } => {
                write!(f, "dimension {dimension} has size {found}")
            }
            Self::Row { columns, block_len } => {
                write!(f, "row of {columns} weights is not a whole number of blocks of {block_len}")
            }
            Self::Elements { partial, factor } => {
                write!(f, "number of weights overflows at {partial} times {factor}")
            }
            Self::Bytes { blocks, block_bytes } => {
                write!(f, "size overflows: {blocks} blocks of {block_bytes} bytes")
            }
        }
    }
}

impl core::error::Error for SizeError {}

/// What shape and type say about a tensor's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorSize {
    /// Number of weights.
    pub elements: usize,
    /// Bytes of the data, without padding.
    pub bytes: u64,
}

impl TensorSize {
    /// Size of a tensor of this type with these dimensions, row length first:
    /// `bytes = Π dims / block_len · block_bytes + trailer_bytes`.
    ///
    /// Class: Exact.
    ///
    /// # Errors
    /// [`SizeError`]: not 1 to 4 dimensions, a dimension of zero or above 2⁶³−1, a row that is not
    /// whole blocks, more weights than `usize` counts, more bytes than `u64` does.
    pub fn new(kind: TensorType, dims: &[u64]) -> Result<Self, SizeError> {
        let (block_len, block_bytes) = (kind.block_len() as u64, kind.block_bytes() as u64);
        let columns = match dims {
            [columns, ..] if dims.len() <= MAX_DIMS => *columns,
            _ => {
                let found = u32::try_from(dims.len()).unwrap_or(u32::MAX);
                return Err(SizeError::DimensionCount { found });
            }
        };
        let mut elements = 1u64;
        for (dimension, &size) in (0..).zip(dims) {
            if i64::try_from(size).is_ok_and(|size| size > 0) {
                let too_many = SizeError::Elements { partial: elements, factor: size };
                elements = elements.checked_mul(size).ok_or(too_many)?;
                usize::try_from(elements).map_err(|_| too_many)?;
            } else {
                return Err(SizeError::Dimension { dimension, found: size });
            }
        }
        if !columns.is_multiple_of(block_len) {
            return Err(SizeError::Row { columns, block_len });
        }
        let blocks = elements / block_len;
        let too_large = SizeError::Bytes { blocks, block_bytes };
        let bytes = blocks
            .checked_mul(block_bytes)
            .and_then(|bytes| bytes.checked_add(kind.trailer_bytes() as u64))
            .ok_or(too_large)?;
        let elements = usize::try_from(elements).map_err(|_| too_large)?;
        Ok(Self { elements, bytes })
    }
}

/// The smallest multiple of `alignment`, a power of two, that is not below `len`; `None` beyond
/// 64 bits.
pub fn pad(len: u64, alignment: u64) -> Option<u64> {
    len.checked_next_multiple_of(alignment)
}

/// Checks that a tensor lies in the file, at `expected`, the padded end of the tensor before, and
/// returns its own padded end. Both count from the start of the data section.
///
/// Errors: first `Unaligned`, then `PastEnd`, then `Misplaced`.
pub(super) fn place(
    tensor: u32,
    size: TensorSize,
    found: u64,
    expected: u64,
    section: &Section,
) -> Result<u64, GgufError> {
    let Section { start, alignment, file_len } = *section;
    let len = size.bytes;
    if !found.is_multiple_of(alignment) {
        return Err(GgufError::Unaligned { tensor, found, alignment });
    }
    let past_end = GgufError::PastEnd { tensor, found, len, file_len };
    let end = found.checked_add(len).ok_or(past_end)?;
    if start.checked_add(end).is_none_or(|end| end > file_len) {
        return Err(past_end);
    }
    if found != expected {
        return Err(GgufError::Misplaced { tensor, found, expected });
    }
    pad(end, alignment).ok_or(past_end)
}

/// The data section a tensor has to fit into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Its offset in the file.
    pub(super) start: u64,
    /// What offsets are multiples of.
    pub(super) alignment: u64,
    /// Bytes of the whole file.
    pub(super) file_len: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_blocks() {
        let size = |kind, dims: &[u64]| TensorSize::new(kind, dims).map(|s| (s.elements, s.bytes));
        assert_eq!(size(TensorType::F32, &[3]), Ok((3, 12)));
        assert_eq!(size(TensorType::Q4_0, &[64, 3, 2]), Ok((384, 216)));
        assert_eq!(size(TensorType::TQ1_0, &[256, 1, 1, 5]), Ok((1280, 270)));
        assert_eq!(size(TensorType::I2_S, &[256, 4]), Ok((1024, 288)));
    }

    #[test]
    fn each_step_of_the_chain_has_its_error() {
        let error = |kind, dims: &[u64]| TensorSize::new(kind, dims).unwrap_err();
        let f32s = |dims: &[u64]| error(TensorType::F32, dims);
        assert_eq!(f32s(&[]), SizeError::DimensionCount { found: 0 });
        assert_eq!(f32s(&[1; 5]), SizeError::DimensionCount { found: 5 });
        assert_eq!(f32s(&[4, 0]), SizeError::Dimension { dimension: 1, found: 0 });
        assert_eq!(f32s(&[1 << 63]), SizeError::Dimension { dimension: 0, found: 1 << 63 });
        let row = SizeError::Row { columns: 33, block_len: 32 };
        assert_eq!(error(TensorType::Q4_0, &[33, 32]), row);
        let wide = 1 << 62;
        assert_eq!(f32s(&[wide, 4]), SizeError::Elements { partial: wide, factor: 4 });
        if cfg!(target_pointer_width = "64") {
            assert_eq!(f32s(&[wide]), SizeError::Bytes { blocks: wide, block_bytes: 4 });
        }
    }

    #[test]
    fn padding_never_wraps() {
        assert_eq!(pad(0, 32), Some(0));
        assert_eq!(pad(1, 32), Some(32));
        assert_eq!(pad(64, 32), Some(64));
        assert_eq!(pad(u64::MAX, 1), Some(u64::MAX));
        assert_eq!(pad(u64::MAX - 30, 32), None);
    }

    #[test]
    fn a_tensor_has_exactly_one_place() {
        let section = Section { start: 96, alignment: 32, file_len: 200 };
        let put = |elements: usize, found, expected| {
            place(7, TensorSize { elements, bytes: elements as u64 }, found, expected, &section)
        };
        let past = |found, len| GgufError::PastEnd { tensor: 7, found, len, file_len: 200 };
        assert_eq!(put(72, 32, 32), Ok(128));
        assert_eq!(put(73, 32, 32), Err(past(32, 73)));
        assert_eq!(put(1, u64::MAX - 31, 0), Err(past(u64::MAX - 31, 1)));
        assert_eq!(put(1, u64::MAX - 127, 0), Err(past(u64::MAX - 127, 1)));
        let unaligned = GgufError::Unaligned { tensor: 7, found: 33, alignment: 32 };
        assert_eq!(put(1, 33, 32), Err(unaligned));
        let misplaced = GgufError::Misplaced { tensor: 7, found: 0, expected: 32 };
        assert_eq!(put(1, 0, 32), Err(misplaced));
    }
}
