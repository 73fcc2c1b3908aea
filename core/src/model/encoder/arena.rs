//! The memory that an encoder needs, as a number, and cutting it up.

use super::super::ModelError;
use super::super::arena::{Line, lines, take};
use super::EncoderHeader;
use crate::quant::{ActivationsBuf, activation_lens};

/// Tokens that go through a matrix together.
pub(super) const TOGETHER: usize = 8;

/// Lengths of the float buffers, in the order of [`Buffers`].
const fn float_lens(header: &EncoderHeader, capacity: usize) -> [Option<usize>; 9] {
    let all = capacity.checked_mul(header.dim);
    let scratch = match header.dim.checked_add(capacity) {
        Some(piece) => piece.checked_mul(TOGETHER),
        None => None,
    };
    let some = header.dim.checked_mul(TOGETHER);
    let ends = header.longest_input().checked_mul(if header.centred { 2 } else { 0 });
    [all, all, all, all, scratch, some, some, header.hidden.checked_mul(TOGETHER), ends]
}

/// Lengths of int8 values, multipliers and sums of the tokens that go through a matrix together.
const fn integer_lens(header: &EncoderHeader) -> [Option<usize>; 3] {
    let (q, multipliers, sums) = activation_lens(header.longest_input());
    [q.checked_mul(TOGETHER), multipliers.checked_mul(TOGETHER), sums.checked_mul(TOGETHER)]
}

/// `total` and the lines of that many elements.
const fn with(total: Option<usize>, len: Option<usize>, size: usize) -> Option<usize> {
    match (total, len) {
        (Some(total), Some(len)) => match len.checked_mul(size) {
            Some(bytes) => total.checked_add(lines(bytes)),
            None => None,
        },
        _ => None,
    }
}

impl EncoderHeader {
    /// Lines of memory that an encoder of texts of up to `capacity` tokens needs, or `None` when
    /// that is more than the address space. Known before any weight is read.
    pub const fn arena_lines(&self, capacity: usize) -> Option<usize> {
        let floats = float_lens(self, capacity);
        let [q, multipliers, sums] = integer_lens(self);
        let mut total = with(Some(0), q, size_of::<i8>());
        total = with(total, multipliers, size_of::<u32>());
        total = with(total, sums, size_of::<i16>());
        let mut i = 0;
        while i < floats.len() {
            total = with(total, floats[i], size_of::<f32>());
            i += 1;
        }
        total
    }
}

/// Buffers of an encoder, cut from an arena.
#[derive(Debug)]
pub(super) struct Buffers<'a> {
    /// The vectors of all tokens, and their queries, keys and values.
    pub(super) x: &'a mut [f32],
    pub(super) queries: &'a mut [f32],
    pub(super) keys: &'a mut [f32],
    pub(super) values: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
    /// Of some tokens: what attention gives, what is added to `x`, the hidden layer.
    pub(super) attended: &'a mut [f32],
    pub(super) delta: &'a mut [f32],
    pub(super) hidden: &'a mut [f32],
    /// Inputs of the first and the last token, less their centres.
    pub(super) ends: &'a mut [f32],
    pub(super) integers: [ActivationsBuf<'a>; TOGETHER],
}

impl<'a> Buffers<'a> {
    /// Cuts an arena of at least [`EncoderHeader::arena_lines`] into buffers.
    pub(super) fn cut(
        header: &EncoderHeader,
        capacity: usize,
        arena: &'a mut [Line],
    ) -> Result<Self, ModelError> {
        let actual = arena.len();
        let expected = header.arena_lines(capacity).unwrap_or(usize::MAX);
        let error =
            ModelError::Memory { what: "the arena (in lines of 64 bytes)", expected, actual };
        let mut rest = arena.get_mut(..expected).ok_or(error)?;
        let [x, queries, keys, values, scratch, attended, delta, hidden, ends] =
            float_lens(header, capacity).map(|len| take(&mut rest, len));
        let [q, multipliers, sums] = integer_lens(header);
        let (one_q, one_multipliers, one_sums) = activation_lens(header.longest_input());
        let mut q = take(&mut rest, q).ok_or(error)?.chunks_exact_mut(one_q.max(1));
        let multipliers: &mut [u32] = take(&mut rest, multipliers).ok_or(error)?;
        let mut multipliers = multipliers.chunks_exact_mut(one_multipliers.max(1));
        let sums: &mut [i16] = take(&mut rest, sums).ok_or(error)?;
        let mut sums = sums.chunks_exact_mut(one_sums.max(1));
        let integers = core::array::from_fn(|_| {
            ActivationsBuf::new(
                q.next().unwrap_or_default(),
                multipliers.next().unwrap_or_default(),
                sums.next().unwrap_or_default(),
            )
        });
        Ok(Self {
            x: x.ok_or(error)?,
            queries: queries.ok_or(error)?,
            keys: keys.ok_or(error)?,
            values: values.ok_or(error)?,
            scratch: scratch.ok_or(error)?,
            attended: attended.ok_or(error)?,
            delta: delta.ok_or(error)?,
            hidden: hidden.ok_or(error)?,
            ends: ends.ok_or(error)?,
            integers,
        })
    }
}
