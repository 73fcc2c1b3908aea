//! What a training run is told: the contents of a YAML file.

use super::TrainError;
use super::ops::Activation;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use trilane_core::error::ArgumentError;
use trilane_core::train::predict::DeterministicPhaseConfig;

/// A training run. Names are those of axolotl and Hugging Face where they have one.
///
/// Only `dataset` and `output_dir` must be given; paths are relative to the working directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// A llama GGUF file to go on from: its sizes, vocabulary and weights. Without it a new model
    /// of the sizes of `model` is trained, with a vocabulary learned from the text.
    #[serde(default)]
    pub base_model: Option<PathBuf>,
    /// Sizes of a new model.
    #[serde(default)]
    pub model: ModelConfig,
    /// Function of the gate; without it that of the base model, SiLU for a new one.
    #[serde(default)]
    pub hidden_act: Option<Activation>,
    /// The text.
    pub dataset: DatasetConfig,
    /// The folder for `model.gguf` (floats), `checkpoint.bin`, `log.csv` and `loss.svg`.
    pub output_dir: PathBuf,
    /// Tokens in a window, begin token included.
    #[serde(default = "defaults::sequence_len")]
    pub sequence_len: usize,
    /// Windows in a micro-batch.
    #[serde(default = "defaults::micro_batch_size")]
    pub micro_batch_size: usize,
    /// Micro-batches in a step.
    #[serde(default = "defaults::gradient_accumulation_steps")]
    pub gradient_accumulation_steps: usize,
    /// Optimiser steps.
    #[serde(default = "defaults::max_steps")]
    pub max_steps: usize,
    /// Steps from one evaluation, and checkpoint, to the next.
    #[serde(default = "defaults::eval_steps")]
    pub eval_steps: usize,
    /// Highest learning rate of AdamW, reached after `warmup_steps`, from where it falls along half a
    /// cosine to a twentieth.
    #[serde(default = "defaults::learning_rate")]
    pub learning_rate: f64,
    /// Steps in which the learning rate rises; at most a tenth of all are taken.
    #[serde(default = "defaults::warmup_steps")]
    pub warmup_steps: usize,
    /// Decoupled weight decay of the matrices.
    #[serde(default = "defaults::weight_decay")]
    pub weight_decay: f64,
    /// Gradients whose joint norm is larger are scaled down to it.
    #[serde(default = "defaults::max_grad_norm")]
    pub max_grad_norm: f64,
    /// Seed of weights, windows and everything else by chance.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
    /// What the model is trained to be stored as.
    #[serde(default)]
    pub quantization: QuantizationConfig,
    /// Neurons that are to stay zero.
    #[serde(default)]
    pub sparsity: Option<SparsityTarget>,
    /// Steps whose gradient is predicted.
    #[serde(default)]
    pub prediction: Option<PredictionConfig>,
    /// Windows that get a backward pass; without it all that are drawn.
    #[serde(default)]
    pub selection: Option<WindowSelectionConfig>,
    /// Workers that the micro-batches of a step are dealt to, and what they send each other.
    #[serde(default)]
    pub compression: Option<CompressionConfig>,
    /// Whether a worker adds its micro-batches up in trits, 2.25 bits a parameter, instead of floats.
    #[serde(default)]
    pub ternary_accumulation: bool,
}

/// When gradients are predicted; see [`DeterministicPhaseConfig`] for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PredictionConfig {
    /// Steps with a gradient before anything is predicted.
    pub warmup_steps: u32,
    /// Steps with a gradient in a cycle.
    pub full_steps: u32,
    /// Predicted steps in a cycle, corrections among them.
    pub predict_steps: u32,
    /// Every so many steps of them have a gradient.
    pub correct_every: u32,
    /// Whether the losses move these.
    pub adaptive_phases: bool,
    /// The cosine with the gradients at which predictions go on.
    pub least_cosine: f32,
}

impl Default for PredictionConfig {
    fn default() -> Self {
        let DeterministicPhaseConfig {
            warmup_steps,
            full_steps,
            predict_steps,
            correct_every,
            adaptive_phases,
            least_cosine,
            ..
        } = DeterministicPhaseConfig::default();
        Self {
            warmup_steps,
            full_steps,
            predict_steps,
            correct_every,
            adaptive_phases,
            least_cosine,
        }
    }
}

