//! One matrix into digit planes.

use super::source::SourceTensor;
use super::{ConvertError, LaneReport, parts};
use crate::rows::for_each_row;
use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, pack_nested_row,
    pack_ternary_row, units,
};
use trilane_core::gguf::blocks::Stored;
use trilane_core::lane::{PrecisionLane, dequantize_row, quantize_nested_row};
use trilane_core::quant::quantize_ternary_row;

/// The parts of a matrix, as they are stored, and what the lanes cost and lose.
pub(super) struct PackedMatrix {
    top: PrecisionLane,
    high: Vec<u8>,
    digits: [Vec<u8>; 3],
    group_scales: Vec<u8>,
    /// Lane by lane, lowest first.
    row_scales: Vec<f32>,
    pub(super) lanes: Vec<LaneReport>,
}

impl PackedMatrix {
    /// Suffix and bytes of every part, in the order they are declared.
    pub(super) fn parts(&self) -> Vec<(&'static str, &[u8])> {
        let mut list = Vec::new();
        match self.top.tiers() {
            None => list.push((parts::TERNARY, &self.digits[0][..])),
            Some(tiers) => {
                list.push((parts::HIGH, &self.high[..]));
                let planes = parts::DIGITS.into_iter().zip(&self.digits).take(tiers);
                list.extend(planes.map(|(suffix, plane)| (suffix, &plane[..])));
            }
        }
        if !self.group_scales.is_empty() {
            list.push((parts::GROUP_SCALES, &self.group_scales));
        }
        list.push((parts::ROW_SCALES, bytemuck::cast_slice(&self.row_scales)));
        list
    }
}

/// One row, quantised and packed.
#[derive(Default)]
struct PackedRow {
    high: Vec<u8>,
    digits: [Vec<u8>; 3],
    group_scales: Vec<u8>,
    row_scales: Vec<f32>,
    /// Σ(w − w')² for each lane, and Σw².
    squared_errors: Vec<f64>,
    square: f64,
}

/// Quantises and packs a tensor up to lane `top`.
pub(super) fn pack(
    tensor: &SourceTensor<'_>,
    top: PrecisionLane,
    group: Group,
) -> Result<PackedMatrix, ConvertError> {
    let (rows, cols) = (tensor.rows(), tensor.cols());
    let unsupported =
        || ConvertError::Unsupported { tensor: tensor.name.clone(), kind: tensor.kind };
    let stored = Stored::new(tensor.kind, &tensor.data).map_err(|_| unsupported())?;
    let packed = for_each_row(rows, |row| {
        let mut weights = vec![0.0; cols];
        stored.expand(row * cols, &mut weights).map_err(|_| unsupported())?;
        pack_row(&weights, top, group).map_err(|error| ConvertError::Quant {
            tensor: tensor.name.clone(),
            row,
            error,
        })
    })?;
    let lanes = lanes_of(top);
    let mut all = PackedMatrix {
        top,
        high: Vec::new(),
        digits: Default::default(),
        group_scales: Vec::new(),
        row_scales: Vec::new(),
        lanes: Vec::new(),
    };
    let mut squared_errors = vec![0.0; lanes.len()];
    let mut square = 0.0;
    for row in &packed {
        all.high.extend(&row.high);
        for (all, row) in all.digits.iter_mut().zip(&row.digits) {
            all.extend(row);
        }
        all.group_scales.extend(&row.group_scales);
        square += row.square;
        squared_errors.iter_mut().zip(&row.squared_errors).for_each(|(all, e)| *all += e);
    }
    let unit_bytes = |tiers: usize| match top {
        PrecisionLane::Ternary => UNIT_DIGIT_BYTES,
        _ => UNIT_HIGH_BYTES + tiers * UNIT_DIGIT_BYTES,
    };
    for (i, &lane) in lanes.iter().enumerate() {
        all.row_scales.extend(packed.iter().map(|row| row.row_scales[i]));
        let unit = unit_bytes(lane.tiers().unwrap_or(1)) + group.scales_per_unit();
        let error: f64 = squared_errors[i];
        all.lanes.push(LaneReport {
            lane,
            bytes: rows * (units(cols) * unit + 4),
            relative_error: if square > 0.0 { libm::sqrt(error / square) } else { 0.0 },
        });
    }
    Ok(all)
}

/// The lanes that are stored up to `top`, lowest first.
fn lanes_of(top: PrecisionLane) -> &'static [PrecisionLane] {
    match top.tiers() {
        None => &[PrecisionLane::Ternary],
        Some(tiers) => &PrecisionLane::NESTED[..tiers],
    }
}

fn pack_row(
    weights: &[f32],
    top: PrecisionLane,
    group: Group,
) -> Result<PackedRow, trilane_core::quant::QuantError> {
    let cols = weights.len();
    let units = units(cols);
    let lanes = lanes_of(top);
    let mut codes = vec![0; cols];
    let mut row = PackedRow {
        group_scales: vec![0; units * group.scales_per_unit()],
        square: weights.iter().map(|&w| f64::from(w) * f64::from(w)).sum(),
        ..Default::default()
    };
    let plane = || vec![0; units * UNIT_DIGIT_BYTES];
    if top == PrecisionLane::Ternary {
        row.digits[0] = plane();
        let scale = quantize_ternary_row(weights, group, &mut codes, &mut row.group_scales)?;
        row.row_scales = vec![scale];
        // The lengths are right by construction, and the quantiser keeps to its codes.
        let packed = pack_ternary_row(&codes, &mut row.digits[0]);
        debug_assert_eq!(packed, Ok(()));
    } else {
        row.high = vec![0; units * UNIT_HIGH_BYTES];
        let mut digits = [plane(), plane(), plane()];
        let scales = quantize_nested_row(weights, None, group, &mut codes, &mut row.group_scales)?;
        row.row_scales = scales[..lanes.len()].to_vec();
        let packed = pack_nested_row(&codes, &mut row.high, digits.each_mut().map(|d| &mut d[..]));
        debug_assert_eq!(packed, Ok(()));
        for (to, from) in row.digits.iter_mut().zip(digits).take(lanes.len()) {
            *to = from;
        }
    }
    row.squared_errors =
        lanes.iter().map(|&lane| squared_error(&row, lane, top, group, weights)).collect();
    Ok(row)
}

/// Σ(w − w')² of a packed row, as the lane reads it.
fn squared_error(
    row: &PackedRow,
    lane: PrecisionLane,
    top: PrecisionLane,
    group: Group,
    weights: &[f32],
) -> f64 {
    let mut read = vec![0.0; weights.len()];
    let scale = |i: usize| row.row_scales.get(i..i + 1);
    let planes = if top == PrecisionLane::Ternary {
        DigitPlanes::Ternary { digits: &row.digits[0], row_scales: &row.row_scales }
    } else {
        let plane = |i: usize| scale(i).map(|_| &row.digits[i][..]);
        DigitPlanes::Nested {
            high: &row.high,
            digits: [plane(0), plane(1), plane(2)],
            row_scales: [scale(0), scale(1), scale(2)],
        }
    };
    let view = DigitMatrix::new(1, weights.len(), group, &row.group_scales, planes)
        .and_then(|matrix| matrix.lane(lane));
    debug_assert!(view.is_ok());
    if let Ok(view) = view {
        dequantize_row(&view, 0, &mut read);
    }
    weights
        .iter()
        .zip(read)
        .map(|(&w, r)| (f64::from(w) - f64::from(r)) * (f64::from(w) - f64::from(r)))
        .sum()
}
