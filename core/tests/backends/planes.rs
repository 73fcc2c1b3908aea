//! Matrices in digit planes, and quantised vectors, that own their memory.

use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, pack_nested_row,
    pack_ternary_row, units,
};
use trilane_core::quant::{Activations, ActivationsBuf, activation_lens};

pub(crate) const GROUPS: [Group; 3] = [Group::Row, Group::G32, Group::G64];

/// Planes of one matrix, each starting `odd` bytes into its allocation.
#[derive(Clone)]
pub(crate) struct Planes {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) group: Group,
    pub(crate) ternary: bool,
    pub(crate) odd: usize,
    pub(crate) high: Vec<u8>,
    pub(crate) digits: [Vec<u8>; 3],
    pub(crate) group_scales: Vec<u8>,
    pub(crate) row_scales: [Vec<f32>; 3],
}

impl Planes {
    /// A matrix of the codes `code(row, column)`, all scales 1.
    pub(crate) fn new(
        ternary: bool,
        (rows, cols): (usize, usize),
        group: Group,
        odd: usize,
        mut code: impl FnMut(usize, usize) -> u8,
    ) -> Self {
        let n = units(cols);
        let plane = |per_unit: usize| vec![0; odd + rows * n * per_unit];
        let mut planes = Self {
            rows,
            cols,
            group,
            ternary,
            odd,
            high: plane(UNIT_HIGH_BYTES),
            digits: [(); 3].map(|()| plane(UNIT_DIGIT_BYTES)),
            group_scales: plane(group.scales_per_unit()),
            row_scales: [(); 3].map(|()| vec![1.0; rows]),
        };
        planes.group_scales[odd..].fill(1);
        let mut codes = vec![0; cols];
        for r in 0..rows {
            codes.iter_mut().enumerate().for_each(|(c, to)| *to = code(r, c));
            let at = |per_unit: usize| odd + r * n * per_unit..odd + (r + 1) * n * per_unit;
            let digits = planes.digits.each_mut().map(|plane| &mut plane[at(UNIT_DIGIT_BYTES)]);
            if ternary {
                let [plane, ..] = digits;
                pack_ternary_row(&codes, plane).unwrap();
            } else {
                pack_nested_row(&codes, &mut planes.high[at(UNIT_HIGH_BYTES)], digits).unwrap();
            }
        }
        planes
    }

    /// Row scales of the first nested lane, or of a ternary matrix, twice, thrice those of the next.
    pub(crate) fn with_row_scales(mut self, mut scale: impl FnMut(usize) -> f32) -> Self {
        for r in 0..self.rows {
            let scale = scale(r);
            for (factor, scales) in [1.0, 2.0, 3.0].into_iter().zip(&mut self.row_scales) {
                scales[r] = factor * scale;
            }
        }
        self
    }

    pub(crate) fn with_group_scales(mut self, mut scale: impl FnMut() -> u8) -> Self {
        self.group_scales[self.odd..].iter_mut().for_each(|to| *to = scale());
        self
    }

    pub(crate) fn matrix(&self) -> DigitMatrix<'_> {
        let row_scales = self.row_scales.each_ref();
        let digits = self.digits.each_ref().map(|plane| &plane[self.odd..]);
        let planes = if self.ternary {
            DigitPlanes::Ternary { digits: digits[0], row_scales: row_scales[0] }
        } else {
            DigitPlanes::Nested {
                high: &self.high[self.odd..],
                digits: digits.map(Some),
                row_scales: row_scales.map(|scales| Some(&scales[..])),
            }
        };
        let scales = &self.group_scales[self.odd..];
        DigitMatrix::new(self.rows, self.cols, self.group, scales, planes).unwrap()
    }
}

/// A vector and memory for its quantised form.
pub(crate) struct Vector {
    pub(crate) x: Vec<f32>,
    pub(crate) q: Vec<i8>,
    pub(crate) multipliers: Vec<u32>,
    pub(crate) sums: Vec<i16>,
}

impl Vector {
    pub(crate) fn new(x: Vec<f32>) -> Self {
        let (q, multipliers, sums) = activation_lens(x.len());
        // One more than needed, filled with what quantising has to overwrite.
        Self { x, q: vec![77; q + 1], multipliers: vec![77; multipliers], sums: vec![77; sums] }
    }

    /// Calls `each` with the vector quantised, the int8 values at an odd address.
    pub(crate) fn quantized<R>(&mut self, each: impl FnOnce(&Activations<'_>) -> R) -> R {
        let (m, s) = (&mut self.multipliers, &mut self.sums);
        let mut buf = ActivationsBuf::new(&mut self.q[1..], m, s);
        each(&buf.quantize(&self.x).unwrap())
    }
}
