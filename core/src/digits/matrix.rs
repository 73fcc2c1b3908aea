//! Views of matrices stored by digit planes.

use super::pack::{NESTED_ROTATION, NESTED_ZERO, TERNARY_ROTATION, TERNARY_ZERO};
use super::pack::{digit_shift, high_bit};
use super::{Group, MAX_COLS, UNIT, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use crate::lane::PrecisionLane;
use core::fmt;

/// What can be wrong with the planes of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatrixError {
    /// The matrix has no rows or no columns, or more than [`MAX_COLS`] of them, or its size does not
    /// fit the address space.
    Size {
        /// Rows given.
        rows: usize,
        /// Columns given.
        cols: usize,
    },
    /// A plane or scale array has another length than the shape asks for.
    Length {
        /// Which one.
        part: Part,
        /// Elements needed.
        expected: usize,
        /// Elements found.
        actual: usize,
    },
    /// A ternary plane holds the code 3.
    TernaryCode {
        /// Byte of the plane.
        offset: usize,
    },
    /// A padding weight is not the code of zero.
    Padding {
        /// Row of the weight.
        row: usize,
        /// Position in the padded row.
        index: usize,
    },
    /// A row scale is NaN or infinite.
    Scale {
        /// Lane of the scale.
        lane: PrecisionLane,
        /// Row of the scale.
        row: usize,
    },
    /// The tensor does not hold the tiers that the lane reads.
    Lane {
        /// The lane asked for.
        lane: PrecisionLane,
    },
    /// A lane does not go on from another: they are not nested lanes, the lower one first.
    Refinement {
        /// The lane to go on from.
        from: PrecisionLane,
        /// The lane asked for.
        to: PrecisionLane,
    },
}

/// A part of a stored matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The 1-bit plane.
    High,
    /// The digit plane of that tier.
    Digit(usize),
    /// The u8 group scales.
    GroupScales,
    /// The f32 row scales.
    RowScales,
}

impl fmt::Display for MatrixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Size { rows, cols } => write!(f, "a matrix of {rows}×{cols} cannot be stored"),
            Self::Length { part, expected, actual } => {
                write!(f, "{part:?}: expected {expected} elements, found {actual}")
            }
            Self::TernaryCode { offset } => {
                write!(f, "ternary plane: byte {offset} holds the code 3")
            }
            Self::Padding { row, index } => {
                write!(f, "row {row}: padding weight {index} is not the code of zero")
            }
            Self::Scale { lane, row } => {
                write!(f, "row {row}: the scale of lane {lane} is not finite")
            }
            Self::Lane { lane } => write!(f, "the tensor does not hold lane {lane}"),
            Self::Refinement { from, to } => write!(f, "lane {to} does not refine lane {from}"),
        }
    }
}

impl core::error::Error for MatrixError {}

/// The planes that a matrix is stored in.
#[derive(Clone, Copy, Debug)]
pub enum DigitPlanes<'a> {
    /// One digit plane, rows · 16 · units bytes, and one f32 scale a row.
    Ternary {
        /// The plane.
        digits: &'a [u8],
        /// Row scales.
        row_scales: &'a [f32],
    },
    /// The high plane (rows · 8 · units bytes), one to three digit planes, and one f32 scale a row
    /// for each lane that the tiers give.
    Nested {
        /// The 1-bit plane.
        high: &'a [u8],
        /// Digit planes, first tier first; the first is always there.
        digits: [Option<&'a [u8]>; 3],
        /// Row scales of Bit3, Bit5, Bit7.
        row_scales: [Option<&'a [f32]>; 3],
    },
}

/// A matrix of rows × cols weights in digit planes, checked when it is made.
#[derive(Clone, Copy, Debug)]
pub struct DigitMatrix<'a> {
    rows: usize,
    cols: usize,
    group: Group,
    group_scales: &'a [u8],
    planes: DigitPlanes<'a>,
}

