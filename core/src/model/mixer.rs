//! What mixes the tokens of a sequence in a block: attention, or a short convolution.

#[cfg(feature = "lfm2")]
use super::architecture::{Architecture, Blocks, TAPS, hyperparameters};
use super::decoder::Run;
use super::planes::Listed;
use super::weights::{NOTHING, Place, linear};
#[cfg(feature = "lfm2")]
use super::weights::{floats, table};
use super::{Header, ModelError, TensorName};
use crate::kernel::Backend;
#[cfg(feature = "lfm2")]
use crate::nn::{CacheError, ShortConv};
use crate::nn::{KvCache, Linear, Rope};
use crate::quant::ActivationsBuf;

/// The weights of that part of a block.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "a layer's place in the caller's memory fits either")]
pub(super) enum Mixer<'m> {
    Attention(AttentionWeights<'m>),
    #[cfg(feature = "lfm2")]
    ShortConv(ShortConvWeights<'m>),
}

/// `W_o · attention(rope(W_q n), rope(W_k n), W_v n)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttentionWeights<'m> {
    q: Linear<'m>,
    k: Linear<'m>,
    v: Linear<'m>,
    output: Linear<'m>,
    /// Gains of the norms over each head of queries and of keys, where there are such norms; then
    /// halves are rotated, else neighbours.
    #[cfg(feature = "lfm2")]
    head_norms: Option<[&'m [f32]; 2]>,
    /// Its place among the blocks of attention.
    index: usize,
}

/// `W_out · conv(W_in n)`.
#[cfg(feature = "lfm2")]
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortConvWeights<'m> {
    /// 3 · dim × dim.
    input: Linear<'m>,
    conv: ShortConv<'m>,
    output: Linear<'m>,
    /// Its place among the short convolutions.
    index: usize,
}

impl<'m> Mixer<'m> {
    /// A place for weights.
    pub(super) const EMPTY: Self = Self::Attention(AttentionWeights {
        q: NOTHING,
        k: NOTHING,
        v: NOTHING,
        output: NOTHING,
        #[cfg(feature = "lfm2")]
        head_norms: None,
        index: 0,
    });

    /// The most linear layers that there are.
    pub(super) const LINEARS: usize = 4;

    /// A linear layer with its name, or `None` for a number that stands for none.
    pub(super) fn linear(&self, index: usize) -> Option<(&'static str, &Linear<'m>)> {
        match (self, index) {
            (Self::Attention(a), 0) => Some(("attn_q", &a.q)),
            (Self::Attention(a), 1) => Some(("attn_k", &a.k)),
            (Self::Attention(a), 2) => Some(("attn_v", &a.v)),
            (Self::Attention(a), 3) => Some(("attn_output", &a.output)),
            #[cfg(feature = "lfm2")]
            (Self::ShortConv(c), 0) => Some((names::INPUT, &c.input)),
            #[cfg(feature = "lfm2")]
            (Self::ShortConv(c), 1) => Some((names::OUTPUT, &c.output)),
            _ => None,
        }
    }

    /// Floats that every token reads beside the linear layers.
    pub(super) fn floats(&self) -> usize {
        match self {
            #[cfg(feature = "lfm2")]
            Self::Attention(AttentionWeights { head_norms: Some([q, k]), .. }) => q.len() + k.len(),
            Self::Attention(_) => 0,
            #[cfg(feature = "lfm2")]
            Self::ShortConv(c) => c.conv.weights().len(),
        }
    }
}

/// Names of the tensors of a short convolution.
#[cfg(feature = "lfm2")]
mod names {
    pub(super) const INPUT: &str = "shortconv.in_proj.weight";
    pub(super) const OUTPUT: &str = "shortconv.out_proj.weight";
}

