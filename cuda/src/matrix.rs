//! Matrices on the device.

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

use crate::activations::{Activations, blocks, over};
use crate::blocks::Blocks;
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::{DIGITS, MATMUL};
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::digits::{DigitMatrix, DigitPlanes, Group, units};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::Linear;

/// As the kernels take a matrix.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct RawPlanes {
    high: u64,
    digits: [u64; 3],
    group_scales: u64,
    pub(crate) row_scales: u64,
    rows: i32,
    cols: i32,
    zero: i32,
    padding: i32,
}

/// A matrix in digit planes.
#[derive(Debug)]
struct Planes {
    group: Group,
    top: PrecisionLane,
    floor: PrecisionLane,
    group_scales: Buffer<u8>,
    high: Option<Buffer<u8>>,
    digits: [Option<Buffer<u8>>; 3],
    row_scales: [Option<Buffer<f32>>; 3],
    /// What is taken off the steps of a code, for each lane in the order of [`PrecisionLane::ALL`].
    zeros: [i32; 4],
}

#[derive(Debug)]
enum Weights {
    Planes(Box<Planes>),
    Blocks(Blocks),
}

/// A matrix of rows × cols weights in the memory of a device, uploaded once.
#[derive(Debug)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    weights: Weights,
}

impl Matrix {
    /// A copy of a linear layer on the device.
    ///
    /// # Errors
    /// [`CudaError::Unsupported`] for a layer that is not in memory or of a type that no kernel
    /// takes, [`CudaError::Memory`], [`CudaError::Size`].
    pub fn upload(stream: &Stream, linear: &Linear<'_>) -> Result<Self, CudaError> {
        counted("rows of a matrix", linear.rows())?;
        counted("columns of a matrix", linear.cols())?;
        let weights = match *linear {
            Linear::Digits { matrix, floor } => {
                Weights::Planes(Box::new(Planes::upload(stream, &matrix, floor)?))
            }
            Linear::Blocks { kind, rows, cols, data } => {
                Weights::Blocks(Blocks::upload(stream, kind, rows, cols, data)?)
            }
            #[allow(unreachable_patterns, reason = "a feature of the core adds matrices in files")]
            _ => {
                let what = "a matrix that stays in its file".into();
                return Err(CudaError::Unsupported { what });
            }
        };
        Ok(Self { rows: linear.rows(), cols: linear.cols(), weights })
    }

    /// Rows of the matrix: the length of an output.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the matrix: the length of an input.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Whether products take quantised activations.
    pub fn takes_integers(&self) -> bool {
        matches!(self.weights, Weights::Planes(_))
    }

    /// `y = W x` for each vector of a batch, with the bits of [`Linear::matvec`]: `floats` are the
    /// vectors one after the other, `integers` the same quantised, which digit planes take.
    ///
    /// # Errors
    /// [`CudaError::Shape`] when a size does not match, [`CudaError::Unsupported`] for a lane that
    /// is not stored.
    pub fn multiply(
        &self,
        stream: &Stream,
        lane: PrecisionLane,
        floats: &Buffer<f32>,
        integers: &Activations,
        y: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let batch = y.len() / self.rows.max(1);
        same_len(batch * self.rows, y.len())?;
        match &self.weights {
            Weights::Planes(planes) => {
                same_len(self.cols, integers.len())?;
                same_len(batch, integers.batch())?;
                let lane = planes.lane(lane);
                let (raw, x, y) = (self.raw(planes, lane)?, integers.raw(), y.address());
                if batch >= MANY {
                    let kernel = name(MATMUL_NAMES, lane, planes.group)?;
                    let (across, down) = (self.rows.div_ceil(TILE), batch.div_ceil(TILE));
                    let shape = Shape { blocks: [blocks(across)?, blocks(down)?, 1], threads: 128 };
                    let batch = counted("vectors", batch)?;
                    // SAFETY: the sizes were checked above.
                    return unsafe { launch!(stream, &MATMUL, kernel, shape; raw, batch, x, y) };
                }
                let (kernel, (team, shape)) =
                    (name(MATVEC, lane, planes.group)?, self.teams(self.rows, batch)?);
                // SAFETY: the sizes were checked above.
                unsafe { launch!(stream, &DIGITS, kernel, shape; raw, team, x, y) }
            }
            Weights::Blocks(blocks) => blocks.multiply(stream, floats, y),
        }
    }

