//! Stored weights to `f32`, one file per family of block types.
//!
//! Each block type has an inlinable function over arrays of the block's own sizes; [`expand`]
//! applies the right one to whole slices.

pub mod float;
pub mod q4_0;
pub mod q8_0;

use core::fmt;

use super::TensorType;

/// Why [`expand`] refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpandError {
    /// There is no expansion for this type.
    Unsupported {
        /// The type.
        kind: TensorType,
    },
    /// The output is not a whole number of blocks.
    OutputLength {
        /// Weights in a block.
        block_len: usize,
        /// Length of the output.
        actual: usize,
    },
    /// The data is not as long as the output's blocks take, or that length overflows.
    DataLength {
        /// Blocks the output holds.
        blocks: usize,
        /// Bytes in each.
        block_bytes: usize,
        /// Length of the data.
        actual: usize,
    },
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unsupported { kind } => write!(f, "type {kind} cannot be expanded"),
            Self::OutputLength { block_len, actual } => {
                write!(f, "output of {actual} weights is not a whole number of {block_len}")
            }
            Self::DataLength { blocks, block_bytes, actual } => {
                write!(
                    f,
                    "{blocks} blocks of {block_bytes} bytes expected, data has {actual} bytes"
                )
            }
        }
    }
}

impl core::error::Error for ExpandError {}

/// Whether [`expand`] knows this type.
pub const fn is_supported(kind: TensorType) -> bool {
    use TensorType::{BF16, F16, F32, Q4_0, Q8_0};
    matches!(kind, F32 | F16 | BF16 | Q4_0 | Q8_0)
}

/// Expands stored weights, bit for bit as the format's reference dequantiser does.
///
/// Shapes: `out` any number of whole blocks, `data` the bytes of the same blocks; rows or parts of
/// rows will do. Class: Exact, except that a NaN may come out with another payload. Scales that
/// are NaN or infinite are not refused; they give NaN or infinite weights.
///
/// # Errors
/// [`ExpandError::Unsupported`] for types without an expansion, [`ExpandError::OutputLength`] and
/// [`ExpandError::DataLength`] when the lengths do not match. `out` is then untouched.
pub fn expand(kind: TensorType, data: &[u8], out: &mut [f32]) -> Result<(), ExpandError> {
    match kind {
        TensorType::F32 => blockwise(data, out, float::expand_f32),
        TensorType::F16 => blockwise(data, out, float::expand_f16),
        TensorType::BF16 => blockwise(data, out, float::expand_bf16),
        TensorType::Q4_0 => blockwise(data, out, q4_0::expand_block),
        TensorType::Q8_0 => blockwise(data, out, q8_0::expand_block),
        _ => Err(ExpandError::Unsupported { kind }),
    }
}

/// Applies one block's expansion, `B` bytes to `N` weights, to all blocks.
#[inline]
fn blockwise<const B: usize, const N: usize>(
    data: &[u8],
    out: &mut [f32],
    block: impl Fn(&[u8; B], &mut [f32; N]),
) -> Result<(), ExpandError> {
    let actual = out.len();
    let (weights, []) = out.as_chunks_mut::<N>() else {
        return Err(ExpandError::OutputLength { block_len: N, actual });
    };
    let (stored, rest) = data.as_chunks::<B>();
    if stored.len() != weights.len() || !rest.is_empty() {
        let (blocks, actual) = (weights.len(), data.len());
        return Err(ExpandError::DataLength { blocks, block_bytes: B, actual });
    }
    for (bytes, weights) in stored.iter().zip(weights) {
        block(bytes, weights);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_match_to_the_byte() {
        for &kind in TensorType::ALL.iter().filter(|&&kind| is_supported(kind)) {
            let (len, bytes) = (kind.block_len(), kind.block_bytes());
            let data = std::vec![0; 3 * bytes];
            let mut out = std::vec![1.0; 3 * len];
            for actual in 0..data.len() {
                let error = if actual == 2 * bytes {
                    assert_eq!(expand(kind, &data[..actual], &mut out[..2 * len]), Ok(()));
                    out.fill(1.0);
                    continue;
                } else {
                    ExpandError::DataLength { blocks: 2, block_bytes: bytes, actual }
                };
                assert_eq!(expand(kind, &data[..actual], &mut out[..2 * len]), Err(error));
            }
            for actual in (1..2 * len).filter(|actual| actual % len != 0) {
                let error = ExpandError::OutputLength { block_len: len, actual };
                assert_eq!(expand(kind, &data, &mut out[..actual]), Err(error));
            }
            assert!(out.iter().all(|&weight| weight == 1.0), "{kind} wrote before failing");
            assert_eq!(expand(kind, &[], &mut []), Ok(()));
        }
    }

    #[test]
    fn other_types_are_refused_by_name() {
        for &kind in TensorType::ALL.iter().filter(|&&kind| !is_supported(kind)) {
            assert_eq!(expand(kind, &[], &mut []), Err(ExpandError::Unsupported { kind }));
        }
    }
}
