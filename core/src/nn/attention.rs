//! Grouped-query attention over a key-value cache in caller's memory.

use super::same_len;
use crate::error::ShapeError;
use crate::kernel::{Backend, Pool};
use core::fmt;
use core::num::NonZeroUsize;

/// What can be wrong with a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheError {
    /// Every token that the cache has room for is taken.
    Full {
        /// Tokens that fit.
        capacity: usize,
    },
    /// The memory is not `2 · layers · capacity · width` floats, or a size is zero.
    Length {
        /// Floats needed (the least number when a size is zero or overflows).
        expected: usize,
        /// Floats given.
        actual: usize,
    },
    /// There is no such layer.
    Layer {
        /// The layer asked for, counted from 0.
        layer: usize,
        /// Layers in the cache.
        layers: usize,
    },
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Full { capacity } => {
                write!(f, "the key-value cache is full: it holds {capacity} tokens")
            }
            Self::Length { expected, actual } => {
                write!(f, "key-value cache: expected {expected} floats, found {actual}")
            }
            Self::Layer { layer, layers } => {
                write!(f, "key-value cache: layer {layer} of {layers} does not exist")
            }
        }
    }
}

impl core::error::Error for CacheError {}

/// What can go wrong with attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttentionError {
    /// A slice, or the cache's width, has another size than the heads ask for.
    Shape(ShapeError),
    /// The cache does not have the layer.
    Cache(CacheError),
}

impl fmt::Display for AttentionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(e) => e.fmt(f),
            Self::Cache(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for AttentionError {}

impl From<ShapeError> for AttentionError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl From<CacheError> for AttentionError {
    fn from(e: CacheError) -> Self {
        Self::Cache(e)
    }
}

/// Keys and values of the tokens seen so far, for every layer.
///
/// Layout: layer by layer, first all keys, then all values; a token is `width` floats (heads ·
/// head size). The cache counts tokens and refuses one more than it holds.
#[derive(Debug)]
pub struct KvCache<'a> {
    data: &'a mut [f32],
    layers: usize,
    width: usize,
    capacity: usize,
    len: usize,
}

impl<'a> KvCache<'a> {
    /// Floats that a cache takes, or `None` when that overflows.
    pub const fn floats(layers: usize, capacity: usize, width: usize) -> Option<usize> {
        let Some(a) = layers.checked_mul(2) else { return None };
        let Some(b) = a.checked_mul(capacity) else { return None };
        b.checked_mul(width)
    }

    /// An empty cache in `data`, whose length is [`floats`](Self::floats).
    ///
    /// # Errors
    /// [`CacheError::Length`] for another length or a size of zero.
    pub fn new(
        data: &'a mut [f32],
        layers: usize,
        capacity: usize,
        width: usize,
    ) -> Result<Self, CacheError> {
        let expected = Self::floats(layers, capacity, width).unwrap_or(usize::MAX);
        if expected != data.len() || expected == 0 {
            return Err(CacheError::Length { expected: expected.max(1), actual: data.len() });
        }
        Ok(Self { data, layers, width, capacity, len: 0 })
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets every token from `len` on; keeps all when there are fewer.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The place for the next token's key and value in a layer. Nothing counts until
    /// [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`CacheError::Full`] when there is none, [`CacheError::Layer`] for a layer that the cache
    /// does not have.
    pub fn next(&mut self, layer: usize) -> Result<(&mut [f32], &mut [f32]), CacheError> {
        self.check_layer(layer)?;
        let full = CacheError::Full { capacity: self.capacity };
        if self.len == self.capacity {
            return Err(full);
        }
        let half = self.capacity * self.width;
        let at = self.len * self.width;
        let layer = self.data.get_mut(2 * half * layer..).ok_or(full)?;
        let (keys, values) = layer.split_at_mut_checked(half).ok_or(full)?;
        let key = keys.get_mut(at..at + self.width).ok_or(full)?;
        let value = values.get_mut(at..at + self.width).ok_or(full)?;
        Ok((key, value))
    }

    /// Counts the token whose keys and values have been written to every layer.
    ///
    /// # Errors
    /// [`CacheError::Full`] when there is no room.
    pub fn commit(&mut self) -> Result<(), CacheError> {
        if self.len == self.capacity {
            return Err(CacheError::Full { capacity: self.capacity });
        }
        self.len += 1;
        Ok(())
    }

    fn check_layer(&self, layer: usize) -> Result<(), CacheError> {
        let layers = self.layers;
        if layer < layers { Ok(()) } else { Err(CacheError::Layer { layer, layers }) }
    }

    /// Keys and values of the first `tokens` places of a layer; empty when there are not as many.
    fn layer(&self, layer: usize, tokens: usize) -> (&[f32], &[f32]) {
        let half = self.capacity * self.width;
        let part = |at: usize| {
            self.data.get(at..).and_then(|d| d.get(..tokens * self.width)).unwrap_or(&[])
        };
        (part(2 * half * layer), part(2 * half * layer + half))
    }
}

/// The shape of an attention block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Values in a head.
    pub head_dim: usize,
}

