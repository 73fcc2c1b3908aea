//! Matrices with a row for each neuron, in memory or in their file: what is read of them, and what
//! their rows are multiplied with.

use super::{CHUNK, Lists, PredictorInput};
use crate::digits::{DigitMatrix, Group, LaneView};
use crate::kernel::{Backend, spread_sums};
use crate::lane::PrecisionLane;
#[cfg(feature = "stored")]
use crate::nn::{Extent, RowSource, StoredMatrix, StoredParts};
use crate::nn::{Linear, LinearError, same_len};
use crate::quant::Activations;

/// A matrix of a block that is stored by neuron.
#[derive(Clone, Copy, Debug)]
pub enum NeuronRows<'w> {
    /// In memory.
    Resident(DigitMatrix<'w>),
    /// In its file, of which only the rows of chosen neurons are read. The row scales of the second
    /// matrix have to be in memory.
    #[cfg(feature = "stored")]
    Stored {
        /// Where it lies; in digit planes.
        matrix: StoredMatrix,
        /// What reads it.
        source: &'w dyn RowSource,
    },
}

impl<'w> From<DigitMatrix<'w>> for NeuronRows<'w> {
    fn from(matrix: DigitMatrix<'w>) -> Self {
        Self::Resident(matrix)
    }
}

impl<'w> NeuronRows<'w> {
    /// The rows of a layer's matrix, if it is in digit planes.
    pub fn of(linear: &Linear<'w>) -> Option<Self> {
        match *linear {
            #[cfg(feature = "stored")]
            Linear::Stored { matrix, source } if linear.takes_integers() => {
                Some(Self::Stored { matrix, source })
            }
            _ => linear.digits().map(Self::Resident),
        }
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        match self {
            Self::Resident(matrix) => matrix.rows(),
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => matrix.rows(),
        }
    }

    /// Weights in a row, padding not counted.
    pub fn cols(&self) -> usize {
        match self {
            Self::Resident(matrix) => matrix.cols(),
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => matrix.cols(),
        }
    }

    /// Whether the rows have no scales other than their own.
    pub(super) fn scaled_by_row(&self) -> bool {
        match self {
            Self::Resident(matrix) => matrix.group() == Group::Row,
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => {
                matches!(matrix.parts(), StoredParts::Digits { group: Group::Row, .. })
            }
        }
    }

    /// The lane at which the matrix is read when `lane` is asked for.
    pub(super) fn read_at(&self, lane: PrecisionLane) -> PrecisionLane {
        let top = match self {
            Self::Resident(matrix) => matrix.top_lane(),
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => matrix.top_lane(),
        };
        match top {
            PrecisionLane::Ternary => PrecisionLane::Ternary,
            top => lane.min(top).max(PrecisionLane::Bit3),
        }
    }

    /// Bytes of all rows at a lane.
    pub(super) fn bytes(&self, lane: PrecisionLane) -> Result<usize, LinearError> {
        self.bytes_beyond(None, lane)
    }

    /// Bytes that a lane still has to read when the sums at the `known` lane are there: scales are
    /// read again, planes are not.
    pub(super) fn bytes_beyond(
        &self,
        known: Option<PrecisionLane>,
        lane: PrecisionLane,
    ) -> Result<usize, LinearError> {
        let lane = self.read_at(lane);
        match self {
            Self::Resident(matrix) => Ok(rest(matrix, known, lane)?.map_or(0, |view| view.bytes())),
            #[cfg(feature = "stored")]
            Self::Stored { matrix, .. } => match known {
                Some(known) if known >= lane => Ok(0),
                Some(known) => {
                    let [planes @ .., _, _] = matrix.extents(known, 0..matrix.rows())?;
                    let read: usize = planes.iter().map(|plane| plane.len).sum();
                    Ok(matrix.bytes(lane)?.saturating_sub(read))
                }
                None => matrix.bytes(lane),
            },
        }
    }

    /// The scales of all rows at a lane.
    pub(super) fn row_scales(&self, lane: PrecisionLane) -> Result<&[f32], LinearError> {
        match self {
            Self::Resident(matrix) => Ok(matrix.lane(lane)?.row_scales()),
            #[cfg(feature = "stored")]
            Self::Stored { matrix, source } => {
                let [.., scales] = matrix.extents(lane, 0..matrix.rows())?;
                let Extent { offset, len } = scales;
                let bytes = source.resident(scales);
                let scales = bytes.and_then(|bytes| bytemuck::try_cast_slice(bytes).ok());
                scales.ok_or(LinearError::Unread { offset, len })
            }
        }
    }