impl PredictionConfig {
    /// The configuration of the phases.
    pub(super) fn phases(&self) -> DeterministicPhaseConfig {
        DeterministicPhaseConfig {
            warmup_steps: self.warmup_steps,
            full_steps: self.full_steps,
            predict_steps: self.predict_steps,
            correct_every: self.correct_every,
            adaptive_phases: self.adaptive_phases,
            least_cosine: self.least_cosine,
            ..Default::default()
        }
    }
}

/// Which windows get a backward pass: see [`Selection`](trilane_core::train::selection::Selection).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowSelectionConfig {
    /// β: a window whose loss is above the share c of recent losses is taken with probability `c^β`.
    pub power: f32,
    /// Recent losses.
    pub recent: usize,
    /// Steps for which a loss is used again, where a window is drawn again.
    pub most_age: u32,
}

impl Default for WindowSelectionConfig {
    /// What `docs/training.md` found best for a transformer.
    fn default() -> Self {
        Self { power: 2.0, recent: 512, most_age: 0 }
    }
}

/// A codec of [`compress`](trilane_core::train::compress).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodecName {
    /// A count sketch, then the exact values of the largest found in it.
    TwoPhase,
    /// Factors of each matrix.
    LowRank,
    /// The largest values and their positions.
    TopK,
    /// Trits, 18.8 times smaller.
    Ternary,
    /// The plain one-phase sketch.
    Sketch,
}

/// What workers send each other, with error feedback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompressionConfig {
    /// How gradients are compressed.
    pub codec: CodecName,
    /// Words sent for each parameter.
    #[serde(default = "defaults::ratio")]
    pub ratio: f32,
    /// Workers, a divisor of `gradient_accumulation_steps`.
    pub workers: usize,
}

/// Sizes of a new model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Pieces of the vocabulary, learned from the training text.
    pub vocab_size: usize,
    /// Width.
    pub hidden_size: usize,
    /// Neurons of a feed-forward block.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of the queries; each 8, 16, 32 or 64 wide.
    pub num_attention_heads: usize,
    /// Heads of keys and values.
    pub num_key_value_heads: usize,
    /// Longest context.
    pub max_position_embeddings: usize,
}

impl Default for ModelConfig {
    /// The project's Shakespeare model: a million weights.
    fn default() -> Self {
        Self {
            vocab_size: 512,
            hidden_size: 128,
            intermediate_size: 384,
            num_hidden_layers: 5,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            max_position_embeddings: 256,
        }
    }
}

/// The text to learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetConfig {
    /// A UTF-8 file.
    pub path: PathBuf,
    /// The last share of its bytes is for validation.
    #[serde(default = "defaults::val_set_size")]
    pub val_set_size: f64,
}

/// What the weights are quantised to in the forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Nothing.
    #[default]
    Float,
    /// Bit3, Bit5 and Bit7, nested: one half of the micro-batches at Bit3, the others at Bit7 or Bit5
    /// in turn.
    Nested,
    /// Trits; the embeddings at Bit7.
    Ternary,
}

/// Quantisation in the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizationConfig {
    /// What the weights become.
    pub target: Target,
    /// Share of the steps that run in floats before.
    pub start: f64,
    /// Weights that share a scale: 32 or 64.
    pub group_size: usize,
    /// Whether activations are rounded to int8 as well.
    pub activations: bool,
}

impl Default for QuantizationConfig {
    fn default() -> Self {
        Self { target: Target::Float, start: 0.2, group_size: 32, activations: true }
    }
}

/// A penalty on active neurons beyond a share, for `hidden_act: relu2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparsityTarget {
    /// Share of the neurons that should be zero; approached from half of it during the float steps.
    pub target: f64,
    /// Half the square of the excess, times this, is added to the loss.
    #[serde(default = "defaults::penalty")]
    pub penalty: f64,
}

mod defaults {
    pub(super) fn sequence_len() -> usize {
        256
    }
    pub(super) fn micro_batch_size() -> usize {
        2
    }
    pub(super) fn gradient_accumulation_steps() -> usize {
        2
    }
    pub(super) fn max_steps() -> usize {
        2000
    }
    pub(super) fn eval_steps() -> usize {
        200
    }
    pub(super) fn learning_rate() -> f64 {
        2e-3
    }
    pub(super) fn warmup_steps() -> usize {
        100
    }
    pub(super) fn weight_decay() -> f64 {
        0.1
    }
    pub(super) fn max_grad_norm() -> f64 {
        1.0
    }
    pub(super) fn seed() -> u64 {
        1
    }
    pub(super) fn val_set_size() -> f64 {
        0.1
    }
    pub(super) fn ratio() -> f32 {
        0.1
    }
    pub(super) fn penalty() -> f64 {
        50.0
    }
}

