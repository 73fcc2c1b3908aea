//! A decoder in training: steps, evaluations, checkpoints.

use super::checkpoint::{self, State};
use super::config::{Target, TrainConfig};
use super::corpus::Corpus;
use super::decoder::{Config, Outcome, Param, Precision, outcome};
use super::fake_quantize::fake_quantize_rows;
use super::gradient::{Gradient, Pipeline};
use super::model_file::{self, Origin, Start};
use super::ops::{Activation, from_rows};
use super::optimizer::{self, AdamW, Schedule};
use super::record::{LaneLoss, Passes, Record, StepReport};
use super::selector::Selector;
use super::{TrainError, random};
use candle_core::{Device, Tensor, Var};
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::thread;
use trilane_core::digits::Group;
use trilane_core::lane::PrecisionLane;

/// Intermediate evaluations read one validation window of so many.
const EVALUATION_STRIDE: usize = 6;

/// A decoder in training.
///
/// The result depends on the settings alone: not on the number of threads, nor on where a run was
/// stopped and resumed. It is Measured: another kind of CPU gives slightly different weights, since
/// candle chooses its matrix products by the instruction set.
pub struct Trainer {
    config: TrainConfig,
    decoder: Config,
    origin: Origin,
    params: Vec<Param>,
    corpus: Corpus,
    schedule: Schedule,
    adam: AdamW,
    values: Vec<Vec<f32>>,
    best_values: Vec<Vec<f32>>,
    best: f64,
    step: usize,
    pipeline: Pipeline,
    /// Sum of the losses since the last evaluation, and of how many steps.
    losses: (f64, u32),
    selector: Option<Selector>,
    /// Windows drawn to select from.
    drawn: u64,
    passes: Passes,
    history: Vec<Record>,
}

impl Trainer {
    /// Reads the text and the base model, or makes a new one, and goes on from the checkpoint in the
    /// output folder if there is one.
    ///
    /// # Errors
    /// [`TrainError::Argument`] for a setting out of range, [`TrainError::File`] for a file that cannot
    /// be used, [`TrainError::Data`] for a text too short.
    pub fn open(config: TrainConfig) -> Result<Self, TrainError> {
        config.validate()?;
        let path = &config.dataset.path;
        let text = fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
        let share = config.dataset.val_set_size;
        let initial = |params: &[Param]| {
            let seeds = params.iter().zip(0_u64..);
            seeds.map(|(p, i)| p.init(random::bits(config.seed, i))).collect()
        };
        let start = match &config.base_model {
            Some(base) => {
                fs::metadata(base).map_err(|e| TrainError::io(base, e))?;
                model_file::base(base, &text, share)?
            }
            None => model_file::new(&config.model, &text, share, initial)?,
        };
        let Start { origin, mut decoder, params, values, corpus } = start;
        decoder.activation = config.hidden_act.unwrap_or(decoder.activation);
        let window = config.sequence_len;
        if window > decoder.context {
            let expected = format!("sequence_len of at most {}", decoder.context);
            return Err(TrainError::Data { expected, found: window.to_string() });
        }
        if config.sparsity.is_some() && decoder.activation != Activation::Relu2 {
            let expected = "hidden_act relu2 where sparsity is set".to_string();
            return Err(TrainError::Data { expected, found: decoder.activation.to_string() });
        }
        for (part, tokens) in [("training", &corpus.training), ("validation", &corpus.validation)] {
            if tokens.len() < window {
                let expected = format!("a window of {window} tokens for {part}");
                return Err(TrainError::Data { expected, found: tokens.len().to_string() });
            }
        }
        let schedule = Schedule {
            peak: config.learning_rate,
            floor: config.learning_rate / 20.0,
            warmup: config.warmup_steps.min(config.max_steps / 10),
            steps: config.max_steps,
        };
        let adam = AdamW::new(&params, config.weight_decay);
        let best_values = values.clone();
        let pipeline = Pipeline::new(&config, &params)?;
        let selector = windows::selector(&config, &corpus)?;
        let mut trainer = Self {
            config,
            decoder,
            origin,
            params,
            corpus,
            schedule,
            adam,
            values,
            best_values,
            best: f64::INFINITY,
            step: 0,
            pipeline,
            losses: (0.0, 0),
            selector,
            drawn: 0,
            passes: Passes::default(),
            history: Vec::new(),
        };
        trainer.resume()?;
        Ok(trainer)
    }

