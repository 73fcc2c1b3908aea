//! A matrix in digit planes that owns its memory.

use super::EngineError;
use crate::rows::for_each_row;
use self_cell::self_cell;
use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, pack_nested_row, units,
};
use trilane_core::lane::quantize_nested_row;
use trilane_core::model::Line;

/// The groups of every matrix of an engine.
const GROUP: Group = Group::G64;

/// The parts of a matrix; planes begin at a cache line.
struct Planes {
    rows: usize,
    cols: usize,
    high: Vec<Line>,
    digits: [Vec<Line>; 3],
    group_scales: Vec<u8>,
    row_scales: [Vec<f32>; 3],
}

self_cell!(
    struct Checked {
        owner: Planes,
        #[covariant]
        dependent: DigitMatrix,
    }
);

/// A nested matrix, checked once.
pub(super) struct Matrix(Checked);

/// One row, quantised and packed.
struct PackedRow {
    high: Vec<u8>,
    digits: [Vec<u8>; 3],
    group_scales: Vec<u8>,
    row_scales: [f32; 3],
}

impl Matrix {
    /// Quantises rows × cols weights, given by row.
    pub(super) fn quantized(
        rows: usize,
        cols: usize,
        row: impl Fn(usize) -> Vec<f32> + Sync + Send,
    ) -> Result<Self, EngineError> {
        let packed = for_each_row(rows, |r| pack(&row(r)))?;
        let all_units = rows * units(cols);
        let plane = |bytes: usize| vec![Line::ZERO; bytes.div_ceil(size_of::<Line>())];
        let digits = || plane(all_units * UNIT_DIGIT_BYTES);
        let mut planes = Planes {
            rows,
            cols,
            high: plane(all_units * UNIT_HIGH_BYTES),
            digits: [digits(), digits(), digits()],
            group_scales: Vec::with_capacity(all_units * GROUP.scales_per_unit()),
            row_scales: Default::default(),
        };
        let fill = |plane: &mut [Line], part: &dyn Fn(&PackedRow) -> &[u8]| {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(plane);
            let all = packed.iter().flat_map(part);
            bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        };
        fill(&mut planes.high, &|row| &row.high);
        for (tier, plane) in planes.digits.iter_mut().enumerate() {
            fill(plane, &|row| &row.digits[tier]);
        }
        for row in &packed {
            planes.group_scales.extend(&row.group_scales);
            let scales = planes.row_scales.iter_mut().zip(row.row_scales);
            scales.for_each(|(all, scale)| all.push(scale));
        }
        Ok(Self(Checked::try_new(planes, |planes| planes.matrix())?))
    }

    /// The view that the kernels take.
    pub(super) fn get(&self) -> DigitMatrix<'_> {
        *self.0.borrow_dependent()
    }
}

impl Planes {
    fn matrix(&self) -> Result<DigitMatrix<'_>, EngineError> {
        let all_units = self.rows * units(self.cols);
        // The planes were made as long as that, in whole lines.
        fn part(plane: &[Line], bytes: usize) -> Option<&[u8]> {
            bytemuck::cast_slice(plane).get(..bytes)
        }
        let digits = |plane| part(plane, all_units * UNIT_DIGIT_BYTES);
        let planes = DigitPlanes::Nested {
            high: part(&self.high, all_units * UNIT_HIGH_BYTES).unwrap_or(&[]),
            digits: self.digits.each_ref().map(|plane| digits(plane)),
            row_scales: self.row_scales.each_ref().map(|scales| Some(&scales[..])),
        };
        Ok(DigitMatrix::new(self.rows, self.cols, GROUP, &self.group_scales, planes)?)
    }
}

fn pack(weights: &[f32]) -> Result<PackedRow, EngineError> {
    let units = units(weights.len());
    let mut codes = vec![0; weights.len()];
    let mut group_scales = vec![0; units * GROUP.scales_per_unit()];
    let row_scales = quantize_nested_row(weights, None, GROUP, &mut codes, &mut group_scales)?;
    let plane = || vec![0; units * UNIT_DIGIT_BYTES];
    let (mut high, mut digits) = (vec![0; units * UNIT_HIGH_BYTES], [plane(), plane(), plane()]);
    pack_nested_row(&codes, &mut high, digits.each_mut().map(|plane| &mut plane[..]))?;
    Ok(PackedRow { high, digits, group_scales, row_scales })
}
