//! Rotary embedding, the key-value cache and attention, for a batch of sequences.

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

use crate::activations::{blocks, over};
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::ATTENTION;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::math::rsqrt;
use trilane_core::nn;

/// Threads of a block, and the tokens that it scores at a time, half a warp each.
const THREADS: u32 = 256;
const TOGETHER: usize = 16;

/// As the kernels take the shape.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawAttention {
    heads: i32,
    kv_heads: i32,
    head_dim: i32,
    capacity: i32,
    positions: u64,
}

/// Keys and values of the tokens of some sequences, in one layer: sequence by sequence, first all
/// keys, then all values.
pub type LayerCache = Buffer<f32>;

/// Attention of a batch of sequences, each over a cache of its own.
#[derive(Debug)]
pub struct Attention {
    shape: nn::Attention,
    rope_dim: usize,
    capacity: usize,
    sequences: usize,
    /// Cosines and sines of each position.
    table: Buffer<f32>,
    /// Scores of each head: capacity floats.
    scores: Buffer<f32>,
    /// Tokens of each sequence that are in the cache.
    positions: Buffer<i32>,
}

impl Attention {
    /// Attention for so many sequences of up to `capacity` tokens. The angles are those of
    /// [`nn::Rope`].
    ///
    /// # Errors
    /// [`CudaError::Memory`], [`CudaError::Size`].
    pub fn new(
        stream: &Stream,
        shape: nn::Attention,
        rope_dim: usize,
        rope_base: f32,
        capacity: usize,
        sequences: usize,
    ) -> Result<Self, CudaError> {
        let mut table = vec![0.0; capacity.saturating_mul(rope_dim)];
        for (position, angles) in table.chunks_mut(rope_dim.max(1)).enumerate() {
            let (cos, sin) = angles.split_at_mut(rope_dim / 2);
            nn::Rope::new(position, rope_base, cos, sin);
        }
        counted("tokens of all sequences", capacity.saturating_mul(sequences))?;
        let scores = sequences * shape.heads * capacity;
        Ok(Self {
            shape,
            rope_dim,
            capacity,
            sequences,
            table: Buffer::from_host(stream, &table)?,
            scores: Buffer::zeros(stream, scores)?,
            positions: Buffer::zeros(stream, sequences)?,
        })
    }

    /// Values in the keys of a token.
    fn width(&self) -> usize {
        self.shape.kv_heads * self.shape.head_dim
    }

    /// Values in the queries of a token.
    fn query_len(&self) -> usize {
        self.shape.heads * self.shape.head_dim
    }

    /// An empty cache for a layer.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn cache(&self, stream: &Stream) -> Result<LayerCache, CudaError> {
        Buffer::zeros(stream, self.cache_len())
    }

    fn cache_len(&self) -> usize {
        2 * self.sequences * self.capacity * self.width()
    }

    /// Says how many tokens of each sequence are in the cache.
    ///
    /// # Errors
    /// [`CudaError::Shape`] unless there is one number for each sequence,
    /// [`CudaError::CacheFull`] for a number beyond the capacity.
    pub fn set_positions(&mut self, stream: &Stream, positions: &[i32]) -> Result<(), CudaError> {
        let fits = |&p: &i32| usize::try_from(p).is_ok_and(|p| p <= self.capacity);
        if !positions.iter().all(fits) {
            return Err(CudaError::CacheFull { capacity: self.capacity });
        }
        self.positions.upload(stream, positions)
    }

    /// `y_h = softmax(q_h · Kᵀ / √d) · V` over the cached tokens and the next one of each sequence,
    /// with the bits of [`nn::Attention::attend`]: turns `q` and `k`, puts `k` and `v` in the cache,
    /// and attends. Ordered.
    ///
    /// # Errors
    /// [`CudaError::Shape`] when a size does not match.
    #[allow(clippy::too_many_arguments, reason = "inputs, cache and output")]
    pub fn attend(
        &mut self,
        stream: &Stream,
        q: &mut Buffer<f32>,
        k: &Buffer<f32>,
        v: &Buffer<f32>,
        cache: &mut LayerCache,
        y: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let (query, width) = (self.sequences * self.query_len(), self.sequences * self.width());
        same_len(query, q.len())?;
        same_len(query, y.len())?;
        same_len(width, k.len())?;
        same_len(width, v.len())?;
        same_len(self.cache_len(), cache.len())?;
        let nn::Attention { heads, kv_heads, head_dim } = self.shape;
        let raw = RawAttention {
            heads: counted("heads", heads)?,
            kv_heads: counted("heads", kv_heads)?,
            head_dim: counted("head size", head_dim)?,
            capacity: counted("tokens", self.capacity)?,
            positions: self.positions.address(),
        };
        let rope_dim = counted("rotated values", self.rope_dim)?;
        let scale = rsqrt(head_dim as f32);
        let (table, cache, scores) = (&self.table, cache.address(), self.scores.address());
        let turn = over(self.query_len() + self.width(), self.sequences)?;
        let (heads, sequences) = (blocks(heads)?, blocks(self.sequences)?);
        let pieces = blocks(self.capacity.div_ceil(4 * TOGETHER).clamp(1, 64))?;
        let score = Shape { blocks: [heads, pieces, sequences], threads: THREADS };
        let soften = Shape { blocks: [heads, sequences, 1], threads: THREADS };
        let threads = 64;
        let sum = blocks(head_dim.div_ceil(threads as usize))?;
        let sum = Shape { blocks: [heads, sum, sequences], threads };
        // SAFETY: the sizes were checked above, and the positions when they were set.
        unsafe {
            let (turned, k, v) = (q.address(), k.address(), v.address());
            launch!(stream, &ATTENTION, "rotate", turn;
                raw, rope_dim, table.address(), turned, k, v, cache)?;
            launch!(stream, &ATTENTION, "attention_scores", score;
                raw, scale, turned, cache, scores)?;
            launch!(stream, &ATTENTION, "attention_softmax", soften; raw, scores)?;
            launch!(stream, &ATTENTION, "attention_values", sum; raw, scores, cache, y.address())
        }
    }
}