impl Attention {
    /// Floats of scratch for a cache of that capacity: scores and output of every head. The
    /// largest `usize` when it would take more.
    pub const fn scratch_len(&self, capacity: usize) -> usize {
        self.heads.saturating_mul(capacity.saturating_add(self.head_dim))
    }

    /// `y_h = softmax(q_h · Kᵀ / √d) · V` over the cached tokens and the one being written
    /// (Vaswani et al. 2017), query head `h` reading key head `h · kv_heads / heads`
    /// (grouped queries, Ainslie et al. 2023).
    ///
    /// Shapes: `q` and `y` heads · head_dim, `scratch` [`scratch_len`](Self::scratch_len).
    /// Ordered: dot products and the softmax sum over sixteen lanes, tokens summed in order.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when a slice, or the cache's width, has another size,
    /// [`CacheError::Layer`] for a layer that the cache does not have.
    #[allow(clippy::too_many_arguments, reason = "inputs, cache position, output and scratch")]
    pub fn attend(
        &self,
        backend: impl Backend,
        pool: &dyn Pool,
        q: &[f32],
        cache: &KvCache<'_>,
        layer: usize,
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), AttentionError> {
        let dim = self.head_dim;
        same_len(self.heads.saturating_mul(dim), q.len())?;
        same_len(self.heads.saturating_mul(dim), y.len())?;
        // A cache is at least one float wide, so no number is zero below. Where the compiler has to
        // know it, it is a type's promise: firmware must not carry a panic.
        same_len(self.kv_heads.saturating_mul(dim), cache.width)?;
        cache.check_layer(layer)?;
        same_len(self.scratch_len(cache.capacity), scratch.len())?;
        let tokens = (cache.len + 1).min(cache.capacity);
        let (keys, values) = cache.layer(layer, tokens);
        let scale = 1.0 / libm::sqrtf(dim as f32);
        let nonzero = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        let (heads, piece) = (nonzero(self.heads), nonzero(cache.capacity + dim));
        let work = 16 * self.heads * tokens * dim;
        pool.spread(scratch, piece.get(), work, &|first, scratch| {
            for (h, scratch) in (first / piece..).zip(scratch.chunks_exact_mut(piece.get())) {
                let at = h * self.kv_heads / heads * dim;
                let head = q.get(h * dim..(h + 1) * dim).zip(keys.get(at..)).zip(values.get(at..));
                if let (Some(((q, keys), values)), Some((out, scores))) =
                    (head, scratch.split_at_mut_checked(dim))
                    && let Some(scores) = scores.get_mut(..tokens)
                {
                    backend.attend(q, keys, values, cache.width, scale, scores, out);
                }
            }
        });
        for (y, scratch) in y.chunks_exact_mut(dim.max(1)).zip(scratch.chunks_exact(piece.get())) {
            for (y, out) in y.iter_mut().zip(scratch) {
                *y = *out;
            }
        }
        Ok(())
    }
}
