//! Matrices in digit planes to test with.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use crate::{float, random};
use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, UNIT, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, pack_nested_row,
    pack_ternary_row, units,
};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::Linear;

/// A matrix in memory, of random codes and scales.
#[derive(Debug)]
pub struct Packed {
    rows: usize,
    cols: usize,
    group: Group,
    group_scales: Vec<u8>,
    high: Vec<u8>,
    digits: [Vec<u8>; 3],
    row_scales: [Vec<f32>; 3],
    ternary: bool,
}

impl Packed {
    /// Of all lanes, or of the ternary one alone.
    ///
    /// # Panics
    /// When the size is beyond what a matrix may have.
    pub fn new(rows: usize, cols: usize, group: Group, ternary: bool, seed: &mut u64) -> Self {
        let padded = units(cols) * UNIT;
        let mut high = vec![0; rows * units(cols) * UNIT_HIGH_BYTES];
        let plane = rows * units(cols) * UNIT_DIGIT_BYTES;
        let mut digits = [vec![0; plane], vec![0; plane], vec![0; plane]];
        for row in 0..rows {
            let codes: Vec<u8> =
                (0..cols).map(|_| (random(seed) % if ternary { 3 } else { 128 }) as u8).collect();
            let part = |plane: usize| row * plane..(row + 1) * plane;
            let digit = part(units(cols) * UNIT_DIGIT_BYTES);
            let [first, second, third] = &mut digits;
            if ternary {
                pack_ternary_row(&codes, &mut first[digit]).unwrap();
            } else {
                let high = &mut high[part(units(cols) * UNIT_HIGH_BYTES)];
                let tiers =
                    [&mut first[digit.clone()], &mut second[digit.clone()], &mut third[digit]];
                pack_nested_row(&codes, high, tiers).unwrap();
            }
        }
        let scales = rows * padded / UNIT * group.scales_per_unit();
        let mut row_scales = || (0..rows).map(|_| float(seed) * 0.1).collect();
        let row_scales = [row_scales(), row_scales(), row_scales()];
        let group_scales = (0..scales).map(|_| random(seed) as u8).collect();
        Self { rows, cols, group, group_scales, high, digits, row_scales, ternary }
    }

    /// As a layer.
    ///
    /// # Panics
    /// Never.
    pub fn linear(&self) -> Linear<'_> {
        let floor = if self.ternary { PrecisionLane::Ternary } else { PrecisionLane::Bit3 };
        Linear::Digits { matrix: self.matrix(), floor }
    }

    /// The planes.
    ///
    /// # Panics
    /// Never.
    pub fn matrix(&self) -> DigitMatrix<'_> {
        let [first, second, third] = &self.digits;
        let [low, middle, top] = &self.row_scales;
        let planes = if self.ternary {
            DigitPlanes::Ternary { digits: first, row_scales: low }
        } else {
            DigitPlanes::Nested {
                high: &self.high,
                digits: [Some(first), Some(second), Some(third)],
                row_scales: [Some(low), Some(middle), Some(top)],
            }
        };
        let (rows, cols) = (self.rows, self.cols);
        DigitMatrix::new(rows, cols, self.group, &self.group_scales, planes).unwrap()
    }
}
