//! Products with the rows of chosen neurons, and sums of such rows.

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

use super::SparseBuffers;
use crate::activations::{Activations, Status, blocks, over};
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted};
use crate::kernels::NEURONS;
use crate::matrix::{Matrix, Names, name, names, of_group};
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::digits::{Group, units};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::Activation;

/// A list of neurons as the kernels take it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawList {
    rows: u64,
    counts: u64,
    neurons: i32,
    number: i32,
}

/// A list of neurons and the lane that they are computed at.
#[derive(Clone, Copy)]
pub(super) struct List {
    raw: RawList,
    pub(super) lane: PrecisionLane,
    /// Vectors, and how many neurons a list has at most.
    vectors: usize,
    most: usize,
}

impl List {
    /// All neurons.
    pub(super) fn all(
        neurons: usize,
        vectors: usize,
        lane: PrecisionLane,
    ) -> Result<Self, CudaError> {
        let raw = RawList { rows: 0, counts: 0, neurons: counted("neurons", neurons)?, number: 0 };
        Ok(Self { raw, lane, vectors, most: neurons })
    }

    /// The same neurons at another lane.
    pub(super) fn at(self, lane: PrecisionLane) -> Self {
        Self { lane, ..self }
    }

    /// Those of a list that was selected.
    pub(super) fn selected(
        scratch: &SparseBuffers,
        number: usize,
        lane: PrecisionLane,
        most: usize,
    ) -> Result<Self, CudaError> {
        let raw = RawList {
            rows: scratch.rows.address(),
            counts: scratch.counts.address(),
            neurons: counted("neurons", scratch.hidden)?,
            number: counted("lists", number)?,
        };
        Ok(Self { raw, lane, vectors: scratch.batch, most })
    }
}

/// Kernels of products: of each lane, and of Bit5 beyond Bit3, Bit7 beyond Bit5 and beyond Bit3.
const PRODUCTS: Names<7> = names!(
    "neuron_products",
    "TERNARY",
    "BIT3",
    "BIT5",
    "BIT7",
    "SECOND",
    "THIRD",
    "SECOND | THIRD"
);
const COMBINE: Names = names!("combine");

/// `y` = the products of the rows of a list with the vectors, at its lane or that of the sums that
/// are known, where that is higher. `sums` receives the integers, by neuron.
pub(super) fn products(
    stream: &Stream,
    matrix: &Matrix,
    x: &Activations,
    list: &List,
    known: Option<(PrecisionLane, &Buffer<i64>)>,
    sums: Option<&mut Buffer<i64>>,
    y: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    use PrecisionLane::{Bit3, Bit5};
    let lane = known.map_or(list.lane, |known| known.0.max(list.lane));
    let (x, y) = (x.raw(), y.address());
    let sums = sums.map_or(0, |sums| sums.address());
    let known_sums = known.map_or(0, |(_, known)| known.address());
    if known.is_some_and(|known| known.0 >= lane) {
        let (scales, step) = (matrix.view(None, lane)?.0.row_scales, x.step);
        let (shape, list) = (over(list.most, list.vectors)?, list.raw);
        // SAFETY: the caller has checked the sizes.
        return unsafe {
            launch!(stream, &NEURONS, "known_products", shape; scales, step, list, known_sums, y)
        };
    }
    let above = known.map(|known| known.0);
    let (raw, group) = matrix.view(above, lane)?;
    let kernel = match (above, lane) {
        (None, lane) => lane as usize,
        (Some(Bit3), Bit5) => 4,
        (Some(Bit5), _) => 5,
        _ => 6,
    };
    let unsupported = || CudaError::Unsupported { what: format!("lane {lane}") };
    let kernel = of_group(PRODUCTS.get(kernel).copied().ok_or_else(unsupported)?, group);
    let (team, shape) = matrix.teams(list.most, list.vectors)?;
    let list = list.raw;
    // SAFETY: as above.
    unsafe { launch!(stream, &NEURONS, kernel, shape; raw, team, x, list, known_sums, sums, y) }
}

/// Names of a kernel for each function of a hidden layer.
macro_rules! activations {
    ($kernel:literal) => {
        |activation| match activation {
            Activation::Identity => concat!($kernel, "<IDENTITY>"),
            Activation::Relu => concat!($kernel, "<RELU>"),
            Activation::Relu2 => concat!($kernel, "<RELU2>"),
            Activation::Gelu => concat!($kernel, "<GELU>"),
            Activation::GeluErf => concat!($kernel, "<GELU_ERF>"),
            Activation::Silu => concat!($kernel, "<SILU>"),
        }
    };
}
const SCORES: fn(Activation) -> &'static str = activations!("neuron_scores");
const VALUES: fn(Activation) -> &'static str = activations!("neuron_values");

fn address(buffer: Option<&Buffer<f32>>) -> u64 {
    buffer.map_or(0, Buffer::address)
}

