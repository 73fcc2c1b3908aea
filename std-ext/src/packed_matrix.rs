//! A matrix in digit planes that owns its memory.

use crate::rows::for_each_row;
use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, MatrixError, PackError, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES,
    pack_nested_row, pack_ternary_row, units,
};
use trilane_core::lane::{PrecisionLane, quantize_nested_row};
use trilane_core::model::{Line, parts};
use trilane_core::quant::{QuantError, quantize_ternary_row};

/// The lanes that are stored up to `top`, lowest first.
#[must_use]
pub fn lanes_of(top: PrecisionLane) -> &'static [PrecisionLane] {
    match top.tiers() {
        None => &[PrecisionLane::Ternary],
        Some(tiers) => &PrecisionLane::NESTED[..tiers],
    }
}

/// Why a row cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowError {
    /// Its weights cannot be quantised.
    Quant(QuantError),
    /// Its codes cannot be packed.
    Pack(PackError),
}

impl From<QuantError> for RowError {
    fn from(error: QuantError) -> Self {
        Self::Quant(error)
    }
}

impl From<PackError> for RowError {
    fn from(error: PackError) -> Self {
        Self::Pack(error)
    }
}

impl std::fmt::Display for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Quant(error) => error.fmt(f),
            Self::Pack(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RowError {}

/// A matrix of trits, or of nested lanes up to one of them; its planes begin at a cache line.
#[derive(Debug)]
pub struct PackedMatrix {
    rows: usize,
    cols: usize,
    group: Group,
    top: PrecisionLane,
    high: Vec<Line>,
    /// One plane for each lane.
    digits: Vec<Vec<Line>>,
    group_scales: Vec<u8>,
    /// Lane by lane, lowest first.
    row_scales: Vec<f32>,
}

/// One row, quantised and packed; a digit plane and a scale for each lane.
struct PackedRow {
    high: Vec<u8>,
    digits: Vec<Vec<u8>>,
    group_scales: Vec<u8>,
    row_scales: Vec<f32>,
}

impl PackedMatrix {
    /// Quantises rows × cols weights, given by row, to trits or to the nested lanes up to `top`.
    /// The result does not depend on the number of threads.
    ///
    /// # Errors
    /// What `row` returns, or what `refused` makes of a row that cannot be stored. Float32 is taken
    /// as Bit7.
    pub fn quantize<E: Send>(
        (rows, cols): (usize, usize),
        top: PrecisionLane,
        group: Group,
        row: impl Fn(usize) -> Result<Vec<f32>, E> + Sync + Send,
        refused: impl Fn(usize, RowError) -> E + Sync + Send,
    ) -> Result<Self, E> {
        let top = top.min(PrecisionLane::Bit7);
        let packed = for_each_row(rows, |r| {
            let weights = row(r)?;
            pack(&weights, top, group).map_err(|error| refused(r, error))
        })?;
        let lanes = lanes_of(top).len();
        let plane = |bytes: usize, part: &dyn Fn(&PackedRow) -> &[u8]| {
            let mut plane = vec![Line::ZERO; bytes.div_ceil(size_of::<Line>())];
            let to: &mut [u8] = bytemuck::cast_slice_mut(&mut plane);
            to.iter_mut().zip(packed.iter().flat_map(part)).for_each(|(to, from)| *to = *from);
            plane
        };
        let [high_bytes, digit_bytes] = plane_bytes(rows, cols, top);
        Ok(Self {
            rows,
            cols,
            group,
            top,
            high: plane(high_bytes, &|row| &row.high),
            digits: (0..lanes).map(|i| plane(digit_bytes, &|row| &row.digits[i])).collect(),
            group_scales: packed.iter().flat_map(|row| &row.group_scales).copied().collect(),
            row_scales: (0..lanes)
                .flat_map(|i| packed.iter().map(move |row| row.row_scales[i]))
                .collect(),
        })
    }

    /// The view that the kernels take.
    ///
    /// # Errors
    /// [`MatrixError::Size`] for no rows or no columns, or rows that are too long.
    pub fn matrix(&self) -> Result<DigitMatrix<'_>, MatrixError> {
        let scales: Vec<&[f32]> = self.row_scales.chunks(self.rows.max(1)).collect();
        let planes = if self.top == PrecisionLane::Ternary {
            DigitPlanes::Ternary { digits: self.digits(0), row_scales: &self.row_scales }
        } else {
            let stored = |tier: usize| (tier < self.digits.len()).then(|| self.digits(tier));
            DigitPlanes::Nested {
                high: self.high(),
                digits: [stored(0), stored(1), stored(2)],
                row_scales: [scales.first(), scales.get(1), scales.get(2)]
                    .map(Option::<&&_>::copied),
            }
        };
        DigitMatrix::new(self.rows, self.cols, self.group, &self.group_scales, planes)
    }

    /// Suffix and bytes of every part in a file, in the order they are declared.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, &[u8])> {
        let mut list = Vec::new();
        if self.top == PrecisionLane::Ternary {
            list.push((parts::TERNARY, self.digits(0)));
        } else {
            list.push((parts::HIGH, self.high()));
            let suffixes = parts::DIGITS.into_iter().enumerate().take(self.digits.len());
            list.extend(suffixes.map(|(tier, suffix)| (suffix, self.digits(tier))));
        }
        if !self.group_scales.is_empty() {
            list.push((parts::GROUP_SCALES, &self.group_scales));
        }
        list.push((parts::ROW_SCALES, bytemuck::cast_slice(&self.row_scales)));
        list
    }

    /// Bytes of all parts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parts().iter().map(|(_, bytes)| bytes.len()).sum()
    }

    fn high(&self) -> &[u8] {
        let [bytes, _] = plane_bytes(self.rows, self.cols, self.top);
        bytemuck::cast_slice(&self.high).get(..bytes).unwrap_or(&[])
    }

    fn digits(&self, tier: usize) -> &[u8] {
        let [_, bytes] = plane_bytes(self.rows, self.cols, self.top);
        let plane = self.digits.get(tier).map_or(&[][..], |plane| bytemuck::cast_slice(plane));
        plane.get(..bytes).unwrap_or(&[])
    }
}

