//! The data of a tensor as weights.

use super::{ExpandError, float, is_supported, q4_0, q8_0};
#[cfg(feature = "block-types")]
use super::{i2_s, q2_k, q3_k, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, tq1_0, tq2_0};
use crate::gguf::TensorType;

/// Weights as a tensor stores them: blocks, and the scale behind the last one where the type has
/// such a scale.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    kind: TensorType,
    blocks: &'a [u8],
    /// Of the whole tensor; 1 for types that have none.
    scale: f32,
}

impl<'a> Stored<'a> {
    /// The weights in `data`: blocks, then the [trailer](TensorType::trailer_bytes) of the type.
    /// Leading blocks may be left out.
    ///
    /// # Errors
    /// [`ExpandError::Unsupported`] for types without an expansion, [`ExpandError::DataLength`]
    /// when the trailer is not whole.
    pub fn new(kind: TensorType, data: &'a [u8]) -> Result<Self, ExpandError> {
        if !is_supported(kind) {
            return Err(ExpandError::Unsupported { kind });
        }
        let split = data.len().checked_sub(kind.trailer_bytes());
        let (blocks, trailer) =
            split.and_then(|at| data.split_at_checked(at)).ok_or(ExpandError::DataLength {
                blocks: 0,
                block_bytes: kind.block_bytes(),
                trailer_bytes: kind.trailer_bytes(),
                actual: data.len(),
            })?;
        let scale = trailer.first_chunk().map_or(1.0, |bytes| f32::from_le_bytes(*bytes));
        Ok(Self { kind, blocks, scale })
    }

