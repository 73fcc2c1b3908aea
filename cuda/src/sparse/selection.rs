//! Which neurons are computed.

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

use super::SparseBuffers;
use super::rows::List;
use crate::activations::blocks;
use crate::driver::Shape;
use crate::error::{CudaError, counted};
use crate::kernels::SELECTION;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::Selection;

/// Lists of neurons, by lane.
pub(super) const LISTS: usize = 3;

/// As the kernel takes what is to be chosen.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawChoice {
    by: i32,
    lists: i32,
    largest: [i32; LISTS],
    least: f32,
    bytes: [u32; LISTS],
    factors: [f32; LISTS],
    budget: u64,
}

/// What the kernel chooses by: numbers of neurons, a threshold, or bytes.
const LARGEST: i32 = 0;
const LEAST: i32 = 1;
const BYTES: i32 = 2;

/// What a selection costs: bytes of a neuron at Bit7, Bit5 and Bit3, of the prediction, and of the
/// dense block.
#[derive(Clone, Copy)]
pub(super) struct Costs {
    pub(super) neuron: [usize; LISTS],
    pub(super) prediction: usize,
    pub(super) dense: usize,
}

/// Neurons that are counted for a selection by bytes.
const MAX_NEURONS: usize = (1 << 21) - 1;

/// Threads of a block; they have as many warps as the kernel counts.
const THREADS: u32 = 1024;

/// Chooses neurons by the scores of each vector; the lists, at most three, of a block at `lane`.
///
/// # Errors
/// [`CudaError::Size`] for [`Selection::Bytes`] of more than [`MAX_NEURONS`].
pub(super) fn select(
    stream: &Stream,
    selection: Selection,
    lane: PrecisionLane,
    costs: Costs,
    scratch: &mut SparseBuffers,
) -> Result<Vec<List>, CudaError> {
    let n = scratch.hidden;
    // Rounded up, as the specification does it.
    let share = |share: f32| ((share * n as f32).ceil() as usize).min(n);
    let mut choice = RawChoice::zeroed();
    // Neurons of all lists up to each.
    let most = match selection {
        Selection::All => return Ok(vec![List::all(n, scratch.batch, lane)?]),
        Selection::TopK(k) => vec![k.min(n)],
        Selection::Share(of) => vec![share(of)],
        Selection::Lanes([a, b, c]) => vec![share(a), share(a + b), share(a + b + c)],
        Selection::Threshold(least) => {
            (choice.by, choice.least) = (LEAST, least);
            vec![n]
        }
        Selection::Bytes(of) => {
            let budget = (f64::from(of) * costs.dense as f64) as usize;
            match budget.checked_sub(costs.prediction) {
                Some(budget) => {
                    if n > MAX_NEURONS {
                        let (what, greatest) = ("neurons chosen by bytes", MAX_NEURONS);
                        return Err(CudaError::Size { what, size: n, greatest });
                    }
                    (choice.by, choice.budget) = (BYTES, budget as u64);
                    choice.factors = Selection::byte_factors(costs.neuron);
                    for (to, bytes) in choice.bytes.iter_mut().zip(costs.neuron) {
                        *to = counted("bytes of a neuron", bytes)?.unsigned_abs();
                    }
                    vec![n; LISTS]
                }
                None => vec![0],
            }
        }
    };
    choice.lists = counted("lists", most.len())?;
    if choice.by == LARGEST {
        for (to, &count) in choice.largest.iter_mut().zip(&most) {
            *to = counted("neurons", count)?;
        }
    }
    let lanes = [lane, lane.min(PrecisionLane::Bit5), lane.min(PrecisionLane::Bit3)];
    let each = most.into_iter().zip(lanes).enumerate();
    let lists = each.map(|(number, (most, lane))| List::selected(scratch, number, lane, most));
    let lists = lists.collect::<Result<Vec<_>, _>>()?;
    let shape = Shape { blocks: [blocks(scratch.batch)?, 1, 1], threads: THREADS };
    let (scores, neurons) = (scratch.scores.address(), counted("neurons", n)?);
    let (rows, counts) = (scratch.rows.address(), scratch.counts.address());
    // SAFETY: the scratch memory was made for as many neurons and vectors.
    unsafe {
        launch!(
            stream, &SELECTION, "select_neurons", shape;
            scores, neurons, choice, rows, counts
        )?;
    }
    Ok(lists)
}