/// Bytes of the high plane and of a digit plane.
fn plane_bytes(rows: usize, cols: usize, top: PrecisionLane) -> [usize; 2] {
    let units = rows * units(cols);
    [
        if top == PrecisionLane::Ternary { 0 } else { units * UNIT_HIGH_BYTES },
        units * UNIT_DIGIT_BYTES,
    ]
}

fn pack(weights: &[f32], top: PrecisionLane, group: Group) -> Result<PackedRow, RowError> {
    let units = units(weights.len());
    let mut codes = vec![0; weights.len()];
    let mut group_scales = vec![0; units * group.scales_per_unit()];
    let plane = || vec![0; units * UNIT_DIGIT_BYTES];
    if top == PrecisionLane::Ternary {
        let scale = quantize_ternary_row(weights, group, &mut codes, &mut group_scales)?;
        let mut digits = plane();
        pack_ternary_row(&codes, &mut digits)?;
        let (high, digits) = (Vec::new(), vec![digits]);
        return Ok(PackedRow { high, digits, group_scales, row_scales: vec![scale] });
    }
    let row_scales = quantize_nested_row(weights, None, group, &mut codes, &mut group_scales)?;
    let (mut high, mut digits) = (vec![0; units * UNIT_HIGH_BYTES], [plane(), plane(), plane()]);
    pack_nested_row(&codes, &mut high, digits.each_mut().map(|plane| &mut plane[..]))?;
    let lanes = lanes_of(top).len();
    let row_scales = row_scales[..lanes].to_vec();
    let digits = digits.into_iter().take(lanes).collect();
    Ok(PackedRow { high, digits, group_scales, row_scales })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use trilane_core::lane::{dequantize_row, fake_quantize_row};

    fn row(r: usize, cols: usize) -> Vec<f32> {
        (0..cols).map(|i| ((i * 37 + 11 * r) % 101) as f32 * 0.013 - 0.6).collect()
    }

    /// Training sees the weights that are stored.
    #[test]
    fn what_is_stored_reads_as_the_fake_quantised_row() {
        for (cols, group) in
            [(1, Group::Row), (64, Group::G32), (172, Group::G32), (300, Group::G64)]
        {
            for top in PrecisionLane::ALL.into_iter().filter(|&l| l != PrecisionLane::Float32) {
                let weights = |r| Ok::<_, (usize, RowError)>(row(r, cols));
                let packed =
                    PackedMatrix::quantize((3, cols), top, group, weights, |r, e| (r, e)).unwrap();
                assert_eq!(packed.matrix().unwrap().top_lane(), top);
                for &lane in lanes_of(top) {
                    let view = packed.matrix().unwrap().lane(lane).unwrap();
                    let (mut codes, mut scales) = (vec![0; cols], vec![9; units(cols) * 2]);
                    let scales = &mut scales[..units(cols) * group.scales_per_unit()];
                    for r in 0..3 {
                        let (mut expected, mut read) = (row(r, cols), vec![0.0; cols]);
                        fake_quantize_row(&mut expected, lane, group, &mut codes, scales).unwrap();
                        dequantize_row(&view, r, &mut read);
                        assert_eq!(read, expected, "{lane} {group:?} {cols}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_that_cannot_be_stored_is_named() {
        let weights =
            |r| Ok::<_, (usize, RowError)>(vec![1.0, if r == 2 { f32::NAN } else { 0.0 }]);
        let lane = PrecisionLane::Bit3;
        let refused = PackedMatrix::quantize((4, 2), lane, Group::Row, weights, |r, e| (r, e));
        let error = RowError::Quant(QuantError::NotFinite { index: 1 });
        assert_eq!(refused.map(|_| ()), Err((2, error)));
        let empty = PackedMatrix::quantize((0, 2), lane, Group::Row, weights, |r, e| (r, e));
        assert!(empty.unwrap().matrix().is_err());
    }
}