/// Refuses an integer setting outside its range.
fn count(name: &'static str, actual: usize, least: i64, greatest: i64) -> Result<(), TrainError> {
    let actual = i64::try_from(actual).unwrap_or(i64::MAX);
    match (least..=greatest).contains(&actual) {
        true => Ok(()),
        false => Err(ArgumentError::Count { name, least, greatest, actual }.into()),
    }
}

/// Refuses a real setting outside its range, NaN too.
fn real(name: &'static str, actual: f64, least: f64, greatest: f64) -> Result<(), TrainError> {
    match (least..=greatest).contains(&actual) {
        true => Ok(()),
        false => Err(ArgumentError::Parameter {
            name,
            least: least as f32,
            greatest: greatest as f32,
            actual: actual as f32,
        }
        .into()),
    }
}

impl TrainConfig {
    /// Refuses settings that cannot be trained with, before anything is read.
    ///
    /// # Errors
    /// [`TrainError::Argument`] names the setting, its range and what was found.
    pub fn validate(&self) -> Result<(), TrainError> {
        const MOST: i64 = 1 << 20;
        count("sequence_len", self.sequence_len, 2, MOST)?;
        count("micro_batch_size", self.micro_batch_size, 1, MOST)?;
        count("gradient_accumulation_steps", self.gradient_accumulation_steps, 1, MOST)?;
        count("max_steps", self.max_steps, 1, i64::from(u32::MAX))?;
        count("eval_steps", self.eval_steps, 1, i64::from(u32::MAX))?;
        real("learning_rate", self.learning_rate, 1e-12, 100.0)?;
        real("weight_decay", self.weight_decay, 0.0, 100.0)?;
        real("max_grad_norm", self.max_grad_norm, 1e-9, 1e9)?;
        real("dataset.val_set_size", self.dataset.val_set_size, 1e-6, 0.9)?;
        real("quantization.start", self.quantization.start, 0.0, 1.0)?;
        let group = self.quantization.group_size;
        if group != 32 {
            count("quantization.group_size", group, 64, 64)?;
        }
        if let Some(sparsity) = &self.sparsity {
            real("sparsity.target", sparsity.target, 0.0, 1.0)?;
            real("sparsity.penalty", sparsity.penalty, 0.0, 1e9)?;
        }
        if let Some(prediction) = &self.prediction {
            prediction.phases().check()?;
        }
        if let Some(selection) = &self.selection {
            real("selection.power", selection.power.into(), 0.0, 32.0)?;
            count("selection.recent", selection.recent, 1, MOST)?;
            count("selection.most_age", selection.most_age as usize, 0, 1_000_000)?;
        }
        if let Some(compression) = &self.compression {
            let batches = self.gradient_accumulation_steps;
            count("compression.workers", compression.workers, 1, batches as i64)?;
            let rest = batches % compression.workers;
            count("gradient_accumulation_steps modulo compression.workers", rest, 0, 0)?;
        }
        if self.base_model.is_none() {
            self.model.validate()?;
        }
        Ok(())
    }
}

impl ModelConfig {
    fn validate(&self) -> Result<(), TrainError> {
        const MOST: i64 = 1 << 16;
        // Three control tokens and 256 bytes.
        count("model.vocab_size", self.vocab_size, 260, MOST)?;
        count("model.intermediate_size", self.intermediate_size, 1, MOST)?;
        count("model.num_hidden_layers", self.num_hidden_layers, 1, 1024)?;
        count("model.max_position_embeddings", self.max_position_embeddings, 2, MOST)?;
        let heads = self.num_attention_heads;
        count("model.num_attention_heads", heads, 1, 1024)?;
        count("model.num_key_value_heads", self.num_key_value_heads, 1, heads as i64)?;
        let groups = heads % self.num_key_value_heads;
        count("model.num_attention_heads modulo num_key_value_heads", groups, 0, 0)?;
        count("model.hidden_size", self.hidden_size, 8 * heads as i64, 64 * heads as i64)?;
        if !matches!(self.hidden_size, n if [8, 16, 32, 64].map(|w| w * heads).contains(&n)) {
            let (least, actual) = ((8 * heads) as i64, self.hidden_size as i64);
            let name = "model.hidden_size (8, 16, 32 or 64 times num_attention_heads)";
            return Err(ArgumentError::Count { name, least, greatest: 8 * least, actual }.into());
        }
        Ok(())
    }
}
