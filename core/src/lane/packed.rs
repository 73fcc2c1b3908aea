//! Values quantised on their own to truly 3, 5 or 7 bits each.

use super::PrecisionLane;
use crate::quant::{QuantError, max_magnitude};

/// Quantises to integers of `BITS` bits, packed without gaps.
///
/// ```text
/// value i takes bits BITS·i .. BITS·(i+1) of the bytes, the lowest first, in two's complement
/// ```
///
/// `s = max|x| / (2^(BITS−1) − 1)`, `q = clamp(round(x / s), −2^(BITS−1), 2^(BITS−1) − 1)`. Weights
/// that nest are quantised by [`quantize_nested_row`](super::quantize_nested_row) instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantizer<const BITS: usize>;

/// −4..=3.
pub type Quantizer3Bit = Quantizer<3>;
/// −16..=15.
pub type Quantizer5Bit = Quantizer<5>;
/// −64..=63.
pub type Quantizer7Bit = Quantizer<7>;

/// The quantiser of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneQuantizer {
    lane: PrecisionLane,
    bits: usize,
}

impl LaneQuantizer {
    /// The quantiser of Bit3, Bit5 or Bit7; `None` for other lanes.
    pub fn new(lane: PrecisionLane) -> Option<Self> {
        lane.tiers().map(|_| Self { lane, bits: lane.code_bits() as usize })
    }

    /// The lane.
    pub fn lane(&self) -> PrecisionLane {
        self.lane
    }

    /// Bytes that so many values take: `⌈bits · len / 8⌉`.
    pub const fn packed_len(&self, len: usize) -> usize {
        packed_len(self.bits, len)
    }

    /// As [`Quantizer::quantize`], at the quantiser's lane.
    ///
    /// # Errors
    /// As [`Quantizer::quantize`].
    pub fn quantize<'b>(
        &self,
        x: &[f32],
        bytes: &'b mut [u8],
    ) -> Result<QuantizedBlock<'b>, QuantError> {
        quantize(self.bits, x, bytes)
    }
}

impl<const BITS: usize> Quantizer<BITS> {
    /// Whether there is such a lane; a quantiser of another width does not compile.
    const LANE: () = assert!(BITS == 3 || BITS == 5 || BITS == 7, "3, 5 or 7 bits");

    /// Bytes that so many values take: `⌈BITS · len / 8⌉`.
    pub const fn packed_len(len: usize) -> usize {
        packed_len(BITS, len)
    }

    /// Quantises `x` into `bytes`, which has to be [`packed_len`](Self::packed_len) long. Values
    /// too small for a scale become zeros. Ordered; ties go away from zero.
    ///
    /// # Errors
    /// [`QuantError::Length`] when the bytes have another length, [`QuantError::NotFinite`] for NaN
    /// or infinity.
    ///
    /// ```
    /// use trilane_core::lane::Quantizer3Bit;
    /// let mut bytes = [0; 2];
    /// let block = Quantizer3Bit::default().quantize(&[3.0, -2.0, 0.4, -3.0], &mut bytes)?;
    /// assert_eq!([0, 1, 2, 3].map(|i| block.value(i)), [3, -2, 0, -3].map(Some));
    /// # Ok::<(), trilane_core::quant::QuantError>(())
    /// ```
    pub fn quantize<'b>(
        &self,
        x: &[f32],
        bytes: &'b mut [u8],
    ) -> Result<QuantizedBlock<'b>, QuantError> {
        let () = Self::LANE;
        quantize(BITS, x, bytes)
    }
}

const fn packed_len(bits: usize, len: usize) -> usize {
    // In two parts, so that no length overflows.
    len / 8 * bits + (len % 8 * bits).div_ceil(8)
}

fn quantize<'b>(
    bits: usize,
    x: &[f32],
    bytes: &'b mut [u8],
) -> Result<QuantizedBlock<'b>, QuantError> {
    let (expected, actual) = (packed_len(bits, x.len()), bytes.len());
    if expected != actual {
        return Err(QuantError::Length { expected, actual });
    }
    let half = (1i32 << (bits - 1)) as f32;
    let scale = max_magnitude(x)? / (half - 1.0);
    bytes.fill(0);
    for (i, x) in x.iter().enumerate() {
        let steps = if scale > 0.0 { libm::roundf(x / scale) } else { 0.0 };
        let code = steps.clamp(-half, half - 1.0) as i16 as u16 & ((1 << bits) - 1);
        let at = bits * i;
        let [low, high] = (code << (at % 8)).to_le_bytes();
        for (byte, part) in bytes.iter_mut().skip(at / 8).zip([low, high]) {
            *byte |= part;
        }
    }
    Ok(QuantizedBlock { bits, len: x.len(), scale, bytes })
}

