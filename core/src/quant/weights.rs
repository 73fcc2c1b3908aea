//! Weights of a layer at 8 or 4 bits, in caller's memory: for those who have no use for lanes.

use super::{QuantError, max_magnitude};

/// How the weights are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Store<'a> {
    /// One integer a byte.
    Int8(&'a [i8]),
    /// Two integers a byte, the even position in the low four bits, each plus 8.
    Int4 { bytes: &'a [u8], group: usize },
}

/// A matrix of int8 weights with a scale for each row, or of int4 weights with a scale for each
/// group of a row. Rows of int4 begin at a whole byte.
///
/// ```
/// use trilane_core::quant::QuantizedWeights;
/// let original: [f32; 8] = [0.5, -1.27, 0.01, 0.3, 0.7, -0.7, 0.1, 0.2];
/// let mut dequantized = [0.0; 4];
///
/// // Int8 quantization, two rows of four
/// let (mut q, mut scales) = ([0; 8], [0.0; 2]);
/// let weights = QuantizedWeights::quantize_int8(&original, 4, &mut q, &mut scales)?;
/// weights.dequantize_row(0, &mut dequantized)?;
/// assert!(dequantized.iter().zip(&original).all(|(d, w)| (d - w).abs() <= 0.005 + 1e-6));
///
/// // Int4 quantization, groups of two
/// let (bytes, groups) = QuantizedWeights::int4_lens(2, 4, 2);
/// let (mut bytes, mut scales) = (vec![0; bytes], vec![0.0; groups]);
/// let weights = QuantizedWeights::quantize_int4(&original, 4, 2, &mut bytes, &mut scales)?;
/// weights.dequantize_row(1, &mut dequantized)?;
/// assert!(dequantized.iter().zip(&original[4..]).all(|(d, w)| (d - w).abs() <= 0.05 + 1e-6));
/// # Ok::<(), trilane_core::quant::QuantError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedWeights<'a> {
    cols: usize,
    store: Store<'a>,
    scales: &'a [f32],
}

fn same(expected: usize, actual: usize) -> Result<(), QuantError> {
    if expected == actual { Ok(()) } else { Err(QuantError::Length { expected, actual }) }
}

/// The scale and the integers `round(w / s)` of weights, `s = max|w| / limit`; ties go away from
/// zero. Scale 0 where all weights are too small for one.
fn integers(w: &[f32], limit: f32) -> Result<(f32, impl Iterator<Item = i8>), QuantError> {
    let scale = max_magnitude(w)? / limit;
    let integer = move |w: &f32| {
        if scale > 0.0 { libm::roundf(w / scale).clamp(-limit, limit) as i8 } else { 0 }
    };
    Ok((scale, w.iter().map(integer)))
}

impl<'a> QuantizedWeights<'a> {
    /// Bytes and scales that an int4 matrix takes.
    pub const fn int4_lens(rows: usize, cols: usize, group: usize) -> (usize, usize) {
        let groups = if group == 0 { 0 } else { cols.div_ceil(group) };
        (rows * cols.div_ceil(2), rows * groups)
    }

    /// int8: `s = max|w| / 127` over a row, `q = round(w / s)`. Off by at most half a step. Ordered.
    ///
    /// Shapes: `w` and `q` rows·cols, `scales` rows.
    ///
    /// # Errors
    /// [`QuantError::Length`], [`QuantError::NotFinite`] with the position among all weights.
    pub fn quantize_int8(
        w: &[f32],
        cols: usize,
        q: &'a mut [i8],
        scales: &'a mut [f32],
    ) -> Result<Self, QuantError> {
        same(scales.len().saturating_mul(cols), w.len())?;
        same(w.len(), q.len())?;
        max_magnitude(w)?;
        let rows = w.chunks_exact(cols.max(1)).zip(q.chunks_exact_mut(cols.max(1)));
        for ((w, q), scale) in rows.zip(scales.iter_mut()) {
            let (s, integers) = integers(w, 127.0)?;
            *scale = s;
            q.iter_mut().zip(integers).for_each(|(q, integer)| *q = integer);
        }
        Ok(Self { cols, store: Store::Int8(q), scales })
    }

    /// int4: `s = max|w| / 7` over a group of a row, `q = round(w / s)`, two a byte. Off by at most
    /// half a step. Ordered.
    ///
    /// Shapes: `w` rows·cols; `bytes` and `scales` as [`int4_lens`](Self::int4_lens) says. The
    /// last group of a row may be shorter.
    ///
    /// # Errors
    /// [`QuantError::Length`], also for a group of 0 weights; [`QuantError::NotFinite`] with the
    /// position among all weights.
    pub fn quantize_int4(
        w: &[f32],
        cols: usize,
        group: usize,
        bytes: &'a mut [u8],
        scales: &'a mut [f32],
    ) -> Result<Self, QuantError> {
        if group == 0 || cols == 0 {
            return Err(QuantError::Length { expected: 1, actual: 0 });
        }
        let rows = w.len() / cols;
        same(rows * cols, w.len())?;
        let (expected, groups) = Self::int4_lens(rows, cols, group);
        same(expected, bytes.len())?;
        same(groups, scales.len())?;
        max_magnitude(w)?;
        bytes.fill(0);
        let per_row = cols.div_ceil(group);
        let rows = w.chunks_exact(cols).zip(bytes.chunks_exact_mut(cols.div_ceil(2)));
        for ((w, bytes), scales) in rows.zip(scales.chunks_exact_mut(per_row)) {
            for (g, (w, scale)) in w.chunks(group).zip(scales).enumerate() {
                let (s, integers) = integers(w, 7.0)?;
                *scale = s;
                for (i, integer) in (g * group..).zip(integers) {
                    if let Some(byte) = bytes.get_mut(i / 2) {
                        *byte |= ((integer + 8) as u8) << (4 * (i % 2));
                    }
                }
            }
        }
        Ok(Self { cols, store: Store::Int4 { bytes, group }, scales })
    }

