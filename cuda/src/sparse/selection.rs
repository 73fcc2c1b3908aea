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
    lists: i32,
    largest: [i32; LISTS],
    least: f32,
}

/// Threads of a block; they have as many warps as the kernel counts.
const THREADS: u32 = 1024;

/// Chooses neurons by the scores of each vector; the lists, at most three, of a block at `lane`.
///
/// # Errors
/// [`CudaError::Unsupported`] for [`Selection::Bytes`].
pub(super) fn select(
    stream: &Stream,
    selection: Selection,
    lane: PrecisionLane,
    scratch: &mut SparseBuffers,
) -> Result<Vec<List>, CudaError> {
    let n = scratch.hidden;
    // Rounded up, as the specification does it.
    let share = |share: f32| ((share * n as f32).ceil() as usize).min(n);
    let (counts, least): (&[usize], f32) = match selection {
        Selection::All => {
            return Ok(vec![List::all(n, scratch.batch, lane)?]);
        }
        Selection::TopK(k) => (&[k.min(n)], 0.0),
        Selection::Share(of) => (&[share(of)], 0.0),
        Selection::Threshold(least) => (&[], least),
        Selection::Lanes([a, b, c]) => (&[share(a), share(a + b), share(a + b + c)], 0.0),
        Selection::Bytes(_) => {
            let what = "a selection by bytes".into();
            return Err(CudaError::Unsupported { what });
        }
    };
    let mut choice = RawChoice { lists: 1, largest: [-1; LISTS], least };
    let lanes = [lane, lane.min(PrecisionLane::Bit5), lane.min(PrecisionLane::Bit3)];
    for (number, (&count, to)) in counts.iter().zip(&mut choice.largest).enumerate() {
        choice.lists = counted("lists", number + 1)?;
        *to = counted("neurons", count)?;
    }
    let mut lists = Vec::new();
    let most = if counts.is_empty() { &[n] } else { counts };
    for (number, (&most, lane)) in most.iter().zip(lanes).enumerate() {
        lists.push(List::selected(scratch, number, lane, most)?);
    }
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