    /// Rows `tokens[i]` as floats: entries of an embedding table, with the bits of [`Linear::row`].
    /// Zeros for a row that is not there.
    ///
    /// # Errors
    /// As [`multiply`](Self::multiply).
    pub fn gather(
        &self,
        stream: &Stream,
        lane: PrecisionLane,
        tokens: &Buffer<u32>,
        x: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        same_len(tokens.len() * self.cols, x.len())?;
        match &self.weights {
            Weights::Planes(planes) => {
                let lane = planes.lane(lane);
                let (kernel, raw) = (name(ROW, lane, planes.group)?, self.raw(planes, lane)?);
                let shape = over(units(self.cols), tokens.len())?;
                let (ids, to) = (tokens.address(), x.address());
                // SAFETY: the sizes were checked above; the kernel checks the tokens.
                unsafe { launch!(stream, &DIGITS, kernel, shape; raw, ids, to) }
            }
            Weights::Blocks(blocks) => blocks.gather(stream, tokens, x),
        }
    }

    /// The planes as a kernel takes them at a lane, without what is read at the lane `above`; and
    /// the group of their scales.
    pub(crate) fn view(
        &self,
        above: Option<PrecisionLane>,
        lane: PrecisionLane,
    ) -> Result<(RawPlanes, Group), CudaError> {
        let Weights::Planes(planes) = &self.weights else {
            return Err(CudaError::Unsupported { what: "neurons that are not in planes".into() });
        };
        let is_stored = match planes.top {
            PrecisionLane::Ternary => lane == PrecisionLane::Ternary,
            top => (PrecisionLane::Bit3..=top).contains(&lane),
        };
        if !is_stored {
            return Err(CudaError::Unsupported { what: format!("lane {lane}, not stored") });
        }
        let mut raw = self.raw(planes, lane)?;
        let above = above.and_then(|above| planes.zeros.get(above as usize));
        raw.zero -= above.copied().unwrap_or(0);
        Ok((raw, planes.group))
    }

    /// Bytes that a lane reads, without the planes that the lane `above` has read: those of
    /// [`LaneView::bytes`](trilane_core::digits::LaneView::bytes).
    pub(crate) fn bytes(&self, above: Option<PrecisionLane>, lane: PrecisionLane) -> usize {
        let Weights::Planes(planes) = &self.weights else { return 0 };
        let tiers = |lane: PrecisionLane| lane.tiers().unwrap_or(1);
        let read = above.map_or(0, tiers);
        let digits = planes.digits.get(read..tiers(lane)).unwrap_or(&[]);
        let high = planes.high.as_ref().filter(|_| above.is_none());
        let scales = planes.group_scales.len() + size_of::<f32>() * self.rows;
        digits.iter().flatten().chain(high).map(Buffer::len).sum::<usize>() + scales
    }

    /// The highest lane stored in planes.
    pub(crate) fn top_lane(&self) -> Option<PrecisionLane> {
        match &self.weights {
            Weights::Planes(planes) => Some(planes.top),
            Weights::Blocks(_) => None,
        }
    }

    /// Threads that take a few rows together, and the shape of the launch: few threads for short
    /// rows, and enough blocks that no multiprocessor waits.
    pub(crate) fn teams(&self, rows: usize, batch: usize) -> Result<(i32, Shape), CudaError> {
        let threads: usize = 128;
        let team: usize = match units(self.cols) {
            0..=8 => 4,
            9..=64 => 8,
            65..=128 => 16,
            _ => 32,
        };
        let blocks = [blocks(rows.div_ceil(threads / team * ROWS))?, blocks(batch)?, 1];
        Ok((counted("threads", team)?, Shape { blocks, threads: 128 }))
    }