/// `scores = |act(scores + bias) · up · importance|`.
pub(super) fn scores(
    stream: &Stream,
    activation: Activation,
    scores: &mut Buffer<f32>,
    [bias, up, importance]: [Option<&Buffer<f32>>; 3],
    (neurons, vectors): (usize, usize),
    nan_is_zero: bool,
) -> Result<(), CudaError> {
    let (shape, n) = (over(neurons, vectors)?, counted("neurons", neurons)?);
    let (scores, kernel) = (scores.address(), SCORES(activation));
    let (bias, up, importance) = (address(bias), address(up), address(importance));
    let nan_is_zero = i32::from(nan_is_zero);
    // SAFETY: the caller has checked the sizes.
    unsafe {
        launch!(stream, &NEURONS, kernel, shape; scores, bias, up, importance, n, nan_is_zero)
    }
}

/// What the rows of a second matrix are multiplied with: `act(gate + bias) · up`.
#[derive(Clone, Copy)]
pub(super) struct Hidden<'a> {
    pub(super) activation: Activation,
    pub(super) gate: &'a Buffer<f32>,
    pub(super) bias: Option<&'a Buffer<f32>>,
    pub(super) up: Option<&'a Buffer<f32>>,
}

/// Where sums of rows are made.
#[derive(Debug)]
pub(super) struct Sums {
    values: Buffer<f32>,
    q: Buffer<i32>,
    step: Buffer<f32>,
    sums: Buffer<u32>,
}

/// Blocks of threads that share the rows of a sum.
const SLICES: usize = 64;
/// Threads of a block that takes the integers of a vector.
const INTEGERS: u32 = 256;

impl Sums {
    /// Room for `neurons` rows of `outputs` columns.
    pub(super) fn new(
        stream: &Stream,
        vectors: usize,
        neurons: usize,
        outputs: usize,
    ) -> Result<Self, CudaError> {
        Ok(Self {
            values: Buffer::zeros(stream, vectors * neurons)?,
            q: Buffer::zeros(stream, vectors * neurons)?,
            step: Buffer::zeros(stream, vectors)?,
            sums: Buffer::zeros(stream, vectors * outputs)?,
        })
    }

    /// `y = Σ h[i] · row[i] + bias` over the rows of all lists. Exact but for the integers that
    /// stand for `h`; values that are not finite are noted.
    #[allow(clippy::too_many_arguments, reason = "a sum, its parts and where it notes")]
    pub(super) fn combine(
        &mut self,
        stream: &Stream,
        down: &Matrix,
        lists: &[List],
        hidden: Hidden<'_>,
        bias: Option<&Buffer<f32>>,
        y: &mut Buffer<f32>,
        status: &mut Status,
        layer: i32,
    ) -> Result<(), CudaError> {
        let Some(last) = lists.last() else { return Ok(()) };
        let (gate, gate_bias, up) =
            (hidden.gate.address(), address(hidden.bias), address(hidden.up));
        let (h, q, step) = (self.values.address(), self.q.address(), self.step.address());
        let (sums, vectors) = (self.sums.address(), last.vectors);
        let mut unit = 1.0f32;
        for list in lists {
            let (view, group) = down.view(None, list.lane)?;
            // The integers that multiply the weights are divided by 256 with the group scale.
            unit = if group == Group::Row { 1.0 } else { 256.0 };
            let (shape, kernel) = (over(list.most, vectors)?, VALUES(hidden.activation));
            let (list, scales) = (list.raw, view.row_scales);
            // SAFETY: the caller has checked the sizes.
            unsafe {
                launch!(stream, &NEURONS, kernel, shape; list, gate, gate_bias, up, scales, h)?;
            }
        }
        let shape = Shape { blocks: [blocks(vectors)?, 1, 1], threads: INTEGERS };
        let status = status.0.address();
        // SAFETY: as above.
        unsafe {
            launch!(
                stream, &NEURONS, "neuron_integers", shape;
                last.raw, h, unit, q, step, status, layer
            )?;
        }
        self.sums.clear(stream)?;
        for list in lists {
            let (view, group) = down.view(None, list.lane)?;
            let words = 4 * units(down.cols());
            let slices = list.most.div_ceil(4).min(SLICES);
            let blocks = [blocks(words.div_ceil(64))?, blocks(slices)?, blocks(vectors)?];
            let (shape, list) = (Shape { blocks, threads: 64 }, list);
            let (kernel, list) = (name(COMBINE, list.lane, group)?, list.raw);
            // SAFETY: as above.
            unsafe { launch!(stream, &NEURONS, kernel, shape; view, list, q, sums)? }
        }
        let (shape, n) = (over(down.cols(), vectors)?, counted("columns", down.cols())?);
        let (bias, y) = (address(bias), y.address());
        // SAFETY: as above.
        unsafe { launch!(stream, &NEURONS, "combined", shape; sums, step, bias, n, y) }
    }
}