/// Finds and checks the mixers of a model, the first block's first.
pub(super) struct Mixers<'f, 'm> {
    place: &'f Place<'m>,
    listed: Option<&'f Listed<'m>>,
    header: Header,
    #[cfg(feature = "lfm2")]
    blocks: Option<Blocks<'m>>,
    attention: usize,
    #[cfg(feature = "lfm2")]
    convolutions: usize,
}

impl<'f, 'm> Mixers<'f, 'm> {
    pub(super) fn new(
        place: &'f Place<'m>,
        listed: Option<&'f Listed<'m>>,
        header: Header,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            place,
            listed,
            header,
            #[cfg(feature = "lfm2")]
            blocks: match header.architecture {
                Architecture::Llama => None,
                Architecture::Lfm2 { .. } => Some(Blocks::read(&hyperparameters(&place.file)?)?),
            },
            attention: 0,
            #[cfg(feature = "lfm2")]
            convolutions: 0,
        })
    }

    /// That of the next block, which is block `layer`.
    pub(super) fn load(&mut self, layer: usize) -> Result<Mixer<'m>, ModelError> {
        #[cfg(feature = "lfm2")]
        if let Architecture::Lfm2 { taps, .. } = self.header.architecture
            && self.blocks.is_some_and(|blocks| !blocks.is_attention(layer))
        {
            return self.short_conv(layer, taps).map(Mixer::ShortConv);
        }
        self.attention(layer).map(Mixer::Attention)
    }

    fn linear(&self, name: TensorName, rows: usize, cols: usize) -> Result<Linear<'m>, ModelError> {
        linear(self.place, self.listed, name, rows, cols)
    }

    fn attention(&mut self, layer: usize) -> Result<AttentionWeights<'m>, ModelError> {
        let name = |part| TensorName { layer: Some(layer), part };
        let (header, dim) = (&self.header, self.header.dim);
        let (query, kv) = (header.query_len(), header.kv_len());
        let index = self.attention;
        self.attention += 1;
        Ok(AttentionWeights {
            q: self.linear(name("attn_q"), query, dim)?,
            k: self.linear(name("attn_k"), kv, dim)?,
            v: self.linear(name("attn_v"), kv, dim)?,
            output: self.linear(name("attn_output"), dim, query)?,
            #[cfg(feature = "lfm2")]
            head_norms: match header.architecture {
                Architecture::Llama => None,
                Architecture::Lfm2 { .. } => {
                    let gain = |part| floats(self.place, name(part), header.attention.head_dim);
                    Some([gain("attn_q_norm")?, gain("attn_k_norm")?])
                }
            },
            index,
        })
    }

    #[cfg(feature = "lfm2")]
    fn short_conv(
        &mut self,
        layer: usize,
        taps: usize,
    ) -> Result<ShortConvWeights<'m>, ModelError> {
        let name = |part| TensorName { layer: Some(layer), part };
        let dim = self.header.dim;
        let index = self.convolutions;
        self.convolutions += 1;
        let input = self.linear(name(names::INPUT), 3 * dim, dim)?;
        let conv = ShortConv::new(table(self.place, name(TAPS), dim, taps)?, dim, taps)?;
        let output = self.linear(name(names::OUTPUT), dim, dim)?;
        Ok(ShortConvWeights { input, conv, output, index })
    }
}

/// What the mixers of a decoder have seen of a sequence, and what they compute in.
#[derive(Debug)]
pub(super) struct Mixing<'a> {
    /// Keys and values of the blocks of attention; also counts the tokens.
    pub(super) cache: KvCache<'a>,
    pub(super) scratch: &'a mut [f32],
    pub(super) query: &'a mut [f32],
    pub(super) attended: &'a mut [f32],
    /// Inputs of the short convolutions: block by block, capacity tokens of dim values.
    #[cfg_attr(not(feature = "lfm2"), allow(dead_code, reason = "no convolution is compiled in"))]
    pub(super) history: &'a mut [f32],
    /// A token's input to a short convolution: 3 · dim values.
    #[cfg_attr(not(feature = "lfm2"), allow(dead_code, reason = "no convolution is compiled in"))]
    pub(super) projected: &'a mut [f32],
}

