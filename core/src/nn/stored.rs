//! Matrices that stay in their file: where their parts lie, and what hands out their rows.

use super::{Linear, LinearError, same_len};
use crate::digits::{
    DigitMatrix, DigitPlanes, Group, MatrixError, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units,
};
use crate::gguf::TensorType;
use crate::gguf::blocks::is_supported;
use crate::lane::PrecisionLane;
use core::fmt;
use core::ops::Range;

/// Bytes of a file, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// Where the first is.
    pub offset: usize,
    /// How many there are.
    pub len: usize,
}

impl Extent {
    /// The part for some of `all` equal rows.
    fn of_rows(self, all: usize, rows: &Range<usize>) -> Self {
        let row = self.len / all.max(1);
        let count = rows.end.saturating_sub(rows.start);
        Self { offset: self.offset + rows.start * row, len: count * row }
    }
}

/// Most parts that rows lie in: the high plane, three digit planes, group scales, row scales.
pub const MAX_PARTS: usize = 6;

/// What a matrix consists of in a file.
#[derive(Clone, Copy, Debug)]
pub enum StoredParts {
    /// Digit planes.
    Digits {
        /// How many weights share a u8 scale.
        group: Group,
        /// The lowest lane that the matrix may be read at.
        floor: PrecisionLane,
        /// The u8 scales of the groups; no bytes where there are none.
        group_scales: Extent,
        /// The 1-bit plane of nested weights; `None` for ternary ones.
        high: Option<Extent>,
        /// The digit planes, first tier first.
        digits: [Option<Extent>; 3],
        /// The f32 scales of the rows for each tier.
        row_scales: [Option<Extent>; 3],
    },
    /// A block type of GGUF.
    Blocks {
        /// The type.
        kind: TensorType,
        /// The rows, and the [trailer](TensorType::trailer_bytes) of the type.
        data: Extent,
    },
}

/// A matrix of rows × cols weights in a file.
#[derive(Clone, Copy, Debug)]
pub struct StoredMatrix {
    rows: usize,
    cols: usize,
    parts: StoredParts,
}

