//! Sparse feed-forward blocks whose matrices stay in their file: only the rows of the chosen neurons
//! are read.

use super::combine::integers;
use super::predictor::view_floats;
use super::selection::{Costs, select};
use super::{CHUNK, Known, Lists, LowRank, PredictorInput, Selection};
use super::{SparseReads, SparseScratch, SparsityConfig};
use crate::digits::{BLOCK, Group, LaneView};
use crate::error::ShapeError;
use crate::kernel::{Backend, Pool, Terms};
use crate::lane::PrecisionLane;
use crate::nn::{Activation, Extent, LinearError, RowSource, StoredMatrix, StoredParts, same_len};
use crate::quant::ActivationsBuf;

/// Takes listed rows: the place of the first in the list, a view, and the numbers of the rows in it.
type EachView<'e> = &'e mut dyn FnMut(usize, &LaneView<'_>, &[u32]) -> Result<(), LinearError>;

/// A matrix of such a block, and what reads it.
#[derive(Clone, Copy, Debug)]
pub struct StoredRows<'w> {
    /// Where it lies; in digit planes.
    pub matrix: StoredMatrix,
    /// What reads it.
    pub source: &'w dyn RowSource,
}

/// As [`Neurons`](super::Neurons), of a gated block without biases whose matrices are in a file.
#[derive(Clone, Copy, Debug)]
pub struct StoredNeurons<'w> {
    /// hidden × dim.
    pub gate: StoredRows<'w>,
    /// hidden × dim.
    pub up: StoredRows<'w>,
    /// hidden × dim: what each neuron adds to the output. The row scales have to be in memory.
    pub down: StoredRows<'w>,
    /// The function of the gate.
    pub activation: Activation,
    /// The norm of each neuron's row of `down`: hidden values.
    pub importance: &'w [f32],
}

/// What predicts: as the types of the same names that predict for [`Neurons`](super::Neurons).
#[derive(Clone, Copy, Debug)]
pub enum StoredPredictor<'w> {
    /// [`Tier0`](super::Tier0), without `up` where only the gate counts.
    Tier0 {
        /// Whether `up` is left out.
        gate_only: bool,
    },
    /// [`FullGate`](super::FullGate).
    FullGate,
    /// [`Magnitude`](super::Magnitude).
    Magnitude,
    /// [`LowRank`], whose matrices are in memory.
    LowRank(&'w LowRank<'w>),
}

impl StoredRows<'_> {
    /// The lane at which the matrix is read when `lane` is asked for.
    fn read_at(&self, lane: PrecisionLane) -> PrecisionLane {
        match self.matrix.top_lane() {
            PrecisionLane::Ternary => PrecisionLane::Ternary,
            top => lane.min(top).max(PrecisionLane::Bit3),
        }
    }

    fn bytes(&self, lane: PrecisionLane) -> Result<usize, LinearError> {
        self.matrix.bytes(self.read_at(lane))
    }

    /// Bytes of a row that a lane reads when the sums of a `known` lane are there.
    fn rest(
        &self,
        known: Option<PrecisionLane>,
        lane: PrecisionLane,
    ) -> Result<usize, LinearError> {
        let lane = self.read_at(lane);
        let bytes = match known {
            Some(known) if known >= lane => 0,
            // Scales are read again, planes are not.
            Some(known) => {
                let planes = |lane| {
                    let [high, first, second, third, ..] =
                        self.matrix.extents(lane, 0..self.matrix.rows())?;
                    Ok::<_, LinearError>(high.len + first.len + second.len + third.len)
                };
                self.matrix.bytes(lane)?.saturating_sub(planes(known)?)
            }
            None => self.matrix.bytes(lane)?,
        };
        Ok(bytes / self.matrix.rows().max(1))
    }

    /// Calls `each` with the listed rows, piece by piece.
    fn listed(
        &self,
        lane: PrecisionLane,
        rows: &[u32],
        each: EachView<'_>,
    ) -> Result<(), LinearError> {
        self.source.listed(&self.matrix, lane, rows, &mut |first, piece, rows| match piece.digits()
        {
            Some(matrix) => each(first, &matrix.lane(lane)?, rows),
            None => Ok(()),
        })
    }

    /// `y` = the products of the listed rows with the input, at a lane.
    fn products<B: Backend>(
        &self,
        lane: PrecisionLane,
        rows: &[u32],
        input: PredictorInput<'_, B>,
        y: &mut [f32],
    ) -> Result<(), LinearError> {
        let PredictorInput { backend, pool, x, .. } = input;
        self.listed(lane, rows, &mut |first, view, rows| {
            let y = y.get_mut(first..).and_then(|y| y.get_mut(..rows.len())).unwrap_or(&mut []);
            pool.spread(y, 1, rows.len() * view.cols(), &|first, y| {
                let rows = rows.get(first..).unwrap_or(&[]);
                for (y, rows) in y.chunks_mut(CHUNK).zip(rows.chunks(CHUNK)) {
                    let mut sums = [0; CHUNK];
                    let sums = sums.get_mut(..y.len()).unwrap_or(&mut []);
                    backend.lane_sums_of(view, x, rows, sums);
                    view_floats(view, rows.iter().copied(), sums, x, y);
                }
            });
            Ok(())
        })
    }

    /// The scales of all rows at a lane, which are in memory.
    fn row_scales(&self, lane: PrecisionLane) -> Result<&[f32], LinearError> {
        let [.., scales] = self.matrix.extents(lane, 0..self.matrix.rows())?;
        let Extent { offset, len } = scales;
        let bytes = self.source.resident(scales).ok_or(LinearError::Unread { offset, len })?;
        bytemuck::try_cast_slice(bytes).map_err(|_| LinearError::Unread { offset, len })
    }
}

