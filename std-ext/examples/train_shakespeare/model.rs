//! The decoder: llama architecture, tied embeddings.

use crate::attention::{Attention, HEAD_DIM};
use crate::ops::{Activation, ActiveShare, CrossEntropy, Gated, RmsNorm};
use crate::random;
use candle_core::{Device, Result, Tensor};

/// Sizes of the decoder.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) vocab: usize,
    pub(crate) dim: usize,
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) context: usize,
    pub(crate) norm_eps: f32,
    pub(crate) rope_base: f32,
    pub(crate) activation: Activation,
}

impl Config {
    /// The models that `models/` holds.
    pub(crate) const fn shakespeare(activation: Activation) -> Self {
        Self {
            vocab: 512,
            dim: 4 * HEAD_DIM,
            hidden: 384,
            layers: 5,
            heads: 4,
            kv_heads: 2,
            context: 256,
            norm_eps: 1e-5,
            rope_base: 10_000.0,
            activation,
        }
    }

    /// Width of a head.
    pub(crate) fn head_dim(&self) -> usize {
        self.dim / self.heads
    }
}

/// One parameter tensor: its GGUF name, shape (rows first) and initial spread.
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    deviation: f32,
}

impl Param {
    /// How many weights it has.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The row length of a matrix; `None` for the weights of a norm.
    pub(crate) fn matrix_cols(&self) -> Option<usize> {
        (self.shape.len() == 2).then(|| self.shape[1])
    }

    /// Seeded initial values: normal for matrices, ones for norms.
    pub(crate) fn init(&self, seed: u64) -> Vec<f32> {
        match self.matrix_cols() {
            None => vec![1.0; self.len()],
            Some(_) => {
                (0..self.len() as u64).map(|i| self.deviation * random::normal(seed, i)).collect()
            }
        }
    }
}

/// Parameters before the first layer, and in each layer.
const SHARED_PARAMS: usize = 2;
const LAYER_PARAMS: usize = 9;

/// All parameters, in the order of [`outcome`] and of the file.
pub(crate) fn params(config: &Config) -> Vec<Param> {
    let (dim, hidden) = (config.dim, config.hidden);
    let kv_dim = config.kv_heads * config.head_dim();
    let wide = 0.05;
    let residual = wide / (2.0 * config.layers as f32).sqrt();
    let param =
        |name: String, shape: &[usize], deviation| Param { name, shape: shape.to_vec(), deviation };
    let mut all = vec![
        param("token_embd.weight".into(), &[config.vocab, dim], wide),
        param("output_norm.weight".into(), &[dim], 0.0),
    ];
    for layer in 0..config.layers {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        all.extend([
            param(name("attn_norm"), &[dim], 0.0),
            param(name("attn_q"), &[dim, dim], wide),
            param(name("attn_k"), &[kv_dim, dim], wide),
            param(name("attn_v"), &[kv_dim, dim], wide),
            param(name("attn_output"), &[dim, dim], residual),
            param(name("ffn_norm"), &[dim], 0.0),
            param(name("ffn_gate"), &[hidden, dim], wide),
            param(name("ffn_down"), &[dim, hidden], residual),
            param(name("ffn_up"), &[hidden, dim], wide),
        ]);
    }
    all
}

/// Input rows and the token each should predict: whole windows, one after another.
pub(crate) struct Batch {
    pub(crate) window: usize,
    pub(crate) inputs: Vec<u32>,
    pub(crate) targets: Vec<u32>,
}

/// What a batch gives.
pub(crate) struct Outcome {
    /// The mean loss, in nats per token.
    pub(crate) loss: Tensor,
    /// The share of the gates above zero, over tokens and layers: with a rectifier, of the
    /// hidden neurons that are not zero.
    pub(crate) active: Tensor,
}

/// Loss and active share of a batch.
pub(crate) fn outcome(config: &Config, weights: &[Tensor], batch: Batch) -> Result<Outcome> {
    let attention = Attention::new(config.heads, config.kv_heads, batch.window, config.rope_base);
    let norm = |x: &Tensor, w: &Tensor| x.apply_op2(w, RmsNorm { eps: config.norm_eps });
    let linear = |x: &Tensor, w: &Tensor| x.matmul(&w.t()?);
    let rows = batch.inputs.len();
    let inputs = Tensor::from_vec(batch.inputs, rows, &Device::Cpu)?;
    let embedding = &weights[0];
    let mut x = embedding.index_select(&inputs, 0)?;
    let mut active = Vec::new();
    for layer in weights[SHARED_PARAMS..].chunks_exact(LAYER_PARAMS) {
        let h = norm(&x, &layer[0])?;
        let (q, k, v) = (linear(&h, &layer[1])?, linear(&h, &layer[2])?, linear(&h, &layer[3])?);
        let mixed = q.apply_op3(&k, &v, attention.clone())?;
        x = (x + linear(&mixed, &layer[4])?)?;
        let h = norm(&x, &layer[5])?;
        let gate = linear(&h, &layer[6])?;
        active.push(gate.apply_op1(ActiveShare)?);
        let hidden = gate.apply_op2(&linear(&h, &layer[8])?, Gated(config.activation))?;
        x = (x + linear(&hidden, &layer[7])?)?;
    }
    let logits = linear(&norm(&x, &weights[1])?, embedding)?;
    Ok(Outcome {
        loss: logits.apply_op1(CrossEntropy { targets: batch.targets })?,
        active: Tensor::stack(&active, 0)?.mean_all()?,
    })
}