impl StoredMatrix {
    /// A matrix whose parts have the lengths that its shape asks for.
    ///
    /// # Errors
    /// [`LinearError::Unsupported`] for a block type that does not expand, [`MatrixError::Size`]
    /// for no rows or no columns, [`LinearError::Shape`] for a part of another length,
    /// [`MatrixError::Lane`] where a tier has digits without scales or scales without digits.
    pub fn new(rows: usize, cols: usize, parts: StoredParts) -> Result<Self, LinearError> {
        if rows == 0 || cols == 0 {
            return Err(MatrixError::Size { rows, cols }.into());
        }
        match parts {
            StoredParts::Blocks { kind, .. } if !is_supported(kind) => {
                return Err(LinearError::Unsupported { kind });
            }
            StoredParts::Blocks { kind, data } => {
                let blocks = cols.div_ceil(kind.block_len());
                same_len(cols, blocks.saturating_mul(kind.block_len()))?;
                let row = blocks.saturating_mul(kind.block_bytes());
                same_len(rows.saturating_mul(row).saturating_add(kind.trailer_bytes()), data.len)?;
            }
            StoredParts::Digits { group, group_scales, high, digits, row_scales, .. } => {
                let fits = |part: Option<Extent>, row: usize| {
                    part.map_or(Ok(()), |part| same_len(rows.saturating_mul(row), part.len))
                };
                let plane = |unit_bytes| units(cols).saturating_mul(unit_bytes);
                fits(Some(group_scales), plane(group.scales_per_unit()))?;
                fits(high, plane(UNIT_HIGH_BYTES))?;
                let mut below = true;
                let tiers =
                    PrecisionLane::NESTED.into_iter().zip(digits.into_iter().zip(row_scales));
                for (tier, (lane, (digits, scales))) in tiers.enumerate() {
                    fits(digits, plane(UNIT_DIGIT_BYTES))?;
                    fits(scales, size_of::<f32>())?;
                    let stored = digits.is_some();
                    let gap = stored && !below || !stored && tier == 0;
                    if gap || scales.is_some() != stored {
                        return Err(MatrixError::Lane { lane }.into());
                    }
                    below = stored;
                }
            }
        }
        let matrix = Self { rows, cols, parts };
        if let StoredParts::Digits { floor, .. } = parts {
            matrix.check_lane(floor)?;
        }
        Ok(matrix)
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix, padding not counted.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// What it consists of.
    pub fn parts(&self) -> &StoredParts {
        &self.parts
    }

    /// The block type, of a matrix that is not in digit planes.
    pub fn block_type(&self) -> Option<TensorType> {
        match self.parts {
            StoredParts::Blocks { kind, .. } => Some(kind),
            StoredParts::Digits { .. } => None,
        }
    }

    /// The highest lane stored.
    pub fn top_lane(&self) -> PrecisionLane {
        match self.parts {
            StoredParts::Blocks { .. } => PrecisionLane::Float32,
            StoredParts::Digits { high: None, .. } => PrecisionLane::Ternary,
            StoredParts::Digits { digits: [_, _, Some(_)], .. } => PrecisionLane::Bit7,
            StoredParts::Digits { digits: [_, Some(_), _], .. } => PrecisionLane::Bit5,
            StoredParts::Digits { .. } => PrecisionLane::Bit3,
        }
    }

    /// The lane at which the matrix is read when `lane` is asked for.
    pub fn lane(&self, lane: PrecisionLane) -> PrecisionLane {
        match self.parts {
            StoredParts::Blocks { .. } => PrecisionLane::Float32,
            StoredParts::Digits { floor, .. } => lane.max(floor).min(self.top_lane()),
        }
    }

    /// Tiers that a stored lane reads.
    fn check_lane(&self, lane: PrecisionLane) -> Result<usize, LinearError> {
        let top = self.top_lane();
        match lane.tiers() {
            _ if lane == top => Ok(top.tiers().unwrap_or(1)),
            Some(tiers) if Some(tiers) <= top.tiers() => Ok(tiers),
            _ => Err(MatrixError::Lane { lane }.into()),
        }
    }

    /// Where rows lie that are read at a lane: empty for what the lane does not read.
    ///
    /// Rows of a type with a trailer are not complete without it: only all of them can be read.
    ///
    /// # Errors
    /// [`LinearError::Matrix`] when the lane is not stored or there are no such rows.
    pub fn extents(
        &self,
        lane: PrecisionLane,
        rows: Range<usize>,
    ) -> Result<[Extent; MAX_PARTS], LinearError> {
        let tiers = self.check_lane(lane)?;
        let all = rows == (0..self.rows);
        let trailer = self.trailer();
        if rows.start >= rows.end || rows.end > self.rows || (trailer > 0 && !all) {
            return Err(MatrixError::Size { rows: rows.end, cols: self.cols }.into());
        }
        let part = |part: Option<Extent>| match part {
            Some(part) if part.len > 0 => part.of_rows(self.rows, &rows),
            _ => Extent::default(),
        };
        Ok(match self.parts {
            StoredParts::Blocks { data, .. } => {
                let [.., a, b, c, d, e] = [Extent::default(); MAX_PARTS];
                [if all { data } else { part(Some(data)) }, a, b, c, d, e]
            }
            StoredParts::Digits { group_scales, high, digits, row_scales, .. } => {
                let [first, second, third] = digits;
                [
                    part(high),
                    part(first),
                    part(second.filter(|_| tiers > 1)),
                    part(third.filter(|_| tiers > 2)),
                    part(Some(group_scales)),
                    part(row_scales.get(tiers - 1).copied().flatten()),
                ]
            }
        })
    }

    /// Rows that have been read, as a matrix of their own: `parts` are the bytes of their
    /// [extents](Self::extents), floats aligned as such.
    ///
    /// # Errors
    /// [`LinearError`]: parts of another length, or wrong in themselves (see
    /// [`DigitMatrix::new`]).
    pub fn resident<'b>(
        &self,
        lane: PrecisionLane,
        rows: usize,
        parts: [&'b [u8]; MAX_PARTS],
    ) -> Result<Linear<'b>, LinearError> {
        let tiers = self.check_lane(lane)?;
        let [high, first, second, third, group_scales, row_scales] = parts;
        match self.parts {
            StoredParts::Blocks { kind, .. } => Linear::blocks(kind, rows, self.cols, high),
            StoredParts::Digits { group, high: has_high, .. } => {
                let scales = bytemuck::try_cast_slice(row_scales).unwrap_or(&[]);
                let planes = if has_high.is_none() {
                    DigitPlanes::Ternary { digits: first, row_scales: scales }
                } else {
                    let up_to = |tier: usize| (tier < tiers).then_some(());
                    DigitPlanes::Nested {
                        high,
                        digits: [Some(first), up_to(1).map(|()| second), up_to(2).map(|()| third)],
                        // Scales of lower lanes are not read: those of this lane stand in for them.
                        row_scales: [0, 1, 2].map(|tier| up_to(tier).map(|()| scales)),
                    }
                };
                let matrix = DigitMatrix::new(rows, self.cols, group, group_scales, planes)?;
                Ok(Linear::Digits { matrix, floor: lane })
            }
        }
    }