    /// Bytes of integers and scales.
    pub fn bytes(&self) -> usize {
        let integers = match self.store {
            Store::Int8(q) => q.len(),
            Store::Int4 { bytes, .. } => bytes.len(),
        };
        integers + size_of_val(self.scales)
    }

    /// `y[c] = s · q[row, c]`. Ordered.
    ///
    /// # Errors
    /// [`QuantError::Length`] when `y` is not a row long, or there is no such row (expected is then
    /// the number of rows).
    pub fn dequantize_row(&self, row: usize, y: &mut [f32]) -> Result<(), QuantError> {
        same(self.cols, y.len())?;
        match self.store {
            Store::Int8(q) => {
                let start = row.saturating_mul(self.cols);
                let q = q.get(start..).and_then(|q| q.get(..self.cols));
                let (Some(q), Some(scale)) = (q, self.scales.get(row)) else {
                    let expected = self.scales.len();
                    return Err(QuantError::Length { expected, actual: row });
                };
                y.iter_mut().zip(q).for_each(|(y, q)| *y = scale * f32::from(*q));
            }
            Store::Int4 { bytes, group } => {
                let (len, groups) = (self.cols.div_ceil(2), self.cols.div_ceil(group));
                let part = bytes.get(row.saturating_mul(len)..).and_then(|b| b.get(..len));
                let scales = self.scales.get(row.saturating_mul(groups)..);
                let (Some(bytes), Some(scales)) = (part, scales) else {
                    let expected = bytes.len() / len.max(1);
                    return Err(QuantError::Length { expected, actual: row });
                };
                for (i, y) in y.iter_mut().enumerate() {
                    let code = bytes.get(i / 2).map_or(8, |byte| byte >> (4 * (i % 2)) & 15);
                    let scale = scales.get(i / group).copied().unwrap_or(0.0);
                    *y = scale * (f32::from(code) - 8.0);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    proptest! {
        #[test]
        fn rows_come_back_within_half_a_step(
            values in proptest::collection::vec(-1e20f32..1e20, 1..120),
            cols in 1usize..12,
            group in 1usize..7,
        ) {
            let rows = values.len() / cols;
            let w = &values[..rows * cols];
            let (mut q, mut scales) = (vec![0; w.len()], vec![0.0; rows]);
            let int8 = QuantizedWeights::quantize_int8(w, cols, &mut q, &mut scales).unwrap();
            let (bytes, groups) = QuantizedWeights::int4_lens(rows, cols, group);
            prop_assert_eq!((bytes, groups), (rows * cols.div_ceil(2), rows * cols.div_ceil(group)));
            let (mut packed, mut steps) = (vec![0xAA; bytes], vec![0.0; groups]);
            let int4 =
                QuantizedWeights::quantize_int4(w, cols, group, &mut packed, &mut steps).unwrap();
            prop_assert_eq!((int8.bytes(), int4.bytes()), (w.len() + 4 * rows, bytes + 4 * groups));
            let mut y = vec![0.0; cols];
            let largest = |w: &[f32]| w.iter().fold(0.0f32, |max, w| max.max(w.abs()));
            for (row, w) in w.chunks(cols).enumerate() {
                int8.dequantize_row(row, &mut y).unwrap();
                let step = largest(w) / 127.0;
                prop_assert!(w.iter().zip(&y).all(|(w, y)| (w - y).abs() <= 0.500_1 * step));
                int4.dequantize_row(row, &mut y).unwrap();
                for (w, y) in w.chunks(group).zip(y.chunks(group)) {
                    let step = largest(w) / 7.0;
                    prop_assert!(w.iter().zip(y).all(|(w, y)| (w - y).abs() <= 0.500_1 * step));
                }
            }
            prop_assert!(int8.dequantize_row(rows, &mut y).is_err());
            prop_assert!(int4.dequantize_row(rows, &mut y).is_err());
        }
    }

    #[test]
    fn bad_weights_and_lengths_are_refused() {
        let (mut q, mut s) = ([0i8; 4], [0.0; 2]);
        let bad = [1.0, 2.0, f32::NAN, 0.0];
        let refused = QuantizedWeights::quantize_int8(&bad, 2, &mut q, &mut s);
        assert_eq!(refused, Err(QuantError::NotFinite { index: 2 }));
        let refused = QuantizedWeights::quantize_int8(&bad, 3, &mut q, &mut s);
        assert_eq!(refused, Err(QuantError::Length { expected: 6, actual: 4 }));
        let mut bytes = [0; 2];
        let refused = QuantizedWeights::quantize_int4(&bad, 2, 2, &mut bytes, &mut s);
        assert_eq!(refused, Err(QuantError::NotFinite { index: 2 }));
        let refused = QuantizedWeights::quantize_int4(&[1.0; 4], 2, 0, &mut bytes, &mut s);
        assert_eq!(refused, Err(QuantError::Length { expected: 1, actual: 0 }));
        let refused = QuantizedWeights::quantize_int4(&[1.0; 4], 4, 2, &mut bytes[..1], &mut s);
        assert_eq!(refused, Err(QuantError::Length { expected: 2, actual: 1 }));
    }
}