impl<'a> DigitMatrix<'a> {
    /// Takes the parts of a matrix and checks every one: lengths, ternary codes, padding digits,
    /// finite scales. Reads each plane once.
    ///
    /// # Errors
    /// [`MatrixError`], which names the part, what was expected and what was found.
    pub fn new(
        rows: usize,
        cols: usize,
        group: Group,
        group_scales: &'a [u8],
        planes: DigitPlanes<'a>,
    ) -> Result<Self, MatrixError> {
        let size = MatrixError::Size { rows, cols };
        if rows == 0 || cols == 0 || cols > MAX_COLS {
            return Err(size);
        }
        let all_units = rows.checked_mul(units(cols)).ok_or(size)?;
        // The widest plane takes 16 bytes a unit and every other size below is smaller.
        all_units.checked_mul(UNIT).ok_or(size)?;
        let scales = all_units * group.scales_per_unit();
        check(Part::GroupScales, scales, group_scales.len())?;
        match planes {
            DigitPlanes::Ternary { digits, row_scales } => {
                check(Part::Digit(0), all_units * UNIT_DIGIT_BYTES, digits.len())?;
                check_scales(PrecisionLane::Ternary, rows, row_scales)?;
                if let Some(offset) = digits.iter().position(|b| b & (b >> 1) & 0x55 != 0) {
                    return Err(MatrixError::TernaryCode { offset });
                }
            }
            DigitPlanes::Nested { high, digits, row_scales } => {
                check(Part::High, all_units * UNIT_HIGH_BYTES, high.len())?;
                let mut below = true;
                for (tier, lane) in PrecisionLane::NESTED.into_iter().enumerate() {
                    let plane = digits.get(tier).copied().flatten();
                    let scale = row_scales.get(tier).copied().flatten();
                    match (plane, scale) {
                        (Some(plane), Some(scale)) if below => {
                            let bytes = all_units * UNIT_DIGIT_BYTES;
                            check(Part::Digit(tier), bytes, plane.len())?;
                            check_scales(lane, rows, scale)?;
                        }
                        (None, None) if tier > 0 => below = false,
                        _ => return Err(MatrixError::Lane { lane }),
                    }
                }
            }
        }
        let matrix = Self { rows, cols, group, group_scales, planes };
        matrix.check_padding()?;
        Ok(matrix)
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Weights in a row, padding not counted.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// How many weights share a u8 scale.
    pub fn group(&self) -> Group {
        self.group
    }

    /// The u8 scales of the groups, row by row; none where the group is the row.
    pub fn group_scales(&self) -> &'a [u8] {
        self.group_scales
    }

