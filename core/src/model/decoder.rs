//! The decoder: a token in, logits out.

use super::arena::{Buffers, Line, SparseBuffers};
use super::auto::{self, AutoLanes};
use super::mixer::Mixing;
use super::sparse::{self, FeedForwardMode};
use super::{ModelError, Weights};
use crate::error::ShapeError;
use crate::kernel::{Backend, Pool};
use crate::lane::{Lanes, PrecisionLane};
use crate::nn::{
    self, FeedForward, Input, KvCache, Linear, LinearError, NormError, Rope, SparseReads,
};
use crate::quant::{ActivationsBuf, QuantError};

/// Called after each layer with its index and output, and after the last one with the number of
/// layers and the logits.
pub type Observer<'o> = &'o mut dyn FnMut(usize, &[f32]);

/// Called after each feed-forward block with the layer's index, the block's input and its hidden
/// layer, which is empty where it is not computed as a whole.
pub type Recorder<'o> = &'o mut dyn FnMut(usize, &[f32], &[f32]);

/// A decoder at work: weights, and the state of one sequence in an arena.
///
/// ```text
/// x = token_embd[token]
/// for each layer   x += W_o · attention(rope(W_q n), rope(W_k n), W_v n),   n = rms_norm(x)
///                or x += W_out · conv(W_in n),   see Architecture and ShortConv
///                  x += W_down · (silu(W_gate n) · W_up n),                 n = rms_norm(x)
/// logits = W_output · rms_norm(x)
/// ```
#[derive(Debug)]
pub struct Decoder<'a, 'm, B> {
    weights: Weights<'a, 'm>,
    /// Whether the weights can be computed with at each lane, in the order of [`PrecisionLane::ALL`].
    lanes: [Result<(), ModelError>; 5],
    backend: B,
    auto: Option<AutoLanes<'a>>,
    mixing: Mixing<'a>,
    x: &'a mut [f32],
    normed: &'a mut [f32],
    /// What a block adds to `x`.
    delta: &'a mut [f32],
    gate: &'a mut [f32],
    up: &'a mut [f32],
    logits: &'a mut [f32],
    cos: &'a mut [f32],
    sin: &'a mut [f32],
    integers: ActivationsBuf<'a>,
    sparse: SparseBuffers<'a>,
    mode: FeedForwardMode,
    reads: SparseReads,
}

impl<'a, 'm, B: Backend> Decoder<'a, 'm, B> {
    /// A decoder with room for `capacity` tokens.
    ///
    /// # Errors
    /// [`ModelError::Memory`] when the arena is shorter than
    /// [`Header::arena_lines`](super::Header::arena_lines), [`ModelError::Cache`] for a capacity
    /// of zero, [`ModelError::Value`] for blocks stored by neuron in a build without the
    /// feature `sparse`.
    pub fn new(
        weights: Weights<'a, 'm>,
        backend: B,
        capacity: usize,
        arena: &'a mut [Line],
    ) -> Result<Self, ModelError> {
        let header = weights.header();
        if !sparse::COMPILED && header.sparse_rank.is_some() {
            let (key, expected) = (sparse::keys::RANK, "nothing: such blocks are not compiled in");
            return Err(ModelError::Value { key, expected });
        }
        let b = Buffers::cut(header, capacity, arena)?;
        let cache = KvCache::new(b.cache, header.attention_blocks(), capacity, header.kv_len())?;
        Ok(Self {
            lanes: PrecisionLane::ALL.map(|lane| weights.check_computable(backend, lane)),
            weights,
            backend,
            auto: None,
            mixing: Mixing {
                cache,
                scratch: b.scratch,
                query: b.query,
                attended: b.attended,
                history: b.history,
                projected: b.projected,
            },
            x: b.x,
            normed: b.normed,
            delta: b.delta,
            gate: b.gate,
            up: b.up,
            logits: b.logits,
            cos: b.cos,
            sin: b.sin,
            integers: ActivationsBuf::new(b.q, b.multipliers, b.sums),
            sparse: b.sparse,
            mode: FeedForwardMode::DENSE,
            reads: SparseReads::default(),
        })
    }

    /// The same decoder with a policy, which [`Lanes::Auto`] then asks.
    #[must_use]
    pub fn with_auto(self, auto: AutoLanes<'a>) -> Self {
        Self { auto: Some(auto), ..self }
    }

