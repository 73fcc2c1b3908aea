//! The nested quantiser: one set of codes, three lanes.

use super::PrecisionLane;
use crate::digits::{Group, LaneView, units};
use crate::quant::{QuantError, quantize_ternary_row};

/// The code that a lane reads where Bit7 has `code`.
const fn truncated(lane: PrecisionLane, code: u8) -> u8 {
    match lane {
        PrecisionLane::Bit3 => code >> 4,
        PrecisionLane::Bit5 => code >> 2,
        _ => code,
    }
}

/// Bit7 steps between zero and the largest magnitude of a group.
const LARGEST: f32 = 63.5;

/// Quantises one row to nested codes (0..=127) and its group scales; returns the row scales of
/// Bit3, Bit5 and Bit7.
///
/// A group's step is `max|w| / 63.5`, rounded to a u8 multiple of the row's largest step / 255
/// (at least 1); codes are `clamp(round(w / step), −64, 63) + 64`. Each lane's row scale is then
/// the least-squares fit `Σ p·w·v / Σ p·v²`, with `v` the weights at that lane in half steps and
/// `p` the importance of each column (1 when none is given), so that truncated lanes are not
/// biased by the digits they lack.
///
/// Shapes: `w` and `codes` cols, `importance` cols when given, `group_scales` units(cols) ·
/// `group.scales_per_unit()`; with [`Group::Row`] the row is one group. Ordered: sums in f64, in
/// order.
///
/// # Errors
/// [`QuantError::Length`] when a length is wrong, [`QuantError::NotFinite`] for NaN or infinity
/// among the importances or the weights.
pub fn quantize_nested_row(
    w: &[f32],
    importance: Option<&[f32]>,
    group: Group,
    codes: &mut [u8],
    group_scales: &mut [u8],
) -> Result<[f32; 3], QuantError> {
    let check = |expected, actual| {
        if expected == actual { Ok(()) } else { Err(QuantError::Length { expected, actual }) }
    };
    check(w.len(), codes.len())?;
    check(w.len(), importance.map_or(w.len(), <[f32]>::len))?;
    check(units(w.len()) * group.scales_per_unit(), group_scales.len())?;
    crate::quant::max_magnitude(importance.unwrap_or(&[]))?;
    let row_step = crate::quant::max_magnitude(w)? / LARGEST;
    let weights = group.weights().unwrap_or(w.len().max(1));
    // The padding's groups keep scale 1, which multiplies zeros.
    group_scales.fill(1);
    let unit = if group == Group::Row { row_step } else { row_step / 255.0 };
    for (g, (w, codes)) in w.chunks(weights).zip(codes.chunks_mut(weights)).enumerate() {
        let mut step = unit;
        if let Some(scale) = group_scales.get_mut(g) {
            let largest = w.iter().fold(0.0f32, |max, v| max.max(v.abs()));
            if unit > 0.0 {
                *scale = libm::roundf(largest / LARGEST / unit).clamp(1.0, 255.0) as u8;
            }
            step = unit * f32::from(*scale);
        }
        for (code, w) in codes.iter_mut().zip(w) {
            let steps = if step > 0.0 { libm::roundf(w / step).clamp(-64.0, 63.0) } else { 0.0 };
            *code = (steps + 64.0) as u8;
        }
    }
    Ok(PrecisionLane::NESTED.map(|lane| {
        let (mut product, mut square) = (0.0f64, 0.0f64);
        for (i, (&w, &code)) in w.iter().zip(codes.iter()).enumerate() {
            let scale = group_scales.get(i / weights).copied().unwrap_or(1);
            let p = importance.and_then(|p| p.get(i)).copied().unwrap_or(1.0);
            let value = lane.step() * i32::from(truncated(lane, code)) - lane.zero();
            let v = f64::from(value * i32::from(scale));
            product += f64::from(p) * f64::from(w) * v;
            square += f64::from(p) * v * v;
        }
        if square > 0.0 { (product / square) as f32 } else { 0.0 }
    }))
}

/// Replaces a row by the weights that `lane` reads of it once it is stored: quantised and read back,
/// without packing ("fake quantisation"). Float leaves the row as it is.
///
/// `w[i] ← row_scale · (group_scale · value(code[i]))`, the product in brackets an exact integer, as
/// [`dequantize_row`] of the packed row. Training sees these weights in its forward pass, so that what
/// is exported computes what was trained.
///
/// Shapes: `w` and `codes` cols, `group_scales` units(cols) · `group.scales_per_unit()`. Ordered.
///
/// # Errors
/// Those of [`quantize_nested_row`] and [`quantize_ternary_row`].
///
/// ```
/// use trilane_core::{digits::Group, lane::{PrecisionLane, fake_quantize_row}};
/// let mut row = [0.9, -1.1, 0.1, 0.0];
/// fake_quantize_row(&mut row, PrecisionLane::Ternary, Group::Row, &mut [0; 4], &mut [])?;
/// assert_eq!(row, [1.0, -1.0, 0.0, 0.0]);
/// # Ok::<(), trilane_core::quant::QuantError>(())
/// ```
pub fn fake_quantize_row(
    w: &mut [f32],
    lane: PrecisionLane,
    group: Group,
    codes: &mut [u8],
    group_scales: &mut [u8],
) -> Result<(), QuantError> {
    let scale = match lane {
        PrecisionLane::Float32 => return Ok(()),
        PrecisionLane::Ternary => quantize_ternary_row(w, group, codes, group_scales)?,
        PrecisionLane::Bit3 | PrecisionLane::Bit5 | PrecisionLane::Bit7 => {
            let scales = quantize_nested_row(w, None, group, codes, group_scales)?;
            lane.tiers().and_then(|tiers| scales.get(tiers - 1)).copied().unwrap_or(0.0)
        }
    };
    let weights = group.weights().unwrap_or(w.len().max(1));
    for (g, (w, codes)) in w.chunks_mut(weights).zip(codes.chunks(weights)).enumerate() {
        let group_scale = group_scales.get(g).map_or(1, |&scale| i32::from(scale));
        for (w, &code) in w.iter_mut().zip(codes) {
            let value = lane.step() * i32::from(truncated(lane, code)) - lane.zero();
            *w = scale * (value * group_scale) as f32;
        }
    }
    Ok(())
}

/// Row `row` of a view as floats: `row_scale · (group_scale · value)`, the product in brackets an
/// exact integer. Fills as many weights as `y` has room for. Ordered.
pub fn dequantize_row(w: &LaneView<'_>, row: usize, y: &mut [f32]) {
    let (planes, scale) = (w.row(row), w.row_scale(row));
    for (i, y) in y.iter_mut().enumerate() {
        let value = w.value(planes.code(i)) * i32::from(planes.group_scale(i));
        *y = scale * value as f32;
    }
}
