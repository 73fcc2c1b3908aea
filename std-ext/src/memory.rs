//! The memory that a model borrows, from the heap.

use bytemuck::allocation::try_zeroed_slice_box;
use std::fmt;
use trilane_core::gguf::Gguf;
use trilane_core::model::{EncoderHeader, Header, Layer, Line, ModelError};
#[cfg(feature = "sparse")]
use trilane_core::nn::SparseScratch;
#[cfg(feature = "sparse")]
use trilane_core::quant::{ActivationsBuf, activation_lens};

/// Places for the layers of a file's model.
///
/// No more than the file has tensors, whatever its header says, so that a hostile header cannot
/// ask for memory: [`Weights::load`](trilane_core::model::Weights::load) then refuses.
pub fn layers<'m>(file: &Gguf<'m>, header: &Header) -> Vec<Layer<'m>> {
    vec![Layer::EMPTY; header.layers.min(file.tensors().len())]
}

/// An arena for a decoder with room for `capacity` tokens. Pages are zero until they are touched.
///
/// # Errors
/// [`ModelError::Memory`] when the system does not have that much, with the lines found as 0.
pub fn arena(header: &Header, capacity: usize) -> Result<Box<[Line]>, ModelError> {
    lines(header.arena_lines(capacity))
}

/// As [`arena`], for an encoder.
///
/// # Errors
/// As [`arena`].
pub fn encoder_arena(header: &EncoderHeader, capacity: usize) -> Result<Box<[Line]>, ModelError> {
    lines(header.arena_lines(capacity))
}

fn lines(expected: Option<usize>) -> Result<Box<[Line]>, ModelError> {
    let expected = expected.unwrap_or(usize::MAX);
    let error = ModelError::Memory { what: "the arena (lines of 64 bytes)", expected, actual: 0 };
    if expected > isize::MAX as usize / size_of::<Line>() {
        return Err(error);
    }
    try_zeroed_slice_box(expected).map_err(|()| error)
}

/// Integers that stand for a vector.
#[cfg(feature = "sparse")]
pub(crate) struct Integers(Vec<i8>, Vec<u32>, Vec<i16>);

#[cfg(feature = "sparse")]
impl Integers {
    pub(crate) fn new(len: usize) -> Self {
        let (q, multipliers, sums) = activation_lens(len);
        Self(vec![0; q], vec![0; multipliers], vec![0; sums])
    }

    pub(crate) fn buf(&mut self) -> ActivationsBuf<'_> {
        ActivationsBuf::new(&mut self.0, &mut self.1, &mut self.2)
    }
}

/// What a sparse block computes in.
#[cfg(feature = "sparse")]
pub(crate) struct SparseMemory {
    scores: Vec<f32>,
    pub(crate) first: Vec<f32>,
    second: Vec<f32>,
    gate_sums: Vec<i64>,
    up_sums: Vec<i64>,
    pub(crate) rows: Vec<u32>,
    q: Vec<i16>,
}

#[cfg(feature = "sparse")]
impl SparseMemory {
    /// For `hidden` neurons.
    pub(crate) fn new(hidden: usize) -> Self {
        Self {
            scores: vec![0.0; hidden],
            first: vec![0.0; hidden],
            second: vec![0.0; hidden],
            gate_sums: vec![0; hidden],
            up_sums: vec![0; hidden],
            rows: vec![0; hidden],
            q: vec![0; hidden],
        }
    }

    pub(crate) fn scratch(&mut self) -> SparseScratch<'_> {
        SparseScratch {
            scores: &mut self.scores,
            first: &mut self.first,
            second: &mut self.second,
            gate_sums: &mut self.gate_sums,
            up_sums: &mut self.up_sums,
            rows: &mut self.rows,
            q: &mut self.q,
        }
    }
}

/// Memory that the system does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// What for.
    pub what: &'static str,
    /// Bytes needed.
    pub bytes: usize,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory for {}: {} bytes are not to be had", self.what, self.bytes)
    }
}

impl std::error::Error for OutOfMemory {}

/// `len` copies of a value.
///
/// # Errors
/// [`OutOfMemory`] where a vector's own constructor would end the process.
pub fn filled<T: Clone>(what: &'static str, value: T, len: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut values = Vec::new();
    let error = OutOfMemory { what, bytes: len.saturating_mul(size_of::<T>()) };
    values.try_reserve_exact(len).map_err(|_| error)?;
    values.resize(len, value);
    Ok(values)
}
