//! A small decoder that learns a text character by character.

use super::{Gradient, Params, Task, Validation};
use crate::Result;
use candle_core::{Device, Tensor, Var};
use trilane_std::train::decoder::{self, Batch, Config, Outcome, Param, Precision};
use trilane_std::train::ops::{Activation, from_rows};
use trilane_std::train::random;

/// Characters in a window.
const WINDOW: usize = 32;
/// Windows held out that validation reads.
const VALIDATION: usize = 64;

/// 2 layers of width 32 with 2 heads of 16; a sample is a window of the text, its loss the mean over
/// the characters. The first nine tenths of the text are to train on.
pub(crate) struct Transformer {
    config: Config,
    params: Vec<Param>,
    training: Vec<u32>,
    held_out: Vec<u32>,
    batch: usize,
}

impl Transformer {
    /// Over the characters of `text`, so many windows in a step; token 0 begins every window.
    pub(crate) fn new(text: &str, batch: usize) -> Result<Self> {
        let mut characters: Vec<char> = text.chars().collect();
        characters.sort_unstable();
        characters.dedup();
        let token = |c| characters.binary_search(&c).map_or(0, |i| i as u32 + 1);
        let tokens: Vec<u32> = text.chars().map(token).collect();
        let (training, held_out) = tokens.split_at(tokens.len() / 10 * 9);
        if held_out.len() < WINDOW {
            return Err(format!("a text of {} characters is too short", tokens.len()).into());
        }
        let config = Config {
            vocab: characters.len() + 1,
            dim: 32,
            hidden: 96,
            layers: 2,
            heads: 2,
            kv_heads: 2,
            context: WINDOW,
            norm_eps: 1e-5,
            rope_base: 10_000.0,
            activation: Activation::Silu,
        };
        let params = decoder::params(&config);
        Ok(Self { config, params, training: training.to_vec(), held_out: held_out.to_vec(), batch })
    }

    fn of_windows<'a>(&self, windows: impl Iterator<Item = &'a [u32]>) -> Batch {
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for window in windows {
            inputs.push(0);
            inputs.extend(&window[..WINDOW - 1]);
            targets.extend(window);
        }
        Batch { window: WINDOW, inputs, targets }
    }

    fn windows(&self, samples: &[usize]) -> Batch {
        self.of_windows(samples.iter().map(|i| &self.training[i * WINDOW..(i + 1) * WINDOW]))
    }

    fn forward(&self, params: &Params, batch: Batch) -> Result<Outcome> {
        let weights = self.params.iter().zip(params);
        let weights: Vec<Tensor> = weights
            .map(|(p, w)| Tensor::from_slice(w, p.shape.as_slice(), &Device::Cpu))
            .collect::<candle_core::Result<_>>()?;
        Ok(decoder::outcome(&self.config, &weights, batch, Precision::Float)?)
    }
}

impl Task for Transformer {
    fn name(&self) -> &'static str {
        "transformer"
    }

    fn shapes(&self) -> Vec<Vec<usize>> {
        self.params.iter().map(|p| p.shape.clone()).collect()
    }

    fn initial(&self, seed: u64) -> Params {
        self.params.iter().zip(0..).map(|(p, i)| p.init(random::bits(seed, i))).collect()
    }

    fn samples(&self) -> usize {
        self.training.len() / WINDOW
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn losses(&self, params: &Params, samples: &[usize]) -> Result<Vec<f32>> {
        Ok(from_rows(&self.forward(params, self.windows(samples))?.window_losses()?)?)
    }

    fn head_gradients(&self, params: &Params, samples: &[usize]) -> Result<Option<Vec<f32>>> {
        Ok(Some(from_rows(&self.forward(params, self.windows(samples))?.head_gradients()?)?))
    }

    fn gradient(&self, params: &Params, samples: &[usize], weights: &[f32]) -> Result<Gradient> {
        let pairs = self.params.iter().zip(params);
        let leaves: Vec<Var> = pairs
            .map(|(p, w)| Var::from_slice(w, p.shape.as_slice(), &Device::Cpu))
            .collect::<candle_core::Result<_>>()?;
        let tensors: Vec<Tensor> = leaves.iter().map(|v| v.as_tensor().clone()).collect();
        let outcome =
            decoder::outcome(&self.config, &tensors, self.windows(samples), Precision::Float)?;
        let losses = outcome.window_losses()?;
        let weights = Tensor::from_slice(weights, weights.len(), &Device::Cpu)?;
        let grads = (&losses * weights)?.sum_all()?.backward()?;
        let missing = || candle_core::Error::Msg("a parameter has no gradient".into());
        let gradients = leaves.iter().map(|leaf| from_rows(grads.get(leaf).ok_or_else(missing)?));
        let gradients = gradients.collect::<candle_core::Result<_>>()?;
        Ok(Gradient { losses: from_rows(&losses)?, gradients })
    }

    fn validation(&self, params: &Params) -> Result<Validation> {
        let windows: Vec<&[u32]> = self.held_out.chunks_exact(WINDOW).collect();
        let step = windows.len().div_ceil(VALIDATION);
        let outcome = self.forward(params, self.of_windows(windows.into_iter().step_by(step)))?;
        let losses = from_rows(&outcome.losses)?;
        let loss = losses.iter().map(|l| f64::from(*l)).sum::<f64>() / losses.len() as f64;
        Ok(Validation { loss, accuracy: f64::NAN })
    }
}