    /// The policy, if there is one.
    pub fn auto(&self) -> Option<&AutoLanes<'a>> {
        self.auto.as_ref()
    }

    /// The weights.
    pub fn weights(&self) -> &Weights<'a, 'm> {
        &self.weights
    }

    /// The kernels.
    pub fn backend(&self) -> B {
        self.backend
    }

    /// Tokens in the cache.
    pub fn position(&self) -> usize {
        self.mixing.cache.len()
    }

    /// Tokens that the cache has room for.
    pub fn capacity(&self) -> usize {
        self.mixing.cache.capacity()
    }

    /// Forgets the tokens from `len` on, so that a sequence can go on differently.
    pub fn truncate(&mut self, len: usize) {
        self.mixing.cache.truncate(len);
    }

    /// Runs the feed-forward blocks in another mode from now on. At first they are dense.
    ///
    /// # Errors
    /// [`ModelError::MissingKey`] when the file does not store them by neuron,
    /// [`ModelError::Value`] when it has no low-rank predictor and one is asked for,
    /// [`ModelError::MissingTensor`] when it has no magnitudes and thresholds of them are.
    pub fn set_feed_forward(&mut self, mode: FeedForwardMode) -> Result<(), ModelError> {
        sparse::check(&self.weights, mode)?;
        self.mode = mode;
        Ok(())
    }

    /// The mode that the feed-forward blocks run in.
    pub fn feed_forward_mode(&self) -> FeedForwardMode {
        self.mode
    }

    /// What the feed-forward blocks stored by neuron have read so far, over all layers and tokens.
    pub fn feed_forward_reads(&self) -> SparseReads {
        self.reads
    }

    /// Takes one token and gives the logits of the next, at one lane or at a lane for each layer.
    ///
    /// Keys and values in the cache stay as the lanes of their own tokens made them. The same bits
    /// for every backend and pool. Integer layers Exact, float layers Ordered.
    ///
    /// # Errors
    /// [`ModelError::Token`] for a token outside the vocabulary, [`ModelError::Cache`] when the
    /// context is full, [`ModelError::Diverged`] when a value, or the sum of squares of a norm, is
    /// not finite, [`ModelError::Lane`] or [`ModelError::Backend`] when the model cannot be
    /// computed with at a lane (see [`Weights::check_computable`]), [`ModelError::Compute`] when
    /// there is not one lane for each layer and one for the output. After an error the sequence is as
    /// before the call.
    pub fn forward<'l>(
        &mut self,
        pool: &dyn Pool,
        token: u32,
        lanes: impl Into<Lanes<'l>>,
    ) -> Result<&mut [f32], ModelError> {
        self.forward_observed(pool, token, lanes, &mut |_, _| {})
    }

    /// [`forward`](Self::forward), showing every layer's output on the way.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_observed<'l>(
        &mut self,
        pool: &dyn Pool,
        token: u32,
        lanes: impl Into<Lanes<'l>>,
        observe: Observer<'_>,
    ) -> Result<&mut [f32], ModelError> {
        match lanes.into() {
            Lanes::Auto if auto::COMPILED => self.step_auto(pool, token, observe)?,
            lanes => self.step(pool, token, lanes, observe, &mut |_, _, _| {})?,
        }
        Ok(self.logits)
    }

    /// [`forward`](Self::forward), showing the input and the hidden layer of every feed-forward
    /// block; of one that is stored by neuron an empty hidden layer.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_recorded(
        &mut self,
        pool: &dyn Pool,
        token: u32,
        lane: PrecisionLane,
        record: Recorder<'_>,
    ) -> Result<&mut [f32], ModelError> {
        self.step(pool, token, lane.into(), &mut |_, _| {}, record)?;
        Ok(self.logits)
    }

    /// [`step`](Self::step) at the lanes that the policy plans; it is shown every output.
    fn step_auto(
        &mut self,
        pool: &dyn Pool,
        token: u32,
        observe: Observer<'_>,
    ) -> Result<(), ModelError> {
        let mut auto = self.auto.take().ok_or(ModelError::NoPolicy)?;
        if self.mixing.cache.is_empty() {
            auto.restart();
        }
        let surprise = auto.plan(token, self.logits);
        let (lanes, mut levels) = auto.split();
        let mut observe = |layer: usize, output: &[f32]| {
            levels.observe(layer, output);
            observe(layer, output);
        };
        let computed = self.step(pool, token, Lanes::Each(lanes), &mut observe, &mut |_, _, _| {});
        if computed.is_ok() {
            auto.commit(surprise);
        }
        self.auto = Some(auto);
        computed
    }

    /// Computes the logits of one token.
    fn step(
        &mut self,
        pool: &dyn Pool,
        token: u32,
        lanes: Lanes<'_>,
        observe: Observer<'_>,
        record: Recorder<'_>,
    ) -> Result<(), ModelError> {
        let header = *self.weights.header();
        let row = usize::try_from(token).unwrap_or(usize::MAX);
        if row >= header.vocabulary {
            return Err(ModelError::Token { token, vocabulary: header.vocabulary });
        }
        self.check_lanes(lanes)?;
        let outside = lanes.of(header.layers).unwrap_or(PrecisionLane::Bit3);
        self.weights.token_embd.row(outside, row, self.x)?;
        let rope = Rope::new(self.mixing.cache.len(), header.rope_base, self.cos, self.sin);
        for (l, layer) in self.weights.layers.iter().enumerate() {
            let lane = lanes.of(l).unwrap_or(outside);
            let run = Run { backend: self.backend, pool, lane, layer: l };
            run.norm(self.x, layer.attn_norm, header.norm_eps, self.normed)?;
            layer.mixer.forward(
                &run,
                &header,
                &rope,
                self.normed,
                &mut self.integers,
                &mut self.mixing,
                self.delta,
            )?;
            add(self.x, self.delta);
            run.norm(self.x, layer.ffn_norm, header.norm_eps, self.normed)?;
            if sparse::COMPILED && layer.sparse.is_some() {
                let hidden = [&mut *self.gate, &mut *self.up];
                let reads = layer
                    .sparse_forward(
                        self.backend,
                        pool,
                        lane,
                        self.mode,
                        header.activation,
                        self.normed,
                        &mut self.integers,
                        hidden,
                        &mut self.sparse,
                        self.delta,
                    )
                    .map_err(|e| run.error(e))?;
                self.reads += reads.unwrap_or_default();
                record(l, self.normed, &[]);
            } else {
                let ffn = FeedForward::Gated {
                    activation: header.activation,
                    gate: &layer.ffn_gate,
                    up: &layer.ffn_up,
                    down: &layer.ffn_down,
                };
                let hidden = [&mut *self.gate, &mut *self.up];
                ffn.forward(
                    self.backend,
                    pool,
                    lane,
                    self.normed,
                    &mut self.integers,
                    hidden,
                    self.delta,
                )
                .map_err(|e| run.error(e))?;
                record(l, self.normed, self.gate);
            }
            add(self.x, self.delta);
            observe(l, self.x);
        }
        let run = Run { backend: self.backend, pool, lane: outside, layer: header.layers };
        run.norm(self.x, self.weights.output_norm, header.norm_eps, self.normed)?;
        let output = self.weights.output;
        let input = run.input(self.normed, &mut self.integers, &[&output])?;
        run.matvec(&output, &input, self.logits)?;
        if !self.logits.iter().all(|v| v.is_finite()) {
            return Err(ModelError::Diverged { layer: header.layers });
        }
        observe(header.layers, self.logits);
        self.mixing.cache.commit()?;
        Ok(())
    }

    /// Whether every layer has a lane, and one that can be computed with.
    fn check_lanes(&self, lanes: Lanes<'_>) -> Result<(), ModelError> {
        let computable =
            |lane: PrecisionLane| self.lanes.get(lane as usize).copied().unwrap_or(Ok(()));
        match lanes {
            Lanes::All(lane) => computable(lane),
            Lanes::Auto => Err(ModelError::NoPolicy),
            Lanes::Each(lanes) => {
                let (expected, actual) = (self.weights.header().layers + 1, lanes.len());
                if expected != actual {
                    return Err(ShapeError::Length { expected, actual }.into());
                }
                lanes.iter().try_for_each(|&lane| computable(lane))
            }
        }
    }
}