    /// Weights of the model.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.params.iter().map(Param::len).sum()
    }

    /// Tokens of the training and of the validation part.
    #[must_use]
    pub fn tokens(&self) -> (usize, usize) {
        (self.corpus.training.len(), self.corpus.validation.len())
    }

    /// Steps done.
    #[must_use]
    pub fn steps_done(&self) -> usize {
        self.step
    }

    /// What the run has spent until now.
    #[must_use]
    pub fn passes(&self) -> Passes {
        self.passes
    }

    /// Evaluations until now.
    #[must_use]
    pub fn history(&self) -> &[Record] {
        &self.history
    }

    /// Where the model is written.
    #[must_use]
    pub fn model_path(&self) -> PathBuf {
        self.config.output_dir.join("model.gguf")
    }

    /// One step of the optimiser.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] when loss or gradient is no longer finite, [`TrainError::Candle`].
    pub fn train_step(&mut self) -> Result<StepReport, TrainError> {
        let step = self.step;
        let rate = self.schedule.rate(step);
        if self.pipeline.needs_backward() {
            let places = self.places(step)?;
            self.micro_batches(step, &places)?;
        } else {
            self.passes.predicted_steps += 1;
        }
        let Gradient { loss, values } = self.pipeline.finish(step)?;
        let mut gradients = split(&self.params, &values);
        let norm = optimizer::clip(&mut gradients, self.config.max_grad_norm);
        self.adam.update(&self.params, &mut self.values, &gradients, step, rate);
        self.step += 1;
        if let Some(selector) = &mut self.selector {
            selector.updated();
        }
        if let Some(loss) = loss {
            self.losses.0 += f64::from(loss);
            self.losses.1 += 1;
        }
        Ok(StepReport { step: self.step, loss, norm, rate })
    }

    /// Whether an evaluation is due after the last step.
    #[must_use]
    pub fn is_evaluation_due(&self) -> bool {
        self.step.is_multiple_of(self.config.eval_steps) || self.step == self.config.max_steps
    }

    /// Evaluates, keeps the weights if they are the best, writes model and checkpoint.
    ///
    /// # Errors
    /// [`TrainError::File`] when one cannot be written, [`TrainError::Candle`].
    pub fn evaluate(&mut self) -> Result<&Record, TrainError> {
        let (losses, steps) = self.losses;
        let training = losses / f64::from(steps.max(1));
        let validation = self.validation(&self.values, EVALUATION_STRIDE)?;
        let record = Record { step: self.step, training, validation, passes: self.passes };
        if record.mean() < self.best {
            self.best = record.mean();
            self.best_values.clone_from(&self.values);
            self.export()?;
        }
        self.losses = (0.0, 0);
        self.history.push(record);
        // A run that goes on from the checkpoint has to meet the same state.
        let residuals = self.pipeline.residuals().to_vec();
        self.pipeline = Pipeline::new(&self.config, &self.params)?;
        self.pipeline.residuals_mut().clone_from_slice(&residuals);
        self.selector = windows::selector(&self.config, &self.corpus)?;
        self.write_checkpoint()?;
        self.history.last().ok_or_else(|| TrainError::Missing { name: "evaluation".into() })
    }

    /// The validation loss of the best weights, over every window.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn final_validation(&self) -> Result<Vec<LaneLoss>, TrainError> {
        self.validation(&self.best_values, 1)
    }

    /// Computes the micro-batches of a step, each at its lane, and gives them to the pipeline. They run
    /// side by side, and are taken in in their order.
    fn micro_batches(&mut self, step: usize, places: &[usize]) -> Result<(), TrainError> {
        let batches: Vec<&[usize]> = places.chunks(self.config.micro_batch_size).collect();
        for wave in waves(batches.len()) {
            let results = side_by_side(wave, |i| self.micro_batch(step, i, batches[i]))?;
            for (loss, gradients) in results {
                if !loss.is_finite() || !gradients.iter().all(|g| g.is_finite()) {
                    return Err(TrainError::Diverged { step: step + 1, loss });
                }
                self.pipeline.add(loss, &gradients)?;
                self.passes.backward += self.config.micro_batch_size as u64;
            }
        }
        Ok(())
    }

    /// Loss of a micro-batch, and the gradients of all parameters end to end.
    fn micro_batch(
        &self,
        step: usize,
        index: usize,
        places: &[usize],
    ) -> Result<(f32, Vec<f32>), TrainError> {
        let config = &self.config;
        let lane = self.lane(step, index);
        let leaves = self.params.iter().zip(self.at_lane(&self.values, lane)?);
        let leaves: Vec<Var> = leaves
            .map(|(p, w)| Var::from_vec(w, p.shape.as_slice(), &Device::Cpu))
            .collect::<candle_core::Result<_>>()?;
        let weights: Vec<Tensor> = leaves.iter().map(|v| v.as_tensor().clone()).collect();
        let batch = self.corpus.at(places, config.sequence_len);
        let outcome = outcome(&self.decoder, &weights, batch, self.precision(lane))?;
        let loss = outcome.loss()?;
        let gradients = match &config.sparsity {
            Some(sparsity) => {
                let excess = (&outcome.active - self.allowed(sparsity.target, step))?.relu()?;
                (&loss + (excess.sqr()? * (0.5 * sparsity.penalty))?)?.backward()?
            }
            None => loss.backward()?,
        };
        let mut flat = Vec::new();
        for (param, leaf) in self.params.iter().zip(&leaves) {
            let missing = || TrainError::Missing { name: param.name.clone() };
            flat.extend(from_rows(gradients.get(leaf).ok_or_else(missing)?)?);
        }
        Ok((loss.to_scalar::<f32>()?, flat))
    }

    /// Steps in floats, before the quantiser joins.
    fn float_steps(&self) -> f64 {
        self.config.quantization.start * self.config.max_steps as f64
    }

    /// The lane of a micro-batch.
    fn lane(&self, step: usize, index: usize) -> PrecisionLane {
        if (step as f64) < self.float_steps() {
            return PrecisionLane::Float32;
        }
        match self.config.quantization.target {
            Target::Float => PrecisionLane::Float32,
            Target::Ternary => PrecisionLane::Ternary,
            Target::Nested if index.is_multiple_of(2) => PrecisionLane::Bit3,
            Target::Nested if step.is_multiple_of(2) => PrecisionLane::Bit7,
            Target::Nested => PrecisionLane::Bit5,
        }
    }

    /// What the activations of a forward pass are.
    fn precision(&self, lane: PrecisionLane) -> Precision {
        match lane {
            PrecisionLane::Float32 => Precision::Float,
            _ if self.config.quantization.activations => Precision::Int8,
            _ => Precision::Float,
        }
    }

    /// The share of the neurons that may be active in a step without a penalty.
    fn allowed(&self, target: f64, step: usize) -> f64 {
        let progress = (step as f64 / self.float_steps().max(1.0)).min(1.0);
        1.0 - target * 0.5 * (1.0 + progress)
    }

    /// The values that a lane's forward pass reads, one vector per parameter. The gradient with
    /// respect to them is applied to the floats behind: it goes straight through the quantiser.
    fn at_lane(
        &self,
        values: &[Vec<f32>],
        lane: PrecisionLane,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        let group = match self.config.quantization.group_size {
            64 => Group::G64,
            _ => Group::G32,
        };
        let mut all = values.to_vec();
        for (param, values) in self.params.iter().zip(&mut all) {
            let Some(cols) = param.matrix_cols() else { continue };
            let lane = match lane {
                PrecisionLane::Ternary if param.name.starts_with("token_embd") => {
                    PrecisionLane::Bit7
                }
                lane => lane,
            };
            fake_quantize_rows(values, cols, lane, group)?;
        }
        Ok(all)
    }

    /// The same as tensors, without gradients.
    fn tensors(&self, values: &[Vec<f32>], lane: PrecisionLane) -> Result<Vec<Tensor>, TrainError> {
        let weights = self.params.iter().zip(self.at_lane(values, lane)?);
        let tensors = weights.map(|(p, w)| Tensor::from_vec(w, p.shape.as_slice(), &Device::Cpu));
        Ok(tensors.collect::<candle_core::Result<_>>()?)
    }

    /// The lanes that are trained for, floats first.
    fn lanes(&self) -> &'static [PrecisionLane] {
        use PrecisionLane::{Bit3, Bit5, Bit7, Float32, Ternary};
        match self.config.quantization.target {
            Target::Float => &[Float32],
            Target::Nested => &[Float32, Bit7, Bit5, Bit3],
            Target::Ternary => &[Float32, Ternary],
        }
    }

    /// Validation losses, over one window of every `stride`.
    fn validation(&self, values: &[Vec<f32>], stride: usize) -> Result<Vec<LaneLoss>, TrainError> {
        let lanes = self.lanes();
        side_by_side(0..lanes.len(), |i| self.validation_at(values, lanes[i], stride))
    }

    fn validation_at(
        &self,
        values: &[Vec<f32>],
        lane: PrecisionLane,
        stride: usize,
    ) -> Result<LaneLoss, TrainError> {
        let weights = self.tensors(values, lane)?;
        let (mut sum, mut active_sum, mut count) = (0.0, 0.0, 0.0);
        let (sequences, window) = (self.config.micro_batch_size, self.config.sequence_len);
        for batch in self.corpus.validate(sequences, window, stride) {
            let tokens = batch.targets.len() as f64;
            let Outcome { losses, active, .. } =
                outcome(&self.decoder, &weights, batch, self.precision(lane))?;
            let losses = losses.to_vec1::<f32>()?;
            sum += losses.iter().map(|&l| f64::from(l)).sum::<f64>();
            active_sum += f64::from(active.to_scalar::<f32>()?) * tokens;
            count += tokens;
        }
        Ok(LaneLoss { lane, loss: sum / count, active: active_sum / count })
    }

    fn export(&self) -> Result<(), TrainError> {
        let path = self.model_path();
        let folder = &self.config.output_dir;
        fs::create_dir_all(folder).map_err(|e| TrainError::io(folder, e))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let values = &self.best_values;
        model_file::write(&path, &self.origin, &name, &self.decoder, &self.params, values)
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.config.output_dir.join("checkpoint.bin")
    }

    /// Everything that the weights depend on; what may change when a run is resumed is left out.
    fn settings(&self) -> String {
        let config = TrainConfig { output_dir: PathBuf::new(), ..self.config.clone() };
        let (training, validation) = self.tokens();
        format!("{config:?} with {training} and {validation} tokens")
    }

    /// Writes a checkpoint between evaluations, from which [`open`](Self::open) goes on with the same
    /// bits. With prediction, selection, compression or accumulation in trits, whose state is not kept, the
    /// one of the last evaluation stays.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn save(&self) -> Result<(), TrainError> {
        if self.pipeline.has_memory() || self.selector.is_some() {
            Ok(())
        } else {
            self.write_checkpoint()
        }
    }

    fn write_checkpoint(&self) -> Result<(), TrainError> {
        let state = State {
            settings: self.settings(),
            step: self.step,
            best: self.best.to_bits(),
            losses: (self.losses.0.to_bits(), self.losses.1),
            passes: self.passes,
            drawn: self.drawn,
            history: self.history.clone(),
        };
        let residuals = self.pipeline.residuals();
        let tensors =
            [&self.values[..], &self.adam.first, &self.adam.second, &self.best_values, residuals];
        fs::create_dir_all(&self.config.output_dir)
            .map_err(|e| TrainError::io(&self.config.output_dir, e))?;
        checkpoint::save(&self.checkpoint_path(), &state, &tensors)
    }

    fn resume(&mut self) -> Result<(), TrainError> {
        let (path, settings) = (self.checkpoint_path(), self.settings());
        let AdamW { first, second, .. } = &mut self.adam;
        let residuals = self.pipeline.residuals_mut();
        let mut tensors = [&mut self.values[..], first, second, &mut self.best_values, residuals];
        if let Some(state) = checkpoint::load(&path, &settings, &mut tensors)? {
            self.step = state.step;
            self.best = f64::from_bits(state.best);
            self.losses = (f64::from_bits(state.losses.0), state.losses.1);
            self.passes = state.passes;
            self.drawn = state.drawn;
            self.history = state.history;
        }
        Ok(())
    }
}

/// As many tasks at a time as there are processors.
fn waves(tasks: usize) -> impl Iterator<Item = Range<usize>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    (0..tasks).step_by(threads).map(move |first| first..tasks.min(first + threads))
}

/// Runs tasks in threads of their own; the results in their order.
fn side_by_side<T: Send>(
    tasks: Range<usize>,
    task: impl Fn(usize) -> Result<T, TrainError> + Sync,
) -> Result<Vec<T>, TrainError> {
    let task = &task;
    let results = thread::scope(|scope| {
        let tasks: Vec<_> = tasks.map(|i| scope.spawn(move || task(i))).collect();
        tasks.into_iter().map(|task| task.join()).collect::<Vec<_>>()
    });
    results.into_iter().map(|result| result.map_err(|_| TrainError::Thread)?).collect()
}

/// A flat vector, parameter by parameter.
fn split(params: &[Param], flat: &[f32]) -> Vec<Vec<f32>> {
    let mut rest = flat;
    let part = |param: &Param| {
        let (part, after) = rest.split_at(param.len().min(rest.len()));
        rest = after;
        part.to_vec()
    };
    params.iter().map(part).collect()
}

mod windows;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