    /// Expands the weights from number `first` on, bit for bit as the format's reference
    /// dequantiser does.
    ///
    /// Shapes: `first` and the length of `out` are whole numbers of blocks. Class: Exact, except
    /// that a NaN may come out with another payload. Scales that are NaN or infinite are not
    /// refused; they give NaN or infinite weights.
    ///
    /// # Errors
    /// [`ExpandError::OutputLength`] for a part of a block, [`ExpandError::DataLength`] when there
    /// are not as many weights. `out` is then untouched.
    pub fn expand(&self, first: usize, out: &mut [f32]) -> Result<(), ExpandError> {
        let (len, bytes) = (self.kind.block_len(), self.kind.block_bytes());
        if let Some(actual) = [first, out.len()].into_iter().find(|n| !n.is_multiple_of(len)) {
            return Err(ExpandError::OutputLength { block_len: len, actual });
        }
        let start = (first / len).checked_mul(bytes);
        let stored = start.and_then(|start| self.blocks.get(start..));
        let stored = stored.and_then(|stored| stored.get(..(out.len() / len).checked_mul(bytes)?));
        let stored = stored.ok_or(ExpandError::DataLength {
            blocks: (first / len).saturating_add(out.len() / len),
            block_bytes: bytes,
            trailer_bytes: self.kind.trailer_bytes(),
            actual: self.blocks.len().saturating_add(self.kind.trailer_bytes()),
        })?;
        match self.kind {
            TensorType::F32 => blockwise(stored, out, float::expand_f32),
            TensorType::F16 => blockwise(stored, out, float::expand_f16),
            TensorType::BF16 => blockwise(stored, out, float::expand_bf16),
            TensorType::Q4_0 => blockwise(stored, out, q4_0::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::Q4_1 => blockwise(stored, out, q4_1::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::Q5_0 => blockwise(stored, out, q5_0::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::Q5_1 => blockwise(stored, out, q5_1::expand_block),
            TensorType::Q8_0 => blockwise(stored, out, q8_0::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::Q2_K => blockwise(stored, out, q2_k::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::Q3_K => blockwise(stored, out, q3_k::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::Q4_K => blockwise(stored, out, q4_k::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::Q5_K => blockwise(stored, out, q5_k::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::Q6_K => blockwise(stored, out, q6_k::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::TQ1_0 => blockwise(stored, out, tq1_0::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::TQ2_0 => blockwise(stored, out, tq2_0::expand_block),
            #[cfg(feature = "block-types")]
            TensorType::I2_S => blockwise(stored, out, |block, out| {
                i2_s::expand_block(block, self.scale, out);
            }),
            kind => return Err(ExpandError::Unsupported { kind }),
        }
        Ok(())
    }

    /// Bytes of the blocks.
    pub(super) const fn blocks_len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether no stored float and no scale is NaN or infinite. Then every weight is finite: the
    /// largest product of a half and codes is far below the largest single.
    pub fn is_finite(&self) -> bool {
        let mut blocks = self.blocks.chunks_exact(self.kind.block_bytes().max(1));
        let singles =
            |b: &[u8]| b.last_chunk().is_some_and(|b| u16::from_le_bytes(*b) & 0x7F80 != 0x7F80);
        let half = |b: &[u8], at: usize| {
            b.get(at..)
                .and_then(|b| b.first_chunk())
                .is_some_and(|b| u16::from_le_bytes(*b) & 0x7C00 != 0x7C00)
        };
        let scales: &[usize] = match self.kind {
            TensorType::F32 | TensorType::BF16 => return blocks.all(singles),
            TensorType::I2_S => return self.scale.is_finite(),
            TensorType::Q4_1 | TensorType::Q5_1 | TensorType::Q4_K | TensorType::Q5_K => &[0, 2],
            TensorType::Q2_K => &[80, 82],
            TensorType::Q3_K => &[108],
            TensorType::Q6_K => &[208],
            TensorType::TQ1_0 => &[52],
            TensorType::TQ2_0 => &[64],
            // The scale is the first half of a block, and a half is a block of its own.
            _ => &[0],
        };
        blocks.all(|block| scales.iter().all(|&at| half(block, at)))
    }
}

/// Applies one block's expansion, `B` bytes to `N` weights, to all blocks; as many of both.
#[inline(always)]
fn blockwise<const B: usize, const N: usize>(
    stored: &[u8],
    out: &mut [f32],
    block: impl Fn(&[u8; B], &mut [f32; N]),
) {
    for (bytes, weights) in stored.as_chunks::<B>().0.iter().zip(out.as_chunks_mut::<N>().0) {
        block(bytes, weights);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    /// Three blocks of zeros and the trailer.
    fn zeros(kind: TensorType) -> std::vec::Vec<u8> {
        vec![0; 3 * kind.block_bytes() + kind.trailer_bytes()]
    }

    fn supported() -> impl Iterator<Item = TensorType> {
        TensorType::ALL.iter().copied().filter(|&kind| is_supported(kind))
    }

    #[test]
    fn parts_are_parts_of_the_whole() {
        for kind in supported() {
            let len = kind.block_len();
            let mut data = zeros(kind);
            for (i, byte) in data.iter_mut().enumerate() {
                *byte = (37 * i + i / 64) as u8 & 0xBB;
            }
            let stored = Stored::new(kind, &data).unwrap();
            let mut whole = vec![9.0; 3 * len];
            stored.expand(0, &mut whole).unwrap();
            for first in 0..=3 {
                for count in 0..=3 - first {
                    let mut part = vec![8.0; count * len];
                    stored.expand(first * len, &mut part).unwrap();
                    let expected = &whole[first * len..][..count * len];
                    let bits = |w: &[f32]| w.iter().map(|w| w.to_bits()).collect::<vec::Vec<_>>();
                    assert_eq!(bits(&part), bits(expected), "{kind}, {count} from {first}");
                }
            }
            let beyond = ExpandError::DataLength {
                blocks: 4,
                block_bytes: kind.block_bytes(),
                trailer_bytes: kind.trailer_bytes(),
                actual: data.len(),
            };
            assert_eq!(stored.expand(2 * len, &mut whole[..2 * len]), Err(beyond), "{kind}");
            assert!(stored.expand(usize::MAX / len * len, &mut whole[..len]).is_err());
            if len > 1 {
                let error = ExpandError::OutputLength { block_len: len, actual: 1 };
                assert_eq!(stored.expand(1, &mut whole[..len]), Err(error), "{kind}");
            }
        }
    }

    /// Each place that a scale stands in is found by what it does to the weights.
    #[test]
    fn infinite_scales_are_found_wherever_they_stand() {
        for kind in supported() {
            let data = zeros(kind);
            let mut found = 0;
            let wide = matches!(kind, TensorType::F32 | TensorType::BF16 | TensorType::I2_S);
            let infinity: [u8; 2] = if wide { [0x80, 0x7F] } else { [0x00, 0x7C] };
            for at in 0..data.len() - 1 {
                let mut data = data.clone();
                data[at..at + 2].copy_from_slice(&infinity);
                let stored = Stored::new(kind, &data).unwrap();
                let mut weights = vec![0.0; 3 * kind.block_len()];
                stored.expand(0, &mut weights).unwrap();
                let finite = weights.iter().all(|weight| weight.is_finite());
                assert_eq!(stored.is_finite(), finite, "{kind}, byte {at}");
                found += usize::from(!finite);
            }
            assert!(found > 0, "{kind} has no scale");
        }
    }
}
