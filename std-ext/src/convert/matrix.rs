//! One matrix into digit planes.

use super::source::SourceTensor;
use super::{ConvertError, LaneReport};
use crate::packed_matrix::{PackedMatrix, RowError, lanes_of};
use crate::rows::for_each_row;
use trilane_core::digits::{Group, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use trilane_core::gguf::blocks::Stored;
use trilane_core::lane::{PrecisionLane, dequantize_row};

/// Quantises and packs a tensor up to lane `top`; says what its lanes cost and lose.
pub(super) fn pack(
    tensor: &SourceTensor<'_>,
    top: PrecisionLane,
    group: Group,
) -> Result<(PackedMatrix, Vec<LaneReport>), ConvertError> {
    let (rows, cols) = (tensor.rows(), tensor.cols());
    let unsupported =
        || ConvertError::Unsupported { tensor: tensor.name.clone(), kind: tensor.kind };
    let stored = Stored::new(tensor.kind, &tensor.data).map_err(|_| unsupported())?;
    let weights = |row| {
        let mut weights = vec![0.0; cols];
        stored.expand(row * cols, &mut weights).map_err(|_| unsupported())?;
        Ok(weights)
    };
    let refused =
        |row, error: RowError| ConvertError::Quant { tensor: tensor.name.clone(), row, error };
    let packed = PackedMatrix::quantize((rows, cols), top, group, weights, refused)?;
    let lanes = lanes_of(top);
    // Of each row, Σ(w − w')² for each lane, and Σw².
    let matrix = packed.matrix().map_err(|_| unsupported())?;
    let views: Vec<_> = lanes
        .iter()
        .map(|&lane| matrix.lane(lane))
        .collect::<Result<_, _>>()
        .map_err(|_| unsupported())?;
    let squares = for_each_row(rows, |row| {
        let weights = weights(row)?;
        let mut read = vec![0.0; cols];
        let mut squares = Vec::with_capacity(lanes.len() + 1);
        for view in &views {
            dequantize_row(view, row, &mut read);
            let differences = weights.iter().zip(&read).map(|(&w, &r)| f64::from(w) - f64::from(r));
            squares.push(differences.map(|d| d * d).sum::<f64>());
        }
        squares.push(weights.iter().map(|&w| f64::from(w) * f64::from(w)).sum());
        Ok::<_, ConvertError>(squares)
    })?;
    let total = |i: usize| squares.iter().map(|row: &Vec<f64>| row[i]).sum::<f64>();
    let square = total(lanes.len());
    let unit_bytes = |tiers: usize| match top {
        PrecisionLane::Ternary => UNIT_DIGIT_BYTES,
        _ => UNIT_HIGH_BYTES + tiers * UNIT_DIGIT_BYTES,
    };
    let reports = lanes.iter().enumerate().map(|(i, &lane)| LaneReport {
        lane,
        bytes: rows
            * (units(cols) * (unit_bytes(lane.tiers().unwrap_or(1)) + group.scales_per_unit()) + 4),
        relative_error: if square > 0.0 { libm::sqrt(total(i) / square) } else { 0.0 },
    });
    let reports = reports.collect();
    drop(views);
    Ok((packed, reports))
}