    /// The planes and the scales of the rows.
    pub fn planes(&self) -> DigitPlanes<'a> {
        self.planes
    }

    /// The highest lane stored.
    pub fn top_lane(&self) -> PrecisionLane {
        match self.planes {
            DigitPlanes::Ternary { .. } => PrecisionLane::Ternary,
            DigitPlanes::Nested { digits: [_, _, Some(_)], .. } => PrecisionLane::Bit7,
            DigitPlanes::Nested { digits: [_, Some(_), _], .. } => PrecisionLane::Bit5,
            DigitPlanes::Nested { .. } => PrecisionLane::Bit3,
        }
    }

    /// The matrix as one lane reads it.
    ///
    /// # Errors
    /// [`MatrixError::Lane`] when the tiers of that lane are not stored.
    pub fn lane(&self, lane: PrecisionLane) -> Result<LaneView<'a>, MatrixError> {
        let (high, digits, row_scales) = match (self.planes, lane) {
            (DigitPlanes::Ternary { digits, row_scales }, PrecisionLane::Ternary) => {
                (&[][..], [digits, &[], &[]], row_scales)
            }
            (
                DigitPlanes::Nested { high, digits: [Some(d0), _, _], row_scales: [Some(s), ..] },
                PrecisionLane::Bit3,
            ) => (high, [d0, &[], &[]], s),
            (
                DigitPlanes::Nested {
                    high,
                    digits: [Some(d0), Some(d1), _],
                    row_scales: [_, Some(s), _],
                },
                PrecisionLane::Bit5,
            ) => (high, [d0, d1, &[]], s),
            (
                DigitPlanes::Nested {
                    high,
                    digits: [Some(d0), Some(d1), Some(d2)],
                    row_scales: [.., Some(s)],
                },
                PrecisionLane::Bit7,
            ) => (high, [d0, d1, d2], s),
            _ => return Err(MatrixError::Lane { lane }),
        };
        Ok(LaneView {
            rows: self.rows,
            cols: self.cols,
            lane,
            above: None,
            group: self.group,
            group_scales: self.group_scales,
            high,
            digits,
            row_scales,
        })
    }

    /// The tiers that lane `to` reads beyond lane `from`: what is left of `to` once `from` has been
    /// computed. For every row and vector, exactly,
    ///
    /// ```text
    /// lane_sums(lane(to)) = lane_sums(lane(from)) + lane_sums(refinement(from, to))
    /// ```
    ///
    /// A weight is worth, in half steps of Bit7, with `c` the digits read:
    ///
    /// | from | to | codes | value |
    /// |---|---|---|---|
    /// | `Bit3` | `Bit5` | 0..=3 | `8·c − 12` |
    /// | `Bit3` | `Bit7` | 0..=15 | `2·c − 15` |
    /// | `Bit5` | `Bit7` | 0..=3 | `2·c − 3` |
    ///
    /// # Errors
    /// [`MatrixError::Refinement`] unless both are nested lanes and `from` is the lower one, and
    /// always without the feature `sparse`;
    /// [`MatrixError::Lane`] when the tiers of `to` are not stored.
    pub fn refinement(
        &self,
        from: PrecisionLane,
        to: PrecisionLane,
    ) -> Result<LaneView<'a>, MatrixError> {
        let mut view = self.lane(to)?;
        match (from.tiers(), to.tiers()) {
            (Some(read), Some(tiers)) if read < tiers && cfg!(feature = "sparse") => {
                view.above = Some(from);
                view.high = &[];
                view.digits.iter_mut().take(read).for_each(|plane| *plane = &[]);
                Ok(view)
            }
            _ => Err(MatrixError::Refinement { from, to }),
        }
    }

    fn check_padding(&self) -> Result<(), MatrixError> {
        let view = self.lane(self.top_lane())?;
        let zero = match view.lane {
            PrecisionLane::Ternary => TERNARY_ZERO,
            PrecisionLane::Bit3 => NESTED_ZERO >> 4,
            PrecisionLane::Bit5 => NESTED_ZERO >> 2,
            _ => NESTED_ZERO,
        };
        for row in 0..self.rows {
            let codes = view.row(row);
            for index in self.cols..units(self.cols) * UNIT {
                if codes.code(index) != zero {
                    return Err(MatrixError::Padding { row, index });
                }
            }
        }
        Ok(())
    }
}

fn check(part: Part, expected: usize, actual: usize) -> Result<(), MatrixError> {
    if expected == actual { Ok(()) } else { Err(MatrixError::Length { part, expected, actual }) }
}

fn check_scales(lane: PrecisionLane, rows: usize, scales: &[f32]) -> Result<(), MatrixError> {
    check(Part::RowScales, rows, scales.len())?;
    match scales.iter().position(|s| !s.is_finite()) {
        Some(row) => Err(MatrixError::Scale { lane, row }),
        None => Ok(()),
    }
}

/// A matrix read at one lane, or at what a lane has beyond a lower one: what the kernels take. Its
/// parts have been checked.
#[derive(Clone, Copy, Debug)]
pub struct LaneView<'a> {
    rows: usize,
    cols: usize,
    lane: PrecisionLane,
    above: Option<PrecisionLane>,
    group: Group,
    pub(crate) group_scales: &'a [u8],
    pub(crate) high: &'a [u8],
    pub(crate) digits: [&'a [u8]; 3],
    row_scales: &'a [f32],
}

impl<'a> LaneView<'a> {
    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Weights in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The lane being read; never `Float32`.
    pub fn lane(&self) -> PrecisionLane {
        self.lane
    }

