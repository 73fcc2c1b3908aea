//! The memory that a decoder needs, as a number, and cutting it up.

use super::{Header, ModelError};
use crate::nn::KvCache;
use crate::quant::activation_lens;
use bytemuck::{Pod, Zeroable};

/// A cache line: the unit that an arena is counted in, so that every part of it is aligned.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Line([u8; 64]);

impl Line {
    /// A line of zeros.
    pub const ZERO: Self = Self([0; 64]);
}

/// Lines that so many bytes take.
pub(super) const fn lines(bytes: usize) -> usize {
    bytes.div_ceil(size_of::<Line>())
}

const fn some_lines(bytes: Option<usize>) -> Option<usize> {
    match bytes {
        Some(bytes) => Some(lines(bytes)),
        None => None,
    }
}

const fn float_lines(floats: Option<usize>) -> Option<usize> {
    match floats {
        Some(n) => some_lines(n.checked_mul(size_of::<f32>())),
        None => None,
    }
}

/// Lengths of the float buffers of a decoder.
const fn float_lens(header: &Header, capacity: usize) -> [Option<usize>; 14] {
    let heads = header.attention.heads;
    let scratch = match capacity.checked_add(header.attention.head_dim) {
        Some(piece) => heads.checked_mul(piece),
        None => None,
    };
    let convolutions = header.convolution_blocks();
    let history = match convolutions.checked_mul(header.dim) {
        Some(token) => token.checked_mul(capacity),
        None => None,
    };
    [
        KvCache::floats(header.attention_blocks(), capacity, header.kv_len()),
        history,
        // B, C and x of a token.
        if convolutions > 0 { header.dim.checked_mul(3) } else { Some(0) },
        scratch,
        Some(header.dim),
        Some(header.dim),
        Some(header.dim),
        Some(header.query_len()),
        Some(header.query_len()),
        Some(header.hidden),
        Some(header.hidden),
        Some(header.vocabulary),
        Some(header.rope_dim / 2),
        Some(header.rope_dim / 2),
    ]
}

/// Neurons that sparse feed-forward blocks need room for; none where they are dense.
const fn sparse_neurons(header: &Header) -> usize {
    if header.sparse_rank.is_some() { header.hidden } else { 0 }
}

impl Header {
    /// Lines of memory that a decoder with room for `capacity` tokens needs, or `None` when that
    /// is more than the address space. Known before any weight is read.
    pub const fn arena_lines(&self, capacity: usize) -> Option<usize> {
        let (q, multipliers, sums) = activation_lens(self.longest_input());
        let floats = float_lens(self, capacity);
        let mut total = Some(lines(q));
        let neurons = sparse_neurons(self);
        let integers = [
            float_lines(Some(multipliers)),
            Some(lines(size_of::<i16>() * sums)),
            // Predictions, two arrays of sums, the chosen neurons and their values.
            float_lines(Some(neurons)),
            Some(lines(size_of::<i64>() * neurons)),
            Some(lines(size_of::<i64>() * neurons)),
            float_lines(Some(neurons)),
            Some(lines(size_of::<i16>() * neurons)),
        ];
        let mut i = 0;
        while i < floats.len() + integers.len() {
            let next =
                if i < floats.len() { float_lines(floats[i]) } else { integers[i - floats.len()] };
            total = match (total, next) {
                (Some(total), Some(next)) => total.checked_add(next),
                _ => None,
            };
            i += 1;
        }
        total
    }

    /// [`arena_lines`](Self::arena_lines) in bytes.
    pub const fn arena_bytes(&self, capacity: usize) -> Option<usize> {
        match self.arena_lines(capacity) {
            Some(lines) => lines.checked_mul(size_of::<Line>()),
            None => None,
        }
    }
}

