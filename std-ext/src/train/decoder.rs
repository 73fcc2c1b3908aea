//! The decoder: llama architecture, tied embeddings.

use super::attention::Attention;
use super::fake_quantize_activations;
use super::ops::{Activation, ActiveShare, CrossEntropy, Gated, RmsNorm};
use super::random;
use candle_core::{Device, Error, Result, Tensor};

/// Sizes of the decoder.
#[derive(Clone, Debug)]
pub struct Config {
    /// Tokens there are.
    pub vocab: usize,
    /// Width of the residual stream: `heads` times 8, 16, 32 or 64.
    pub dim: usize,
    /// Neurons of a feed-forward block.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of the keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Tokens that the model is meant for; windows may be shorter.
    pub context: usize,
    /// Added to the mean square of every norm.
    pub norm_eps: f32,
    /// Base of the rotary positions.
    pub rope_base: f32,
    /// Function of the gate.
    pub activation: Activation,
}

impl Config {
    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.dim / self.heads
    }
}

/// One parameter tensor: its GGUF name, shape (rows first) and initial spread.
#[derive(Clone, Debug)]
pub struct Param {
    /// The name in GGUF files.
    pub name: String,
    /// Rows and columns of a matrix, or the length of a vector.
    pub shape: Vec<usize>,
    /// Standard deviation of a matrix's initial values.
    deviation: f32,
}

impl Param {
    /// How many weights it has.
    #[allow(clippy::len_without_is_empty, reason = "a parameter is never empty")]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The row length of a matrix; `None` for the weights of a norm.
    pub fn matrix_cols(&self) -> Option<usize> {
        (self.shape.len() == 2).then(|| self.shape[1])
    }