impl Mixer<'_> {
    /// `y` = what the block adds for the next token, `x` being its input after the norm. Overwrites
    /// `x`.
    #[allow(clippy::too_many_arguments, reason = "inputs, state, scratch and output")]
    pub(super) fn forward<B: Backend>(
        &self,
        run: &Run<'_, B>,
        header: &Header,
        rope: &Rope<'_>,
        x: &mut [f32],
        integers: &mut ActivationsBuf<'_>,
        state: &mut Mixing<'_>,
        y: &mut [f32],
    ) -> Result<(), ModelError> {
        match self {
            Self::Attention(a) => a.forward(run, header, rope, x, integers, state, y),
            #[cfg(feature = "lfm2")]
            Self::ShortConv(c) => c.forward(run, header, x, integers, state, y),
        }
    }
}

impl AttentionWeights<'_> {
    /// Gives the heads of queries and keys their position.
    fn rotate<B: Backend>(
        &self,
        run: &Run<'_, B>,
        header: &Header,
        rope: &Rope<'_>,
        [query, key]: [&mut [f32]; 2],
        scratch: &mut [f32],
    ) -> Result<(), ModelError> {
        let head_dim = header.attention.head_dim;
        #[cfg(feature = "lfm2")]
        if let Some(gains) = self.head_norms {
            for (heads, gain) in [query, key].into_iter().zip(gains) {
                run.norm_heads(heads, gain, header.norm_eps, scratch)?;
                rope.rotate_halves(heads, head_dim);
            }
            return Ok(());
        }
        let _ = (run, scratch);
        rope.rotate(query, head_dim);
        rope.rotate(key, head_dim);
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "inputs, state, scratch and output")]
    fn forward<B: Backend>(
        &self,
        run: &Run<'_, B>,
        header: &Header,
        rope: &Rope<'_>,
        x: &[f32],
        integers: &mut ActivationsBuf<'_>,
        state: &mut Mixing<'_>,
        y: &mut [f32],
    ) -> Result<(), ModelError> {
        let Mixing { cache, scratch, query, attended, .. } = state;
        {
            let input = run.input(x, integers, &[&self.q, &self.k, &self.v])?;
            let (key, value) = cache.next(self.index)?;
            run.matvec(&self.q, &input, query)?;
            run.matvec(&self.k, &input, key)?;
            run.matvec(&self.v, &input, value)?;
            self.rotate(run, header, rope, [query, key], attended)?;
        }
        header.attention.attend(
            run.backend,
            run.pool,
            query,
            cache,
            self.index,
            attended,
            scratch,
        )?;
        let input = run.input(attended, integers, &[&self.output])?;
        run.matvec(&self.output, &input, y)
    }
}

#[cfg(feature = "lfm2")]
impl ShortConvWeights<'_> {
    fn forward<B: Backend>(
        &self,
        run: &Run<'_, B>,
        header: &Header,
        x: &mut [f32],
        integers: &mut ActivationsBuf<'_>,
        state: &mut Mixing<'_>,
        y: &mut [f32],
    ) -> Result<(), ModelError> {
        let Mixing { cache, history, projected, .. } = state;
        let (position, capacity) = (cache.len(), cache.capacity());
        let full = CacheError::Full { capacity };
        if position == capacity {
            return Err(full.into());
        }
        let len = capacity * header.dim;
        let history = history.get_mut(self.index * len..).and_then(|h| h.get_mut(..len));
        {
            let input = run.input(x, integers, &[&self.input])?;
            run.matvec(&self.input, &input, projected)?;
        }
        self.conv.forward(projected, position, history.ok_or(full)?, x)?;
        let input = run.input(x, integers, &[&self.output])?;
        run.matvec(&self.output, &input, y)
    }
}