    /// Bytes that one product reads at a lane.
    ///
    /// # Errors
    /// [`LinearError::Matrix`] when the lane is not stored.
    pub fn bytes(&self, lane: PrecisionLane) -> Result<usize, LinearError> {
        Ok(self.extents(lane, 0..self.rows)?.iter().map(|extent| extent.len).sum())
    }

    /// Bytes that a row takes at the highest lane.
    pub fn row_bytes(&self) -> usize {
        let bytes = self.bytes(self.top_lane()).unwrap_or(0);
        bytes.saturating_sub(self.trailer()) / self.rows.max(1)
    }

    /// Bytes behind the rows that belong to all of them.
    pub fn trailer(&self) -> usize {
        self.block_type().map_or(0, TensorType::trailer_bytes)
    }
}

/// Takes consecutive rows: the number of the first, and the rows as a matrix of their own.
pub type EachPiece<'e> = &'e mut dyn FnMut(usize, &Linear<'_>) -> Result<(), LinearError>;

/// Takes listed rows: the place of the first in the list, a matrix, and the numbers of the rows in it.
pub type EachListed<'e> = &'e mut dyn FnMut(usize, &Linear<'_>, &[u32]) -> Result<(), LinearError>;

/// Reads the rows of stored matrices, and keeps as many as it wants to.
pub trait RowSource: Sync + fmt::Debug {
    /// Bytes that are in memory for as long as the source is, if these are; at an address that is a
    /// multiple of four.
    fn resident(&self, extent: Extent) -> Option<&[u8]>;

    /// Calls `each` with pieces that cover the rows, in order.
    ///
    /// # Errors
    /// [`LinearError::Unread`] when bytes cannot be read, and the errors of
    /// [`StoredMatrix::extents`], [`StoredMatrix::resident`] and `each`.
    fn rows(
        &self,
        matrix: &StoredMatrix,
        lane: PrecisionLane,
        rows: Range<usize>,
        each: EachPiece<'_>,
    ) -> Result<(), LinearError>;

    /// Calls `each` with pieces that have the listed rows, in the order of the list.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    fn listed(
        &self,
        matrix: &StoredMatrix,
        lane: PrecisionLane,
        rows: &[u32],
        each: EachListed<'_>,
    ) -> Result<(), LinearError>;
}
