//! A matrix in digit planes, multiplied without a model.

use crate::argument::{group, lane};
use crate::bytes::count;
use crate::failure::Failure;
use js_sys::{Float32Array, Uint8Array};
use self_cell::self_cell;
use trilane_core::digits::{DigitMatrix, DigitPlanes};
use trilane_core::kernel::{Backend, Baseline};
use trilane_core::quant::{ActivationsBuf, activation_lens};
use trilane_std::memory::filled;
use wasm_bindgen::prelude::wasm_bindgen;

/// The planes and scales of a matrix.
struct Parts {
    group_scales: Vec<u8>,
    /// The 1-bit plane; `None` for ternary weights.
    high: Option<Vec<u8>>,
    digits: [Option<Vec<u8>>; 3],
    row_scales: [Option<Vec<f32>>; 3],
}

self_cell!(
    struct Cell {
        owner: Parts,
        #[covariant]
        dependent: DigitMatrix,
    }
);

impl Parts {
    fn checked(self, rows: f64, cols: f64, group: u32) -> Result<Cell, Failure> {
        let (rows, cols) = (count("rows", rows)?, count("columns", cols)?);
        let group = self::group(group)?;
        Cell::try_new(self, |parts| {
            let digits = parts.digits.each_ref().map(Option::as_deref);
            let row_scales = parts.row_scales.each_ref().map(Option::as_deref);
            let planes = match &parts.high {
                Some(high) => DigitPlanes::Nested { high, digits, row_scales },
                None => DigitPlanes::Ternary {
                    digits: digits[0].unwrap_or_default(),
                    row_scales: row_scales[0].unwrap_or_default(),
                },
            };
            Ok(DigitMatrix::new(rows, cols, group, &parts.group_scales, planes)?)
        })
    }
}

fn bytes(array: &Uint8Array) -> Result<Vec<u8>, Failure> {
    let mut copy = filled("a plane", 0, array.length() as usize)?;
    array.copy_to(&mut copy);
    Ok(copy)
}

fn floats(array: &Float32Array) -> Result<Vec<f32>, Failure> {
    let mut copy = filled("row scales", 0.0, array.length() as usize)?;
    array.copy_to(&mut copy);
    Ok(copy)
}

/// A matrix, and the memory of a product with it.
#[wasm_bindgen]
pub struct Matrix {
    cell: Cell,
    x: Vec<f32>,
    y: Vec<f32>,
    q: Vec<i8>,
    multipliers: Vec<u32>,
    sums: Vec<i16>,
}

#[wasm_bindgen]
impl Matrix {
    /// A ternary matrix from copies of its parts.
    ///
    /// # Errors
    /// `shape`, `value`, `option`, `memory`.
    pub fn ternary(
        rows: f64,
        cols: f64,
        group: u32,
        group_scales: &Uint8Array,
        digits: &Uint8Array,
        row_scales: &Float32Array,
    ) -> Result<Self, Failure> {
        let parts = Parts {
            group_scales: bytes(group_scales)?,
            high: None,
            digits: [Some(bytes(digits)?), None, None],
            row_scales: [Some(floats(row_scales)?), None, None],
        };
        Self::of(parts.checked(rows, cols, group)?)
    }

    /// A nested matrix from copies of its parts; `digits` and `row_scales` have one element for
    /// each lane stored.
    ///
    /// # Errors
    /// `shape`, `value`, `lane`, `option`, `memory`.
    pub fn nested(
        rows: f64,
        cols: f64,
        group: u32,
        group_scales: &Uint8Array,
        high: &Uint8Array,
        digits: Vec<Uint8Array>,
        row_scales: Vec<Float32Array>,
    ) -> Result<Self, Failure> {
        let mut parts = Parts {
            group_scales: bytes(group_scales)?,
            high: Some(bytes(high)?),
            digits: [None, None, None],
            row_scales: [None, None, None],
        };
        for (plane, array) in parts.digits.iter_mut().zip(&digits) {
            *plane = Some(bytes(array)?);
        }
        for (scales, array) in parts.row_scales.iter_mut().zip(&row_scales) {
            *scales = Some(floats(array)?);
        }
        Self::of(parts.checked(rows, cols, group)?)
    }

    fn of(cell: Cell) -> Result<Self, Failure> {
        let (rows, cols) = (cell.borrow_dependent().rows(), cell.borrow_dependent().cols());
        let (q, multipliers, sums) = activation_lens(cols);
        Ok(Self {
            x: filled("a vector", 0.0, cols)?,
            y: filled("a vector", 0.0, rows)?,
            q: filled("activations", 0, q)?,
            multipliers: filled("activations", 0, multipliers)?,
            sums: filled("activations", 0, sums)?,
            cell,
        })
    }

    /// `y = W x` at a lane; x as int8 block floating point.
    ///
    /// # Errors
    /// `shape` when a vector has another length, `lane`, `value` for NaN or infinity.
    pub fn matvec(&mut self, x: &Float32Array, lane: u8, y: &Float32Array) -> Result<(), Failure> {
        for (name, array, len) in [("x", x, self.x.len()), ("y", y, self.y.len())] {
            if array.length() as usize != len {
                let found = array.length();
                let message = format!("{name}: expected {len} values, found {found}");
                return Err(Failure::new("shape", message));
            }
        }
        let view = self.cell.borrow_dependent().lane(self::lane(lane)?)?;
        x.copy_to(&mut self.x);
        let mut buf = ActivationsBuf::new(&mut self.q, &mut self.multipliers, &mut self.sums);
        let integers = Baseline.quantize(&self.x, &mut buf)?;
        Baseline.lane_matvec(&view, &integers, 0, &mut self.y);
        y.copy_from(&self.y);
        Ok(())
    }

    /// Bytes that a product reads at a lane.
    ///
    /// # Errors
    /// `lane`.
    pub fn bytes(&self, lane: u8) -> Result<f64, Failure> {
        Ok(self.cell.borrow_dependent().lane(self::lane(lane)?)?.bytes() as f64)
    }
}