    fn raw(&self, planes: &Planes, lane: PrecisionLane) -> Result<RawPlanes, CudaError> {
        let tier = lane.tiers().unwrap_or(1).saturating_sub(1);
        let address = |buffer: Option<&Buffer<u8>>| buffer.map_or(0, Buffer::address);
        let row_scales = planes.row_scales.get(tier).and_then(Option::as_ref);
        let missing = || CudaError::Unsupported { what: format!("lane {lane}, not stored") };
        let [first, second, third] = &planes.digits;
        Ok(RawPlanes {
            high: address(planes.high.as_ref()),
            digits: [first, second, third].map(|plane| address(plane.as_ref())),
            group_scales: planes.group_scales.address(),
            row_scales: row_scales.ok_or_else(missing)?.address(),
            rows: counted("rows", self.rows)?,
            cols: counted("columns", self.cols)?,
            zero: planes.zeros.get(lane as usize).copied().ok_or_else(missing)?,
            padding: 0,
        })
    }
}

/// Rows that a team takes together; the kernel's number.
const ROWS: usize = 4;

/// Rows, and vectors, of a block of threads of the product with many vectors; the kernel's number.
const TILE: usize = 64;

/// Vectors from which on they are multiplied by the tensor cores: eight fill one of their tiles.
const MANY: usize = 8;

impl Planes {
    fn upload(
        stream: &Stream,
        matrix: &DigitMatrix<'_>,
        floor: PrecisionLane,
    ) -> Result<Self, CudaError> {
        let (high, digits, row_scales) = match matrix.planes() {
            DigitPlanes::Ternary { digits, row_scales } => {
                (None, [Some(digits), None, None], [Some(row_scales), None, None])
            }
            DigitPlanes::Nested { high, digits, row_scales } => (Some(high), digits, row_scales),
        };
        let plane =
            |plane: Option<&[u8]>| plane.map(|plane| Buffer::from_host(stream, plane)).transpose();
        let scales = |scales: Option<&[f32]>| {
            scales.map(|scales| Buffer::from_host(stream, scales)).transpose()
        };
        let [first, second, third] = digits;
        let [low, middle, top] = row_scales;
        let zero = |lane| matrix.lane(lane).map_or(0, |view| -view.value(0));
        let [ternary, bit3, bit5, bit7, _] = PrecisionLane::ALL;
        Ok(Self {
            group: matrix.group(),
            top: matrix.top_lane(),
            floor,
            group_scales: Buffer::from_host(stream, matrix.group_scales())?,
            high: plane(high)?,
            digits: [plane(first)?, plane(second)?, plane(third)?],
            row_scales: [scales(low)?, scales(middle)?, scales(top)?],
            zeros: [ternary, bit3, bit5, bit7].map(zero),
        })
    }

    /// The lane at which the matrix is read when `lane` is asked for.
    fn lane(&self, lane: PrecisionLane) -> PrecisionLane {
        lane.max(self.floor).min(self.top)
    }
}

/// Names of a kernel for each lane and group.
pub(crate) type Names<const N: usize = 4> = [[&'static str; 3]; N];

/// The names that a template gives.
macro_rules! names {
    ($kernel:literal) => {
        names!($kernel, "TERNARY", "BIT3", "BIT5", "BIT7")
    };
    ($kernel:literal, $($lane:literal),*) => {
        [$([
            concat!($kernel, "<", $lane, ", 0>"),
            concat!($kernel, "<", $lane, ", 32>"),
            concat!($kernel, "<", $lane, ", 64>"),
        ]),*]
    };
}
pub(crate) use names;

const MATVEC: Names = names!("lane_matvec");
const MATMUL_NAMES: Names = names!("lane_matmul");
const ROW: Names = names!("lane_row");

/// The kernel for a lane and a group.
pub(crate) fn name(
    names: Names,
    lane: PrecisionLane,
    group: Group,
) -> Result<&'static str, CudaError> {
    let found = names.get(lane as usize).map(|names| of_group(*names, group));
    found.ok_or_else(|| CudaError::Unsupported { what: format!("lane {lane}") })
}

/// The kernel for a group.
pub(crate) fn of_group([row, g32, g64]: [&'static str; 3], group: Group) -> &'static str {
    match group {
        Group::Row => row,
        Group::G32 => g32,
        Group::G64 => g64,
    }
}