    /// Seeded initial values: normal for matrices, ones for norms.
    pub fn init(&self, seed: u64) -> Vec<f32> {
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

/// All parameters, in the order of [`outcome`].
pub fn params(config: &Config) -> Vec<Param> {
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
#[derive(Clone, Debug)]
pub struct Batch {
    /// Tokens in a window.
    pub window: usize,
    /// The tokens read.
    pub inputs: Vec<u32>,
    /// The tokens to predict, as many.
    pub targets: Vec<u32>,
}

/// What a batch gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The loss of every token, in nats, in the order of the batch.
    pub losses: Tensor,
    /// The share of the gates above zero, over tokens and layers: with a rectifier, of the
    /// hidden neurons that are not zero.
    pub active: Tensor,
    /// Tokens in a window.
    window: usize,
    /// What the output matrix is given, what it gives, and what it should.
    hidden: Tensor,
    logits: Tensor,
    targets: Vec<u32>,
}

impl Outcome {
    /// The mean loss, in nats per token.
    ///
    /// # Errors
    /// Those of candle.
    pub fn loss(&self) -> Result<Tensor> {
        self.losses.mean_all()
    }

    /// The mean loss of every window, in nats per token.
    ///
    /// # Errors
    /// Those of candle.
    pub fn window_losses(&self) -> Result<Tensor> {
        self.losses.reshape(((), self.window))?.mean(1)
    }

    /// The gradient of every window's mean loss by the output matrix, (windows, vocabulary·width): what
    /// tells windows apart without a backward pass ([`herding`](trilane_core::train::herding)).
    ///
    /// It leaves out that the matrix also embeds the inputs.
    ///
    /// # Errors
    /// Those of candle.
    pub fn head_gradients(&self) -> Result<Tensor> {
        let shares = vec![1.0 / self.window as f32; self.targets.len()];
        let op = CrossEntropy { targets: self.targets.clone() };
        let errors = op.gradient(&self.logits, &shares)?;
        let windows = |x: &Tensor| x.reshape(((), self.window, x.dim(1)?));
        let gradients =
            windows(&errors)?.transpose(1, 2)?.matmul(&windows(&self.hidden.detach())?)?;
        gradients.flatten_from(1)
    }
}

/// What the inputs of the matrices are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Floats.
    Float,
    /// Floats rounded as the engine rounds them, gradients straight through
    /// ([`fake_quantize_activations`]).
    Int8,
}

/// Losses and active share of a batch, at these weights: one tensor for each of [`params`].
///
/// # Errors
/// When heads are not 8, 16, 32 or 64 wide, the batch is no whole windows, a token is beyond the
/// vocabulary, or a weight has another shape.
pub fn outcome(
    config: &Config,
    weights: &[Tensor],
    batch: Batch,
    precision: Precision,
) -> Result<Outcome> {
    let expected = SHARED_PARAMS + config.layers * LAYER_PARAMS;
    if weights.len() != expected || config.heads == 0 {
        let found = weights.len();
        return Err(Error::Msg(format!("a decoder of {expected} parameters, found {found}")));
    }
    if batch.inputs.len() != batch.targets.len() {
        let (inputs, targets) = (batch.inputs.len(), batch.targets.len());
        return Err(Error::Msg(format!("a target for each of {inputs} inputs, found {targets}")));
    }
    match config.head_dim() {
        8 => forward::<8>(config, weights, batch, precision),
        16 => forward::<16>(config, weights, batch, precision),
        32 => forward::<32>(config, weights, batch, precision),
        64 => forward::<64>(config, weights, batch, precision),
        width => Err(Error::Msg(format!("heads of 8, 16, 32 or 64, found {width}"))),
    }
}

fn forward<const D: usize>(
    config: &Config,
    weights: &[Tensor],
    batch: Batch,
    precision: Precision,
) -> Result<Outcome> {
    let Batch { window, inputs, targets } = batch;
    let attention = Attention::<D>::new(config.heads, config.kv_heads, window, config.rope_base)?;
    let norm = |x: &Tensor, w: &Tensor| x.apply_op2(w, RmsNorm { eps: config.norm_eps });
    let linear = |x: &Tensor, w: &Tensor| match precision {
        Precision::Float => x.matmul(&w.t()?),
        Precision::Int8 => fake_quantize_activations(x)?.matmul(&w.t()?),
    };
    let rows = inputs.len();
    let inputs = Tensor::from_vec(inputs, rows, &Device::Cpu)?;
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
    let hidden = norm(&x, &weights[1])?;
    let logits = linear(&hidden, embedding)?;
    Ok(Outcome {
        losses: logits.apply_op1(CrossEntropy { targets: targets.clone() })?,
        active: Tensor::stack(&active, 0)?.mean_all()?,
        window,
        hidden,
        logits,
        targets,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::train::ops::from_rows;
    use candle_core::Var;

    /// Window by window, against the gradient of a loss that is nothing but the output matrix.
    #[test]
    fn head_gradients_are_those_of_the_output_matrix() {
        let config = Config {
            vocab: 11,
            dim: 16,
            hidden: 24,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            context: 4,
            norm_eps: 1e-5,
            rope_base: 10_000.0,
            activation: Activation::Silu,
        };
        let weights: Vec<Tensor> = (params(&config).iter().zip(1..))
            .map(|(p, seed)| Tensor::from_vec(p.init(seed), p.shape.clone(), &Device::Cpu).unwrap())
            .collect();
        let tokens: Vec<u32> = (0..12).map(|i| i * i % 11).collect();
        let batch = Batch { window: 4, inputs: tokens.clone(), targets: tokens[1..].to_vec() };
        assert!(outcome(&config, &weights, batch, Precision::Float).is_err());
        let targets: Vec<u32> = tokens.iter().map(|t| (t + 3) % 11).collect();
        let batch = Batch { window: 4, inputs: tokens, targets: targets.clone() };
        let outcome = outcome(&config, &weights, batch, Precision::Float).unwrap();
        let gradients = outcome.head_gradients().unwrap();
        assert_eq!(gradients.dims(), [3, 11 * 16]);
        let gradients = gradients.to_vec2::<f32>().unwrap();
        for (window, gradient) in gradients.iter().enumerate() {
            let head = Var::from_tensor(&weights[0]).unwrap();
            let hidden = outcome.hidden.detach().narrow(0, 4 * window, 4).unwrap();
            let logits = hidden.matmul(&head.t().unwrap()).unwrap();
            let targets = targets[4 * window..][..4].to_vec();
            let loss = logits.apply_op1(CrossEntropy { targets }).unwrap().mean_all().unwrap();
            let expected = loss.backward().unwrap();
            let expected = from_rows(expected.get(&head).unwrap()).unwrap();
            assert!(expected.iter().any(|g| g.abs() > 1e-3));
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
            assert!(gradient.iter().zip(&expected).all(close), "{gradient:?}\n{expected:?}");
        }
    }
}
