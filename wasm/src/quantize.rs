//! Float rows into digit planes.

use crate::argument::group;
use crate::bytes::count;
use crate::failure::Failure;
use js_sys::{Array, Float32Array, Uint8Array};
use trilane_core::digits::{
    Group, MAX_COLS, MatrixError, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, pack_nested_row,
    pack_ternary_row, units,
};
use trilane_core::lane::quantize_nested_row;
use trilane_core::quant::quantize_ternary_row;
use trilane_std::memory::filled;
use wasm_bindgen::prelude::wasm_bindgen;

/// The shape of a matrix to quantise, checked against its weights, and memory for one row.
struct Rows {
    rows: usize,
    units: usize,
    group: Group,
    row: Vec<f32>,
    codes: Vec<u8>,
}

impl Rows {
    fn new(weights: &Float32Array, rows: f64, cols: f64, group: u32) -> Result<Self, Failure> {
        let group = self::group(group)?;
        let (rows, cols) = (count("rows", rows)?, count("columns", cols)?);
        if rows == 0 || cols == 0 || cols > MAX_COLS {
            return Err(MatrixError::Size { rows, cols }.into());
        }
        let found = weights.length() as usize;
        if rows.checked_mul(cols) != Some(found) {
            let message = format!("weights: expected {rows}×{cols} values, found {found}");
            return Err(Failure::new("shape", message));
        }
        let (row, codes) = (filled("a row", 0.0, cols)?, filled("a row", 0, cols)?);
        Ok(Self { rows, units: units(cols), group, row, codes })
    }

    /// Reads row `r`.
    fn read(&mut self, weights: &Float32Array, r: usize) {
        let cols = self.row.len();
        weights.subarray((r * cols) as u32, ((r + 1) * cols) as u32).copy_to(&mut self.row);
    }

    /// A plane of all rows.
    fn plane(&self, unit_bytes: usize) -> Result<Vec<u8>, Failure> {
        let len = self.rows.saturating_mul(self.units).saturating_mul(unit_bytes);
        Ok(filled("a plane", 0, len)?)
    }
}

/// Row `r` of a plane.
fn row_of(plane: &mut [u8], r: usize, len: usize) -> &mut [u8] {
    plane.get_mut(r * len..(r + 1) * len).unwrap_or_default()
}

/// Group scales, digits and row scales of a ternary matrix.
///
/// # Errors
/// `shape`, `value`, `option`, `memory`.
#[wasm_bindgen(js_name = quantizeTernary)]
pub fn quantize_ternary(
    weights: &Float32Array,
    rows: f64,
    cols: f64,
    group: u32,
) -> Result<Array, Failure> {
    let mut rows = Rows::new(weights, rows, cols, group)?;
    let scales_len = rows.units * rows.group.scales_per_unit();
    let mut group_scales = rows.plane(rows.group.scales_per_unit())?;
    let mut digits = rows.plane(UNIT_DIGIT_BYTES)?;
    let mut row_scales = filled("row scales", 0.0, rows.rows)?;
    for (r, row_scale) in row_scales.iter_mut().enumerate() {
        rows.read(weights, r);
        let scales = row_of(&mut group_scales, r, scales_len);
        *row_scale = quantize_ternary_row(&rows.row, rows.group, &mut rows.codes, scales)?;
        let len = rows.units * UNIT_DIGIT_BYTES;
        pack_ternary_row(&rows.codes, row_of(&mut digits, r, len))?;
    }
    Ok(Array::of3(
        &Uint8Array::from(&group_scales[..]),
        &Uint8Array::from(&digits[..]),
        &Float32Array::from(&row_scales[..]),
    ))
}

/// Group scales, the high plane, three digit planes and the row scales of three lanes of a nested
/// matrix.
///
/// # Errors
/// `shape`, `value`, `option`, `memory`.
#[wasm_bindgen(js_name = quantizeNested)]
pub fn quantize_nested(
    weights: &Float32Array,
    rows: f64,
    cols: f64,
    group: u32,
) -> Result<Array, Failure> {
    let mut rows = Rows::new(weights, rows, cols, group)?;
    let scales_len = rows.units * rows.group.scales_per_unit();
    let mut group_scales = rows.plane(rows.group.scales_per_unit())?;
    let mut high = rows.plane(UNIT_HIGH_BYTES)?;
    let plane = || rows.plane(UNIT_DIGIT_BYTES);
    let mut digits = [plane()?, plane()?, plane()?];
    let scales = || filled("row scales", 0.0, rows.rows);
    let mut row_scales = [scales()?, scales()?, scales()?];
    for r in 0..rows.rows {
        rows.read(weights, r);
        let scales = row_of(&mut group_scales, r, scales_len);
        let (group, codes) = (rows.group, &mut rows.codes);
        let fitted = quantize_nested_row(&rows.row, None, group, codes, scales)?;
        for (all, scale) in row_scales.iter_mut().zip(fitted) {
            if let Some(place) = all.get_mut(r) {
                *place = scale;
            }
        }
        let high = row_of(&mut high, r, rows.units * UNIT_HIGH_BYTES);
        let digits = digits.each_mut().map(|plane| row_of(plane, r, rows.units * UNIT_DIGIT_BYTES));
        pack_nested_row(&rows.codes, high, digits)?;
    }
    let parts = Array::of2(&Uint8Array::from(&group_scales[..]), &Uint8Array::from(&high[..]));
    for plane in &digits {
        parts.push(&Uint8Array::from(&plane[..]));
    }
    for scales in &row_scales {
        parts.push(&Float32Array::from(&scales[..]));
    }
    Ok(parts)
}
