//! The BERT-family encoder: a text's tokens in, one vector out.

mod arena;
mod header;
mod verify;
mod weights;

pub use header::{EncoderHeader, Pooling};
pub use verify::verify_encoder;
pub use weights::{EncoderLayer, EncoderWeights, parts};

use super::arena::Line;
use super::{ModelError, Observer, TensorName};
use crate::kernel::{Backend, Pool};
use crate::lane::PrecisionLane;
use crate::math::{self, reduce};
use crate::nn::{self, Activation, Input, Linear, LinearError, NormError, add_bias};
use crate::quant::{ActivationsBuf, QuantError};
use arena::{Buffers, TOGETHER};
use weights::{Dense, End, Norm};

/// An encoder at work: weights, and memory for one text at a time.
///
/// ```text
/// x_t = norm(token_embd[token_t] + token_types[0] + position_embd[t])            (Devlin et al. 2018)
/// for each layer   x = norm(x + W_o · attention(W_q x + b_q, W_k x + b_k, W_v x + b_v) + b_o)
///                  x = norm(x + W_down · gelu(W_up x + b_up) + b_down)
/// y   = p / |p|,   p = mean of x_t, or x_0                                (Reimers and Gurevych 2019)
/// ```
///
/// Attention has no mask: every token sees all of the text. gelu is the exact form.
///
/// The first and the last token of a text, its begin and end, hardly depend on what stands between
/// them, have the largest values of all, and most of the attention rests on them. A model that is
/// centred has for both, at each matrix, the input `c` that it has in a text without words, and
/// `W c + b` computed with the weights before they were quantised. Such a token takes
/// `W (x − c) + (W c + b)`, so that only its difference to `c` meets quantised weights and is itself
/// quantised.
#[derive(Debug)]
pub struct Encoder<'a, 'm, B> {
    weights: EncoderWeights<'a, 'm>,
    /// Whether the weights can be computed with at each lane, in the order of [`PrecisionLane::ALL`].
    lanes: [Result<(), ModelError>; 5],
    backend: B,
    capacity: usize,
    buffers: Buffers<'a>,
}

impl<'a, 'm, B: Backend> Encoder<'a, 'm, B> {
    /// An encoder of texts of up to `capacity` tokens, or as many as the model has positions.
    ///
    /// # Errors
    /// [`ModelError::Memory`] when the arena is shorter than [`EncoderHeader::arena_lines`].
    pub fn new(
        weights: EncoderWeights<'a, 'm>,
        backend: B,
        capacity: usize,
        arena: &'a mut [Line],
    ) -> Result<Self, ModelError> {
        Ok(Self {
            lanes: PrecisionLane::ALL.map(|lane| weights.check_computable(backend, lane)),
            buffers: Buffers::cut(&weights.header, capacity, arena)?,
            capacity: capacity.min(weights.header.context),
            weights,
            backend,
        })
    }

    /// The weights.
    pub fn weights(&self) -> &EncoderWeights<'a, 'm> {
        &self.weights
    }

    /// Tokens of the longest text.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The embedding of a text at a lane: a vector of length 1, or zeros where the pooled vector is
    /// zero. The tokens are those of the whole text, the begin and end token included.
    ///
    /// The same bits for every backend and pool. Integer layers Exact, float layers Ordered.
    ///
    /// # Errors
    /// [`ModelError::Token`] for a token outside the vocabulary, [`ModelError::Sequence`] for no
    /// tokens or more than [`capacity`](Self::capacity), [`ModelError::Diverged`] when a value, or
    /// the variance of a norm, is not finite, [`ModelError::Lane`] or [`ModelError::Backend`] when
    /// the model cannot be computed with at the lane (see [`EncoderWeights::check_computable`]).
    pub fn embed(
        &mut self,
        pool: &dyn Pool,
        tokens: &[u32],
        lane: PrecisionLane,
    ) -> Result<&[f32], ModelError> {
        self.embed_observed(pool, tokens, lane, &mut |_, _| {})
    }