/// Quantised values: packed bytes and one scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedBlock<'a> {
    bits: usize,
    len: usize,
    scale: f32,
    bytes: &'a [u8],
}

impl QuantizedBlock<'_> {
    /// Values in the block.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the block holds no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bits of a value.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// What one step is worth.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The integer at a position; `None` past the end. Exact.
    pub fn value(&self, i: usize) -> Option<i8> {
        if i >= self.len {
            return None;
        }
        let at = self.bits * i;
        let byte = |i: usize| self.bytes.get(i).copied().unwrap_or(0);
        let code = u16::from_le_bytes([byte(at / 8), byte(at / 8 + 1)]) >> (at % 8);
        // The sign is in the highest bit of the code.
        let unused = 8 - self.bits;
        Some((code as u8) << unused as u32).map(|code| (code as i8) >> unused as u32)
    }

    /// `y[i] = scale · value(i)` for as many values as both have. Ordered.
    pub fn dequantize(&self, y: &mut [f32]) {
        for (i, y) in y.iter_mut().enumerate().take(self.len) {
            *y = self.scale * f32::from(self.value(i).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    proptest! {
        #[test]
        fn values_come_back_within_half_a_step(
            x in proptest::collection::vec(-1e30f32..1e30, 0..70),
            lane in 0usize..3,
        ) {
            let quantizer = LaneQuantizer::new(PrecisionLane::NESTED[lane]).unwrap();
            let bits = [3, 5, 7][lane];
            let mut bytes = vec![0xA5; (bits * x.len()).div_ceil(8)];
            prop_assert_eq!(quantizer.packed_len(x.len()), bytes.len());
            let block = quantizer.quantize(&x, &mut bytes).unwrap();
            let mut y = vec![0.0; x.len()];
            block.dequantize(&mut y);
            for (x, y) in x.iter().zip(&y) {
                prop_assert!((x - y).abs() <= 0.500_01 * block.scale());
            }
            prop_assert_eq!(block.value(x.len()), None);
            // The bits past the last value are zero.
            let used = bits * x.len() % 8;
            prop_assert!(used == 0 || block.bytes().last().unwrap() >> used == 0);
        }
    }

    #[test]
    fn neighbours_share_bytes_and_nothing_else() {
        let x: [f32; 8] = [3.0, -3.0, 1.0, -1.0, 2.0, -2.0, 0.0, 3.0];
        let mut bytes = [0; 3];
        let block = Quantizer3Bit::default().quantize(&x, &mut bytes).unwrap();
        let codes = [3u32, 5, 1, 7, 2, 6, 0, 3];
        let word = codes.iter().enumerate().fold(0, |word, (i, code)| word | code << (3 * i));
        assert_eq!(block.bytes(), &word.to_le_bytes()[..3]);
        let mut bytes = [0; 7];
        let block = Quantizer7Bit::default().quantize(&x.map(|v| 21.0 * v), &mut bytes).unwrap();
        let values: [i8; 8] = core::array::from_fn(|i| block.value(i).unwrap());
        assert_eq!(values, [63, -63, 21, -21, 42, -42, 0, 63]);
    }

    #[test]
    fn tiny_values_are_zeros_and_bad_ones_refused() {
        let mut bytes = [0; 2];
        let block = Quantizer5Bit::default().quantize(&[1e-45, -1e-45, 0.0], &mut bytes).unwrap();
        assert!((0..3).all(|i| block.value(i) == Some(0)));
        let refused = Quantizer5Bit::default().quantize(&[0.0, f32::NAN, 0.0], &mut bytes);
        assert_eq!(refused, Err(QuantError::NotFinite { index: 1 }));
        let refused = Quantizer5Bit::default().quantize(&[0.0; 4], &mut bytes);
        assert_eq!(refused, Err(QuantError::Length { expected: 3, actual: 2 }));
        assert_eq!(LaneQuantizer::new(PrecisionLane::Ternary), None);
        assert_eq!(Quantizer7Bit::packed_len(usize::MAX / 8), usize::MAX / 64 * 7 + 7);
    }
}