impl StoredNeurons<'_> {
    /// As [`Neurons::forward`](super::Neurons::forward), with the same bits.
    ///
    /// # Errors
    /// [`LinearError`]: a slice that does not match, a lane that is not stored, values that are
    /// not finite, or a file that cannot be read.
    #[allow(clippy::too_many_arguments, reason = "inputs, scratch and output")]
    pub fn forward<B: Backend>(
        &self,
        backend: B,
        pool: &dyn Pool,
        lane: PrecisionLane,
        predictor: StoredPredictor<'_>,
        config: SparsityConfig,
        x: &[f32],
        integers: &mut ActivationsBuf<'_>,
        scratch: &mut SparseScratch<'_>,
        y: &mut [f32],
    ) -> Result<SparseReads, LinearError> {
        let (hidden, dim) = (self.gate.matrix.rows(), self.gate.matrix.cols());
        same_len(dim, x.len())?;
        same_len(dim, y.len())?;
        same_len(hidden, scratch.rows.len())?;
        let lane = self.gate.read_at(lane);
        let x = backend.quantize(x, integers)?;
        let input = PredictorInput { backend, pool, lane, x: &x };
        let dense = self.gate.bytes(lane)? + self.up.bytes(lane)? + self.down.bytes(lane)?;
        let all = config.selection() == Selection::All;
        let (known, prediction) =
            if all { (Known::Nothing, 0) } else { self.predict(predictor, input, scratch)? };
        let costs = Costs { dense, prediction, ..self.costs(lane, known)? };
        let SparseScratch { scores, first, second, rows, q, .. } = scratch;
        let counts = select(config.selection(), scores, costs, rows);
        let chosen = counts.iter().sum::<usize>().min(hidden);
        let lists = Lists { rows: rows.get(..chosen).unwrap_or(&[]), counts, lane };
        let first = first.get_mut(..chosen).unwrap_or(&mut []);
        let second = second.get_mut(..chosen).unwrap_or(&mut []);
        let (gate_known, up_known) = lanes(known);
        refine(input, &self.gate, gate_known, &lists, first)?;
        self.activation.apply(backend, first);
        refine(input, &self.up, up_known, &lists, second)?;
        first.iter_mut().zip(second.iter()).for_each(|(h, up)| *h *= up);
        let q = q.get_mut(..chosen).unwrap_or(&mut []);
        self.combine(backend, pool, &lists, first, q, y)?;
        let neurons = counts.iter().zip(costs.neuron).map(|(n, cost)| n * cost).sum::<usize>();
        let bytes = if all { dense } else { prediction + neurons };
        Ok(SparseReads { neurons: hidden, computed: counts, bytes, dense_bytes: dense })
    }

    /// Predictions of all neurons, and the bytes they take.
    fn predict<B: Backend>(
        &self,
        predictor: StoredPredictor<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<(Known, usize), LinearError> {
        let (lane, with_up) = match predictor {
            StoredPredictor::LowRank(low_rank) => {
                let (hidden, dim) = (self.gate.matrix.rows(), self.gate.matrix.cols());
                low_rank.scores(hidden, dim, input, scratch)?;
                return Ok((Known::Nothing, low_rank.weight_bytes()?));
            }
            StoredPredictor::Tier0 { gate_only } => (PrecisionLane::Bit3, !gate_only),
            StoredPredictor::FullGate | StoredPredictor::Magnitude => (input.lane, false),
        };
        let lane = self.gate.read_at(lane);
        let SparseScratch { scores, second, rows, .. } = scratch;
        for (row, number) in rows.iter_mut().zip(0..) {
            *row = number;
        }
        self.gate.products(lane, rows, input, scores)?;
        self.activation.apply(input.backend, scores);
        let mut bytes = self.gate.bytes(lane)?;
        if with_up {
            self.up.products(lane, rows, input, second)?;
            scores.iter_mut().zip(second.iter()).for_each(|(score, up)| *score *= up);
            bytes += self.up.bytes(lane)?;
        }
        if !matches!(predictor, StoredPredictor::Magnitude) {
            scores.iter_mut().zip(self.importance).for_each(|(score, norm)| *score *= norm);
            bytes += size_of_val(self.importance);
        }
        scores.iter_mut().for_each(|score| *score = score.abs());
        Ok((if with_up { Known::GateAndUp(lane) } else { Known::Gate(lane) }, bytes))
    }

    /// What a neuron costs at the lanes of the lists, after a prediction.
    fn costs(&self, lane: PrecisionLane, known: Known) -> Result<Costs, LinearError> {
        let (gate, up) = lanes(known);
        let neuron = |lane| {
            let down = self.down.rest(None, lane)?;
            Ok::<_, LinearError>(self.gate.rest(gate, lane)? + self.up.rest(up, lane)? + down)
        };
        let (five, three) = (lane.min(PrecisionLane::Bit5), lane.min(PrecisionLane::Bit3));
        Ok(Costs {
            neuron: [neuron(lane)?, neuron(five)?, neuron(three)?],
            prediction: 0,
            dense: 0,
        })
    }

    /// `y = Σ_i h[i] · down[rows[i]]`, each row at the lane of its list: the sums of pieces are
    /// exact integers, so their sum is that of all.
    fn combine(
        &self,
        backend: impl Backend,
        pool: &dyn Pool,
        lists: &Lists<'_>,
        h: &mut [f32],
        q: &mut [i16],
        y: &mut [f32],
    ) -> Result<(), LinearError> {
        let mut at = 0;
        for (lane, rows) in lists.each().filter(|(_, rows)| !rows.is_empty()) {
            let scales = self.down.row_scales(lane)?;
            for (h, &row) in h.iter_mut().skip(at).zip(rows) {
                *h *= scales.get(row as usize).copied().unwrap_or(0.0);
            }
            at += rows.len();
        }
        let mut scale = integers(h, q)?;
        if !matches!(self.down.matrix.parts(), StoredParts::Digits { group: Group::Row, .. }) {
            // The integers that multiply the weights have been divided by 256 with the group scale.
            scale *= 256.0;
        }
        y.fill(0.0);
        let mut rest = &*q;
        for (lane, rows) in lists.each() {
            let (q, after) = rest.split_at(rows.len().min(rest.len()));
            rest = after;
            self.down.listed(lane, rows, &mut |first, view, rows| {
                let q = q.get(first..).and_then(|q| q.get(..rows.len())).unwrap_or(&[]);
                let terms = [Terms { view: *view, rows, q }];
                pool.spread(y, BLOCK, rows.len() * view.cols(), &|first, y| {
                    // An integer takes the place of a float.
                    for (block, y) in y.chunks_mut(BLOCK).enumerate() {
                        let mut sums = [0; BLOCK];
                        let sums = sums.get_mut(..y.len()).unwrap_or(&mut []);
                        backend.combine(&terms, first + block * BLOCK, sums);
                        for (y, sum) in y.iter_mut().zip(sums) {
                            let total = y.to_bits().cast_signed().wrapping_add(*sum);
                            *y = f32::from_bits(total.cast_unsigned());
                        }
                    }
                });
                Ok(())
            })?;
        }
        for y in y {
            *y = y.to_bits().cast_signed() as f32 * scale;
        }
        Ok(())
    }
}

/// The lanes of the sums of gate and up that are known.
fn lanes(known: Known) -> (Option<PrecisionLane>, Option<PrecisionLane>) {
    match known {
        Known::Nothing => (None, None),
        Known::Gate(lane) => (Some(lane), None),
        Known::GateAndUp(lane) => (Some(lane), Some(lane)),
    }
}

/// `y` = the products of the listed rows, each at the lane of its list, or at the one that predicted
/// them where that is higher. Tiers that the prediction has read are read again, for the most part
/// from memory.
fn refine<B: Backend>(
    input: PredictorInput<'_, B>,
    matrix: &StoredRows<'_>,
    known: Option<PrecisionLane>,
    lists: &Lists<'_>,
    y: &mut [f32],
) -> Result<(), LinearError> {
    let actual = y.len();
    let mut y = y;
    for (lane, rows) in lists.each() {
        let (piece, after) = y
            .split_at_mut_checked(rows.len())
            .ok_or(ShapeError::Length { expected: lists.len(), actual })?;
        y = after;
        let read = matrix.read_at(lane);
        matrix.products(known.map_or(read, |known| known.max(read)), rows, input, piece)?;
    }
    Ok(())
}