    /// [`embed`](Self::embed), showing every layer's output, token after token, and the embedding
    /// on the way.
    ///
    /// # Errors
    /// As [`embed`](Self::embed).
    pub fn embed_observed(
        &mut self,
        pool: &dyn Pool,
        tokens: &[u32],
        lane: PrecisionLane,
        observe: Observer<'_>,
    ) -> Result<&[f32], ModelError> {
        self.run(pool, tokens, lane, observe, &mut |_, _, _| {})
    }

    /// [`embed`](Self::embed), showing what goes into each matrix and what comes out of it, the bias
    /// included: for up to 8 tokens at a time, one after the other.
    ///
    /// # Errors
    /// As [`embed`](Self::embed).
    pub fn embed_recorded(
        &mut self,
        pool: &dyn Pool,
        tokens: &[u32],
        lane: PrecisionLane,
        record: Recorder<'_>,
    ) -> Result<&[f32], ModelError> {
        self.run(pool, tokens, lane, &mut |_, _| {}, record)
    }

    fn run(
        &mut self,
        pool: &dyn Pool,
        tokens: &[u32],
        lane: PrecisionLane,
        observe: Observer<'_>,
        record: Recorder<'_>,
    ) -> Result<&[f32], ModelError> {
        let header = self.weights.header;
        if tokens.is_empty() || tokens.len() > self.capacity {
            return Err(ModelError::Sequence { tokens: tokens.len(), capacity: self.capacity });
        }
        self.lanes.get(lane as usize).copied().unwrap_or(Ok(()))?;
        let mut text = Text {
            run: Run { backend: self.backend, pool, lane, layer: 0, eps: header.norm_eps, record },
            header,
            tokens: tokens.len(),
            len: tokens.len() * header.dim,
            b: &mut self.buffers,
        };
        text.look_up(&self.weights, tokens)?;
        for (l, layer) in self.weights.layers.iter().enumerate() {
            text.run.layer = l;
            text.project(layer)?;
            text.combine(layer)?;
            observe(l, text.b.x.get(..text.len).unwrap_or(&[]));
        }
        text.run.layer = header.layers;
        text.pool()?;
        let embedding = self.buffers.delta.get(..header.dim).unwrap_or(&[]);
        observe(header.layers, embedding);
        Ok(embedding)
    }
}

/// Is shown a matrix, its inputs and its outputs.
type Recorder<'r> = &'r mut dyn FnMut(TensorName, &[f32], &[f32]);

/// One text on its way through the layers.
struct Text<'t, 'a, B> {
    run: Run<'t, B>,
    header: EncoderHeader,
    tokens: usize,
    /// Values of all its tokens.
    len: usize,
    b: &'t mut Buffers<'a>,
}

impl<B: Backend> Text<'_, '_, B> {
    /// `x_t = norm(token_embd[token_t] + token_types[0] + position_embd[t])`.
    fn look_up(
        &mut self,
        weights: &EncoderWeights<'_, '_>,
        tokens: &[u32],
    ) -> Result<(), ModelError> {
        let (dim, lane) = (self.header.dim, self.run.lane);
        let Buffers { x, delta, attended, .. } = &mut *self.b;
        let sum = delta.get_mut(..dim).unwrap_or(&mut []);
        let other = attended.get_mut(..dim).unwrap_or(&mut []);
        for (t, (&token, x)) in tokens.iter().zip(x.chunks_exact_mut(dim)).enumerate() {
            let row = usize::try_from(token).unwrap_or(usize::MAX);
            if row >= self.header.vocabulary {
                return Err(ModelError::Token { token, vocabulary: self.header.vocabulary });
            }
            weights.token_embd.row(lane, row, sum)?;
            weights.token_types.row(lane, 0, other)?;
            add(sum, other);
            weights.position_embd.row(lane, t, other)?;
            add(sum, other);
            self.run.norm(sum, &weights.token_embd_norm, x)?;
        }
        Ok(())
    }