    /// The lane whose tiers are left out: that of a [refinement](DigitMatrix::refinement).
    pub fn above(&self) -> Option<PrecisionLane> {
        // Without the feature there are no refinements, and no code for them.
        if cfg!(feature = "sparse") { self.above } else { None }
    }

    /// The value of a code, an integer: the table of [`PrecisionLane`], or that of a
    /// [refinement](DigitMatrix::refinement).
    pub fn value(&self, code: u8) -> i32 {
        self.lane.step() * i32::from(code) - self.zero()
    }

    /// What is taken off the steps of a code to give its value.
    #[inline]
    pub(crate) fn zero(&self) -> i32 {
        self.lane.zero() - self.above.map_or(0, PrecisionLane::zero)
    }

    /// How many weights share a u8 scale.
    pub fn group(&self) -> Group {
        self.group
    }

    /// Bytes that one product with the matrix reads: planes and scales.
    pub fn bytes(&self) -> usize {
        self.digits.iter().map(|d| d.len()).sum::<usize>()
            + self.high.len()
            + self.group_scales.len()
            + size_of_val(self.row_scales)
    }

    /// The f32 scales of the rows.
    pub(crate) fn row_scales(&self) -> &'a [f32] {
        self.row_scales
    }

    /// The f32 scale of a row (0 past the end).
    pub fn row_scale(&self, row: usize) -> f32 {
        self.row_scales.get(row).copied().unwrap_or(0.0)
    }

    /// The u8 scales of a row; empty past the end.
    #[inline]
    pub(crate) fn scales_of(&self, row: usize) -> &'a [u8] {
        let len = units(self.cols) * self.group.scales_per_unit();
        let scales = self.group_scales.get(row.saturating_mul(len)..);
        scales.and_then(|rest| rest.get(..len)).unwrap_or(&[])
    }

    /// The planes of a row; empty past the end.
    pub fn row(&self, row: usize) -> Row<'a> {
        let units = if row < self.rows { units(self.cols) } else { 0 };
        let part = |plane: &'a [u8], per_unit: usize| {
            let len = units * per_unit;
            plane.get(row.saturating_mul(len)..).and_then(|rest| rest.get(..len)).unwrap_or(&[])
        };
        Row {
            units,
            lane: self.lane,
            group: self.group,
            high: part(self.high, UNIT_HIGH_BYTES),
            digits: self.digits.map(|plane| part(plane, UNIT_DIGIT_BYTES)),
            scales: part(self.group_scales, self.group.scales_per_unit()),
        }
    }
}

/// One row of a [`LaneView`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub(crate) units: usize,
    pub(crate) lane: PrecisionLane,
    pub(crate) group: Group,
    pub(crate) high: &'a [u8],
    pub(crate) digits: [&'a [u8]; 3],
    pub(crate) scales: &'a [u8],
}

impl Row<'_> {
    /// The code of weight `i` at the row's lane (0 past the padded row), or the digits that a
    /// refinement reads.
    pub fn code(&self, i: usize) -> u8 {
        let (u, p, j) = (i / UNIT, i % UNIT / 16, i % 16);
        let digit = |tier: usize, rotation: usize| {
            let byte = self.digits[tier].get(u * UNIT_DIGIT_BYTES + j).copied().unwrap_or(0);
            (byte >> digit_shift(p, rotation)) & 3
        };
        let tiers = match self.lane.tiers() {
            None => return digit(0, TERNARY_ROTATION),
            Some(tiers) => tiers,
        };
        if u >= self.units {
            return 0;
        }
        // Tiers that are left out have empty planes, which read as zero.
        let (byte, bit) = high_bit(self.units, u, p, j);
        let high = (self.high.get(byte).copied().unwrap_or(0) >> bit) & 1;
        (0..tiers).fold(high, |code, tier| code << 2 | digit(tier, NESTED_ROTATION[tier]))
    }

    /// The scale of weight `i`'s group: 1 when there are no group scales.
    pub fn group_scale(&self, i: usize) -> u8 {
        match self.group.weights() {
            None => 1,
            Some(weights) => self.scales.get(i / weights).copied().unwrap_or(0),
        }
    }
}
