//! Matrices and integer vectors in memory of fixed size.

use crate::random::Random;
use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, MatrixError, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES,
    pack_nested_row, pack_ternary_row, units,
};
use trilane_core::kernel::Backend;
use trilane_core::quant::{Activations, ActivationsBuf, QuantError};

/// Rows of the largest matrix: some past a strip of any kernel.
pub(crate) const MOST_ROWS: usize = 37;
/// Columns of the largest matrix: four whole blocks and three units of a fifth.
pub(crate) const MOST_COLS: usize = 1200;
const UNITS: usize = MOST_ROWS * units(MOST_COLS);

/// Planes of one matrix.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Planes {
    digits: [[u8; UNITS * UNIT_DIGIT_BYTES]; 3],
    high: [u8; UNITS * UNIT_HIGH_BYTES],
    group_scales: [u8; 2 * UNITS],
    row_scales: [[f32; MOST_ROWS]; 3],
}

impl Planes {
    pub(crate) const EMPTY: Self = Self {
        digits: [[0; UNITS * UNIT_DIGIT_BYTES]; 3],
        high: [0; UNITS * UNIT_HIGH_BYTES],
        group_scales: [0; 2 * UNITS],
        row_scales: [[0.0; MOST_ROWS]; 3],
    };

    /// A matrix of the codes `code(row, column)` and random scales, or scales of 255 where no
    /// generator is given.
    pub(crate) fn matrix(
        &mut self,
        ternary: bool,
        (rows, cols): (usize, usize),
        group: Group,
        mut scales: Option<&mut Random>,
        mut code: impl FnMut(usize, usize) -> u8,
    ) -> Result<DigitMatrix<'_>, MatrixError> {
        let n = units(cols);
        let mut codes = [0; MOST_COLS];
        for r in 0..rows {
            let codes = codes.get_mut(..cols).unwrap_or(&mut []);
            codes.iter_mut().enumerate().for_each(|(c, to)| *to = code(r, c));
            let [a, b, c] = self.digits.each_mut().map(|plane| row(plane, r, n * UNIT_DIGIT_BYTES));
            let packed = if ternary {
                pack_ternary_row(codes, a)
            } else {
                pack_nested_row(codes, row(&mut self.high, r, n * UNIT_HIGH_BYTES), [a, b, c])
            };
            debug_assert!(packed.is_ok(), "codes and planes fit");
        }
        let scale = |random: &mut Option<&mut Random>| {
            random.as_mut().map_or(255, |random| random.below(256) as u8)
        };
        self.group_scales.iter_mut().for_each(|to| *to = scale(&mut scales));
        for to in self.row_scales.as_flattened_mut() {
            *to = scales.as_mut().map_or(0.7, |random| random.signed());
        }
        let [first, second, third] = &self.digits;
        let digits = [first, second, third].map(|plane| part(plane, rows * n * UNIT_DIGIT_BYTES));
        let row_scales = self.row_scales.each_ref().map(|scales| part(scales, rows));
        let planes = if ternary {
            DigitPlanes::Ternary { digits: digits[0], row_scales: row_scales[0] }
        } else {
            DigitPlanes::Nested {
                high: part(&self.high, rows * n * UNIT_HIGH_BYTES),
                digits: digits.map(Some),
                row_scales: row_scales.map(Some),
            }
        };
        let scales = part(&self.group_scales, rows * n * group.scales_per_unit());
        DigitMatrix::new(rows, cols, group, scales, planes)
    }
}

/// The first elements.
pub(crate) fn part<T>(all: &[T], len: usize) -> &[T] {
    all.get(..len).unwrap_or(&[])
}

fn row(plane: &mut [u8], r: usize, len: usize) -> &mut [u8] {
    plane.get_mut(r * len..(r + 1) * len).unwrap_or(&mut [])
}

/// Memory of quantised activations.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Integers {
    q: [i8; 5 * 256],
    multipliers: [u32; 5 * 4],
    sums: [i16; 5 * 8],
}

impl Integers {
    pub(crate) const EMPTY: Self =
        Self { q: [0; 5 * 256], multipliers: [0; 5 * 4], sums: [0; 5 * 8] };

    pub(crate) fn buf(&mut self) -> ActivationsBuf<'_> {
        ActivationsBuf::new(&mut self.q, &mut self.multipliers, &mut self.sums)
    }

    /// Quantises `x` and hands it to `each`.
    pub(crate) fn quantized<R>(
        &mut self,
        backend: impl Backend,
        x: &[f32],
        each: impl FnOnce(&Activations<'_>) -> R,
    ) -> Result<R, QuantError> {
        let mut buf = self.buf();
        backend.quantize(x, &mut buf).map(|x| each(&x))
    }
}