    /// Queries, keys and values of all tokens.
    fn project(&mut self, layer: &EncoderLayer<'_>) -> Result<(), ModelError> {
        let dim = self.header.dim;
        let Buffers { x, queries, keys, values, integers, ends, .. } = &mut *self.b;
        let x = x.get(..self.len).unwrap_or(&[]).chunks(TOGETHER * dim);
        let [q, k, v] = [queries, keys, values]
            .map(|all| all.get_mut(..self.len).unwrap_or(&mut []).chunks_mut(TOGETHER * dim));
        for (i, (((x, q), k), v)) in x.zip(q).zip(k).zip(v).enumerate() {
            let layers = &mut [(&layer.attn_q, q), (&layer.attn_k, k), (&layer.attn_v, v)];
            let mut scratch = Scratch { first: TOGETHER * i, of: self.tokens, integers, ends };
            self.run.dense(x, &mut scratch, layers)?;
        }
        Ok(())
    }

    /// Attention and the feed-forward block, some tokens at a time.
    fn combine(&mut self, layer: &EncoderLayer<'_>) -> Result<(), ModelError> {
        let (dim, hidden) = (self.header.dim, self.header.hidden);
        let Buffers {
            x,
            queries,
            keys,
            values,
            scratch,
            attended,
            delta,
            hidden: h,
            ends,
            integers,
        } = &mut *self.b;
        let x = x.get_mut(..self.len).unwrap_or(&mut []);
        let keys = keys.get(..self.len).unwrap_or(&[]);
        let values = values.get(..self.len).unwrap_or(&[]);
        let pieces = x.chunks_mut(TOGETHER * dim).zip(queries.chunks(TOGETHER * dim));
        for (i, (x, q)) in pieces.enumerate() {
            let q = q.get(..x.len()).unwrap_or(&[]);
            let tokens = x.len() / dim;
            let attended = attended.get_mut(..x.len()).unwrap_or(&mut []);
            let delta = delta.get_mut(..x.len()).unwrap_or(&mut []);
            let h = h.get_mut(..tokens * hidden).unwrap_or(&mut []);
            let attention = self.header.attention;
            let scratch_len = attention.self_scratch_len(tokens, self.len / dim);
            let scratch = scratch.get_mut(..scratch_len).unwrap_or(&mut []);
            let (backend, pool) = (self.run.backend, self.run.pool);
            attention.attend_all(backend, pool, q, keys, values, attended, scratch)?;
            let with = &mut Scratch { first: TOGETHER * i, of: self.tokens, integers, ends };
            self.run.dense(attended, with, &mut [(&layer.attn_output, &mut *delta)])?;
            self.run.add_and_norm(x, delta, &layer.attn_output_norm)?;
            self.run.dense(x, with, &mut [(&layer.ffn_up, &mut *h)])?;
            // An activation costs about as much as 64 integer multiply-adds.
            pool.spread(h, 1, 64 * h.len(), &|_, h| Activation::GeluErf.apply(backend, h));
            self.run.dense(h, with, &mut [(&layer.ffn_down, &mut *delta)])?;
            self.run.add_and_norm(x, delta, &layer.layer_output_norm)?;
        }
        Ok(())
    }

    /// The embedding, into the first values of `delta`.
    fn pool(&mut self) -> Result<(), ModelError> {
        let dim = self.header.dim;
        let x = self.b.x.get(..self.len).unwrap_or(&[]);
        let pooled = self.b.delta.get_mut(..dim).unwrap_or(&mut []);
        pooled.fill(0.0);
        match self.header.pooling {
            Pooling::Mean => {
                x.chunks_exact(dim).for_each(|x| add(pooled, x));
                let tokens = (self.len / dim) as f32;
                pooled.iter_mut().for_each(|p| *p /= tokens);
            }
            Pooling::First => add(pooled, x.get(..dim).unwrap_or(&[])),
        }
        let squares = reduce::sum_of_squares(pooled);
        if !squares.is_finite() {
            return Err(ModelError::Diverged { layer: self.run.layer });
        }
        if squares > 0.0 {
            let r = math::rsqrt(squares);
            pooled.iter_mut().for_each(|p| *p *= r);
        }
        Ok(())
    }
}