/// Buffers of a decoder, cut from an arena.
#[derive(Debug)]
pub(super) struct Buffers<'a> {
    pub(super) cache: &'a mut [f32],
    pub(super) history: &'a mut [f32],
    pub(super) projected: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
    pub(super) x: &'a mut [f32],
    pub(super) normed: &'a mut [f32],
    pub(super) delta: &'a mut [f32],
    pub(super) query: &'a mut [f32],
    pub(super) attended: &'a mut [f32],
    pub(super) gate: &'a mut [f32],
    pub(super) up: &'a mut [f32],
    pub(super) logits: &'a mut [f32],
    pub(super) cos: &'a mut [f32],
    pub(super) sin: &'a mut [f32],
    pub(super) q: &'a mut [i8],
    pub(super) multipliers: &'a mut [u32],
    pub(super) sums: &'a mut [i16],
    pub(super) sparse: SparseBuffers<'a>,
}

/// The part of the buffers that sparse feed-forward blocks use.
#[derive(Debug)]
pub(super) struct SparseBuffers<'a> {
    pub(super) scores: &'a mut [f32],
    pub(super) gate_sums: &'a mut [i64],
    pub(super) up_sums: &'a mut [i64],
    pub(super) rows: &'a mut [u32],
    pub(super) q: &'a mut [i16],
}

impl<'a> SparseBuffers<'a> {
    fn cut(header: &Header, rest: &mut &'a mut [Line]) -> Option<Self> {
        let neurons = sparse_neurons(header);
        Some(Self {
            scores: take(rest, Some(neurons))?,
            gate_sums: take(rest, Some(neurons))?,
            up_sums: take(rest, Some(neurons))?,
            rows: take(rest, Some(neurons))?,
            q: take(rest, Some(neurons))?,
        })
    }
}

impl<'a> Buffers<'a> {
    /// Cuts an arena of at least [`Header::arena_lines`] into buffers.
    pub(super) fn cut(
        header: &Header,
        capacity: usize,
        arena: &'a mut [Line],
    ) -> Result<Self, ModelError> {
        let actual = arena.len();
        let expected = header.arena_lines(capacity).unwrap_or(usize::MAX);
        let error =
            ModelError::Memory { what: "the arena (in lines of 64 bytes)", expected, actual };
        let mut rest = arena.get_mut(..expected).ok_or(error)?;
        let [
            cache,
            history,
            projected,
            scratch,
            x,
            normed,
            delta,
            query,
            attended,
            gate,
            up,
            logits,
            cos,
            sin,
        ] = float_lens(header, capacity).map(|len| take(&mut rest, len));
        let (q, multipliers, sums) = activation_lens(header.longest_input());
        let (q, multipliers, sums) = (
            take(&mut rest, Some(q)),
            take(&mut rest, Some(multipliers)),
            take(&mut rest, Some(sums)),
        );
        Ok(Self {
            cache: cache.ok_or(error)?,
            history: history.ok_or(error)?,
            projected: projected.ok_or(error)?,
            scratch: scratch.ok_or(error)?,
            x: x.ok_or(error)?,
            normed: normed.ok_or(error)?,
            delta: delta.ok_or(error)?,
            query: query.ok_or(error)?,
            attended: attended.ok_or(error)?,
            gate: gate.ok_or(error)?,
            up: up.ok_or(error)?,
            logits: logits.ok_or(error)?,
            cos: cos.ok_or(error)?,
            sin: sin.ok_or(error)?,
            q: q.ok_or(error)?,
            multipliers: multipliers.ok_or(error)?,
            sums: sums.ok_or(error)?,
            sparse: SparseBuffers::cut(header, &mut rest).ok_or(error)?,
        })
    }
}

/// The next `len` elements of an arena, starting at a line.
pub(super) fn take<'a, T: Pod>(
    rest: &mut &'a mut [Line],
    len: Option<usize>,
) -> Option<&'a mut [T]> {
    let len = len?;
    let lines = lines(len.checked_mul(size_of::<T>())?);
    let (part, after) = core::mem::take(rest).split_at_mut_checked(lines)?;
    *rest = after;
    bytemuck::try_cast_slice_mut(part).ok()?.get_mut(..len)
}