    /// Calls `each` with what a lane still has to read of listed rows when their sums at the `known`
    /// lane are there, `None` for nothing: the place of the first in the list, that and the whole
    /// lane, and the numbers of the rows in both.
    pub(super) fn listed(
        &self,
        known: Option<PrecisionLane>,
        lane: PrecisionLane,
        rows: &[u32],
        mut each: impl FnMut(usize, Option<&LaneView<'_>>, &LaneView<'_>, &[u32]),
    ) -> Result<(), LinearError> {
        let mut piece = |first, matrix: &DigitMatrix<'_>, rows: &[u32]| {
            each(first, rest(matrix, known, lane)?.as_ref(), &matrix.lane(lane)?, rows);
            Ok(())
        };
        match self {
            Self::Resident(matrix) => piece(0, matrix, rows),
            #[cfg(feature = "stored")]
            Self::Stored { matrix, source } => source.listed(
                matrix,
                lane,
                rows,
                &mut |first, linear, rows| match linear.digits() {
                    Some(matrix) => piece(first, &matrix, rows),
                    None => Ok(()),
                },
            ),
        }
    }

    /// `y` = the products of all rows with the input at a lane; `sums` are the integers that they
    /// come from. `rows` is memory of that length, too.
    pub(super) fn products<B: Backend>(
        &self,
        lane: PrecisionLane,
        input: PredictorInput<'_, B>,
        rows: &mut [u32],
        sums: &mut [i64],
        y: &mut [f32],
    ) -> Result<(), LinearError> {
        let PredictorInput { backend, pool, x, .. } = input;
        for len in [rows.len(), sums.len(), y.len()] {
            same_len(self.rows(), len)?;
        }
        match self {
            Self::Resident(matrix) => {
                let view = matrix.lane(lane)?;
                let work = view.rows() * view.cols();
                spread_sums(pool, sums, work, &|first, y| backend.lane_sums(&view, x, first, y));
                view_floats(&view, 0..view.rows() as u32, sums, x, y);
                Ok(())
            }
            #[cfg(feature = "stored")]
            Self::Stored { .. } => {
                rows.iter_mut().zip(0..).for_each(|(row, number)| *row = number);
                self.listed(None, lane, rows, |first, _, view, rows| {
                    let listed = first..first + rows.len();
                    let sums = sums.get_mut(listed.clone()).unwrap_or(&mut []);
                    let y = y.get_mut(listed).unwrap_or(&mut []);
                    spread_sums(pool, sums, rows.len() * view.cols(), &|first, y| {
                        backend.lane_sums_of(view, x, rows.get(first..).unwrap_or(&[]), y);
                    });
                    view_floats(view, rows.iter().copied(), sums, x, y);
                })
            }
        }
    }

    /// `y` = the products of the listed rows with the input, each at the lane of its list, or at that
    /// of `known` where it is higher: sums that are there already, with their lane.
    pub(super) fn refine<B: Backend>(
        &self,
        input: PredictorInput<'_, B>,
        known: Option<(PrecisionLane, &[i64])>,
        lists: &Lists<'_>,
        y: &mut [f32],
    ) -> Result<(), LinearError> {
        let PredictorInput { backend, pool, x, .. } = input;
        same_len(lists.len(), y.len())?;
        let mut y = y;
        for (lane, all) in lists.each() {
            let (list, after) = y.split_at_mut(all.len().min(y.len()));
            y = after;
            let lane = self.read_at(lane);
            // Sums at a higher lane are there as they are.
            let lane = known.map_or(lane, |known| known.0.max(lane));
            self.listed(known.map(|known| known.0), lane, all, |first, rest, view, rows| {
                let listed = first..first + rows.len();
                let y = list.get_mut(listed.clone()).unwrap_or(&mut []);
                let all = all.get(listed).unwrap_or(&[]);
                pool.spread(y, 1, rows.len() * view.cols(), &|first, y| {
                    let rows = rows.get(first..).unwrap_or(&[]).chunks(CHUNK);
                    let all = all.get(first..).unwrap_or(&[]).chunks(CHUNK);
                    for ((y, rows), all) in y.chunks_mut(CHUNK).zip(rows).zip(all) {
                        let mut sums = [0; CHUNK];
                        let sums = sums.get_mut(..y.len().min(rows.len())).unwrap_or(&mut []);
                        let rows = rows.get(..sums.len()).unwrap_or(&[]);
                        if let Some(rest) = rest {
                            backend.lane_sums_of(rest, x, rows, sums);
                        }
                        if let Some((_, known)) = known {
                            for (sum, &row) in sums.iter_mut().zip(all) {
                                *sum += known.get(row as usize).copied().unwrap_or(0);
                            }
                        }
                        view_floats(view, rows.iter().copied(), sums, x, y);
                    }
                });
            })?;
        }
        Ok(())
    }
}

/// What a matrix still has to read for a lane when its sums at the `known` lane are there; `None`
/// for nothing.
fn rest<'w>(
    matrix: &DigitMatrix<'w>,
    known: Option<PrecisionLane>,
    lane: PrecisionLane,
) -> Result<Option<LaneView<'w>>, LinearError> {
    Ok(match known {
        Some(known) if known >= lane => None,
        Some(known) => Some(matrix.refinement(known, lane)?),
        None => Some(matrix.lane(lane)?),
    })
}

/// Sums of rows as floats.
fn view_floats(
    view: &LaneView<'_>,
    rows: impl Iterator<Item = u32>,
    sums: &[i64],
    x: &Activations<'_>,
    y: &mut [f32],
) {
    for ((y, &sum), row) in y.iter_mut().zip(sums).zip(rows) {
        *y = sum as f32 * (view.row_scale(row as usize) * x.step());
    }
}