/// What the steps of one layer share.
struct Run<'p, B> {
    backend: B,
    pool: &'p dyn Pool,
    lane: PrecisionLane,
    layer: usize,
    eps: f32,
    record: Recorder<'p>,
}

/// Where some tokens stand in their text, and memory for them.
struct Scratch<'s, 'a> {
    /// The first of them.
    first: usize,
    /// Tokens of the text.
    of: usize,
    integers: &'s mut [ActivationsBuf<'a>; TOGETHER],
    ends: &'s mut [f32],
}

impl<B: Backend> Run<'_, B> {
    fn norm(&self, x: &[f32], norm: &Norm<'_>, y: &mut [f32]) -> Result<(), ModelError> {
        nn::layer_norm(self.backend, x, norm.gain, norm.bias, self.eps, y).map_err(|e| match e {
            NormError::Shape(e) => e.into(),
            NormError::NotFinite { .. } => ModelError::Diverged { layer: self.layer },
        })
    }

    /// `x_t = norm(delta_t + x_t)` for some tokens.
    fn add_and_norm(
        &self,
        x: &mut [f32],
        delta: &mut [f32],
        norm: &Norm<'_>,
    ) -> Result<(), ModelError> {
        let dim = norm.gain.len().max(1);
        for (x, delta) in x.chunks_exact_mut(dim).zip(delta.chunks_exact_mut(dim)) {
            add(delta, x);
            self.norm(delta, norm, x)?;
        }
        Ok(())
    }

    /// `y_t = W x_t + b` for up to [`TOGETHER`] tokens, and each of some layers with its `y`.
    fn dense(
        &mut self,
        x: &[f32],
        scratch: &mut Scratch<'_, '_>,
        layers: &mut [(&Dense<'_>, &mut [f32])],
    ) -> Result<(), ModelError> {
        let mut linears: heapless::Vec<&Linear<'_>, 3> = heapless::Vec::new();
        linears.extend(layers.iter().map(|(dense, _)| &dense.weight).take(3));
        let width = linears.first().map_or(1, |linear| linear.cols().max(1));
        let Scratch { first, of, ref mut integers, ref mut ends } = *scratch;
        let centre = |end| layers.first().and_then(|(dense, _)| dense.centre(end));
        let mut rooms = ends.chunks_exact_mut(width);
        let inputs = x
            .chunks_exact(width)
            .zip(integers.iter_mut())
            .enumerate()
            .map(|(t, (x, buf))| {
                // At most two tokens are ends, and there is room for two.
                let Some((c, to)) =
                    centre(End::of(first + t, of)).and_then(|c| Some((c, rooms.next()?)))
                else {
                    return Input::new(self.backend, x, buf, &linears);
                };
                to.iter_mut().zip(x.iter().zip(c)).for_each(|(to, (x, c))| *to = x - c);
                Input::new(self.backend, to, buf, &linears)
            })
            .collect::<Result<heapless::Vec<_, TOGETHER>, _>>()
            // Values that are not finite have diverged in this layer.
            .map_err(|error| match error {
                LinearError::Quant(QuantError::NotFinite { .. }) => {
                    ModelError::Diverged { layer: self.layer }
                }
                error => error.into(),
            })?;
        for (dense, y) in layers {
            dense.weight.matmul(self.backend, self.pool, self.lane, &inputs, y)?;
            for (t, y) in y.chunks_exact_mut(dense.bias.len().max(1)).enumerate() {
                add_bias(Some(dense.added(End::of(first + t, of))), y)?;
            }
            (self.record)(TensorName { layer: Some(self.layer), part: dense.part }, x, y);
        }
        Ok(())
    }
}

/// `x += y`, element by element.
fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
