//! Stored weights to `f32`, one file per block type.
//!
//! Each block type has an inlinable function over arrays of the block's own sizes; [`Stored`]
//! applies the right one to any part of a tensor, [`expand`] to a whole one.

pub mod float;
pub mod i2_s;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;
mod stored;
pub mod tq1_0;
pub mod tq2_0;

pub use stored::Stored;

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
    /// The output, or what stands before it, is not a whole number of blocks.
    OutputLength {
        /// Weights in a block.
        block_len: usize,
        /// Weights of it.
        actual: usize,
    },
    /// The data is not as long as the output's blocks take, or that length overflows.
    DataLength {
        /// Blocks the output holds.
        blocks: usize,
        /// Bytes in each.
        block_bytes: usize,
        /// Bytes that follow the last one.
        trailer_bytes: usize,
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
            Self::DataLength { blocks, block_bytes, trailer_bytes, actual } => {
                write!(f, "{blocks} blocks of {block_bytes} bytes")?;
                if trailer_bytes > 0 {
                    write!(f, " and {trailer_bytes} more")?;
                }
                write!(f, " expected, data has {actual} bytes")
            }
        }
    }
}

impl core::error::Error for ExpandError {}

/// Names of the types that [`expand`] knows, for messages.
pub const SUPPORTED: &str = if cfg!(feature = "block-types") {
    "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, TQ1_0, TQ2_0 \
     or I2_S"
} else {
    "F32, F16, BF16, Q4_0 or Q8_0 (this build has no more)"
};

/// Whether [`expand`] knows this type: the first five always, the others with the feature
/// `block-types`.
pub const fn is_supported(kind: TensorType) -> bool {
    use TensorType::{
        BF16, F16, F32, I2_S, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, TQ1_0,
        TQ2_0,
    };
    let always = matches!(kind, F32 | F16 | BF16 | Q4_0 | Q8_0);
    let rarer = matches!(
        kind,
        Q4_1 | Q5_0 | Q5_1 | Q2_K | Q3_K | Q4_K | Q5_K | Q6_K | TQ1_0 | TQ2_0 | I2_S
    );
    always || (cfg!(feature = "block-types") && rarer)
}

/// Expands a whole tensor, bit for bit as the format's reference dequantiser does.
///
/// Shapes: `out` any number of whole blocks, `data` the bytes of the same blocks and the trailer
/// of the type. Class: Exact, with NaN as [`Stored::expand`] has it.
///
/// # Errors
/// [`ExpandError::Unsupported`] for types without an expansion, [`ExpandError::OutputLength`] and
/// [`ExpandError::DataLength`] when the lengths do not match. `out` is then untouched.
pub fn expand(kind: TensorType, data: &[u8], out: &mut [f32]) -> Result<(), ExpandError> {
    let blocks = out.len() / kind.block_len();
    match Stored::new(kind, data)? {
        stored if blocks.checked_mul(kind.block_bytes()) == Some(stored.blocks_len()) => {
            stored.expand(0, out)
        }
        _ if !out.len().is_multiple_of(kind.block_len()) => {
            Err(ExpandError::OutputLength { block_len: kind.block_len(), actual: out.len() })
        }
        _ => Err(ExpandError::DataLength {
            blocks,
            block_bytes: kind.block_bytes(),
            trailer_bytes: kind.trailer_bytes(),
            actual: data.len(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_match_to_the_byte() {
        for &kind in TensorType::ALL.iter().filter(|&&kind| is_supported(kind)) {
            let (len, bytes, trailer_bytes) =
                (kind.block_len(), kind.block_bytes(), kind.trailer_bytes());
            let data = std::vec![0; 3 * bytes + trailer_bytes];
            let mut out = std::vec![1.0; 3 * len];
            for actual in 0..data.len() {
                if actual == 2 * bytes + trailer_bytes {
                    assert_eq!(expand(kind, &data[..actual], &mut out[..2 * len]), Ok(()));
                    out.fill(1.0);
                    continue;
                }
                let blocks = if actual < trailer_bytes { 0 } else { 2 };
                let error =
                    ExpandError::DataLength { blocks, block_bytes: bytes, trailer_bytes, actual };
                assert_eq!(expand(kind, &data[..actual], &mut out[..2 * len]), Err(error));
            }
            for actual in (1..2 * len).filter(|actual| actual % len != 0) {
                let error = ExpandError::OutputLength { block_len: len, actual };
                assert_eq!(expand(kind, &data, &mut out[..actual]), Err(error));
            }
            assert!(out.iter().all(|&weight| weight == 1.0), "{kind} wrote before failing");
            assert_eq!(expand(kind, &data[..trailer_bytes], &mut []), Ok(()));
        }
    }

    #[test]
    fn supported_types_are_named() {
        for &kind in TensorType::ALL {
            let named = SUPPORTED.split([',', ' ']).any(|name| name == kind.name());
            assert_eq!(named, is_supported(kind), "{kind}");
        }
    }

    #[cfg(feature = "block-types")]
    #[test]
    fn missing_trailers_are_part_of_the_message() {
        let error = expand(TensorType::I2_S, &[0; 70], &mut [0.0; 128]).unwrap_err();
        let expected = "1 blocks of 32 bytes and 32 more expected, data has 70 bytes";
        assert_eq!(std::format!("{error}"), expected);
    }

    #[test]
    fn other_types_are_refused_by_name() {
        for &kind in TensorType::ALL.iter().filter(|&&kind| !is_supported(kind)) {
            assert_eq!(expand(kind, &[], &mut []), Err(ExpandError::Unsupported { kind }));
        }
    }
}