/// What the steps of one layer share.
pub(super) struct Run<'p, B> {
    pub(super) backend: B,
    pub(super) pool: &'p dyn Pool,
    lane: PrecisionLane,
    layer: usize,
}

impl<B: Backend> Run<'_, B> {
    fn norm(&self, x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) -> Result<(), ModelError> {
        nn::rms_norm(self.backend, x, gain, eps, y).map_err(|e| match e {
            NormError::Shape(e) => e.into(),
            NormError::NotFinite { .. } => ModelError::Diverged { layer: self.layer },
        })
    }

    /// The same over each head, with one gain for all of them; `scratch` has room for a head.
    #[cfg(feature = "lfm2")]
    pub(super) fn norm_heads(
        &self,
        heads: &mut [f32],
        gain: &[f32],
        eps: f32,
        scratch: &mut [f32],
    ) -> Result<(), ModelError> {
        let copy = scratch.get_mut(..gain.len()).unwrap_or_default();
        for head in heads.chunks_mut(gain.len().max(1)) {
            copy.iter_mut().zip(&*head).for_each(|(copy, v)| *copy = *v);
            self.norm(copy, gain, eps, head)?;
        }
        Ok(())
    }

    pub(super) fn input<'b>(
        &self,
        x: &'b [f32],
        buf: &'b mut ActivationsBuf<'_>,
        linears: &[&Linear<'_>],
    ) -> Result<Input<'b>, ModelError> {
        Input::new(self.backend, x, buf, linears).map_err(|e| self.error(e))
    }

    /// Values that are not finite have diverged in this layer.
    fn error(&self, error: LinearError) -> ModelError {
        match error {
            LinearError::Quant(QuantError::NotFinite { .. }) => {
                ModelError::Diverged { layer: self.layer }
            }
            error => error.into(),
        }
    }

    pub(super) fn matvec(
        &self,
        linear: &Linear<'_>,
        input: &Input<'_>,
        y: &mut [f32],
    ) -> Result<(), ModelError> {
        Ok(linear.matvec(self.backend, self.pool, self.lane, input, y)?)
    }
}

/// `x += y`, element by element.
fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
