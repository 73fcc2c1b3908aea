//! The gradient of a step: computed by workers and sent among them, or predicted.

use super::TrainError;
use super::config::{CodecName, CompressionConfig, TrainConfig};
use super::decoder::Param;
use super::phase_trainer::Owned;
use crate::compress::{ModelCodec, TensorCodec, Workers};
use trilane_core::train::compress::{LinearSketch, Reading, SketchShape, Ternary, TopK, TwoPhase};
use trilane_core::train::{TernaryConfig, TernaryGradientAccumulator, accumulator_words};

/// How the gradients of micro-batches become that of a step.
pub(super) struct Pipeline {
    parameters: usize,
    /// Predicts gradients.
    phases: Option<Owned>,
    /// Compresses what the workers send each other.
    workers: Option<Workers>,
    /// The sum of each worker's micro-batches.
    sums: Vec<Sum>,
    losses: Vec<f32>,
}

/// The sum of the gradients of a worker's micro-batches.
enum Sum {
    Float(Vec<f32>),
    Ternary(Box<TernaryGradientAccumulator<Vec<u32>>>),
}

/// What comes of a step.
pub(super) struct Gradient {
    /// The mean loss of the micro-batches; `None` where there were none.
    pub(super) loss: Option<f32>,
    /// All parameters' gradients end to end.
    pub(super) values: Vec<f32>,
}

impl Pipeline {
    /// A pipeline in its first state.
    pub(super) fn new(config: &TrainConfig, params: &[Param]) -> Result<Self, TrainError> {
        let parameters = params.iter().map(Param::len).sum();
        let phases = match &config.prediction {
            Some(prediction) => {
                Some(Owned::start(params.iter().map(Param::len), prediction.phases())?)
            }
            None => None,
        };
        let mut workers = None;
        if let Some(compression) = &config.compression {
            let codec = codec(compression, params, config.seed)?;
            workers = Some(Workers::new(codec, compression.workers)?);
        }
        let count = config.compression.as_ref().map_or(1, |compression| compression.workers);
        let sum = |worker: u64| match config.ternary_accumulation {
            false => Ok(Sum::Float(vec![0.0; parameters])),
            true => {
                let seed = super::random::bits(config.seed, worker);
                let settings = TernaryConfig::builder().seed(seed).build()?;
                let words = vec![0; accumulator_words(parameters)];
                let sum = TernaryGradientAccumulator::new(parameters, settings, words)?;
                Ok::<_, TrainError>(Sum::Ternary(Box::new(sum)))
            }
        };
        let sums = (0..count as u64).map(sum).collect::<Result<_, _>>()?;
        Ok(Self { parameters, phases, workers, sums, losses: Vec::new() })
    }

    /// Whether it remembers more from step to step than the residuals.
    pub(super) fn has_memory(&self) -> bool {
        self.phases.is_some()
            || self.workers.is_some()
            || self.sums.iter().any(|sum| matches!(sum, Sum::Ternary(_)))
    }

    /// What each worker has not sent yet.
    pub(super) fn residuals(&self) -> &[Vec<f32>] {
        self.workers.as_ref().map_or(&[], Workers::residuals)
    }

    /// The same, to be read from a checkpoint.
    pub(super) fn residuals_mut(&mut self) -> &mut [Vec<f32>] {
        self.workers.as_mut().map_or(&mut [], Workers::residuals_mut)
    }

    /// Whether the step at hand takes micro-batches.
    pub(super) fn needs_backward(&self) -> bool {
        self.phases.as_ref().is_none_or(|phases| phases.get().needs_backward())
    }

    /// Takes in a micro-batch. Workers take turns.
    pub(super) fn add(&mut self, loss: f32, gradient: &[f32]) -> Result<(), TrainError> {
        let worker = self.losses.len() % self.sums.len();
        self.losses.push(loss);
        match &mut self.sums[worker] {
            Sum::Float(sum) => sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g),
            Sum::Ternary(sum) => sum.accumulate(gradient)?,
        }
        Ok(())
    }

    /// The gradient of the step with that number, which ends.
    pub(super) fn finish(&mut self, step: usize) -> Result<Gradient, TrainError> {
        let mut values = vec![0.0; self.parameters];
        if self.losses.is_empty() {
            if let Some(phases) = &mut self.phases {
                phases.get().get_predicted_gradients(&mut values)?;
                phases.change(|phases| phases.end_step(None))?;
            }
            return Ok(Gradient { loss: None, values });
        }
        let batches = self.losses.len() as f32;
        let mut sums = Vec::new();
        for sum in &mut self.sums {
            // Each worker's part of the mean over all micro-batches.
            let mut part = vec![0.0; self.parameters];
            match sum {
                Sum::Float(sum) => {
                    part.iter_mut().zip(sum.iter()).for_each(|(part, sum)| *part = sum / batches);
                    sum.fill(0.0);
                }
                Sum::Ternary(sum) => {
                    sum.get_accumulated(&mut part)?;
                    let share = sum.count() as f32 / batches;
                    part.iter_mut().for_each(|part| *part *= share);
                    sum.reset();
                }
            }
            sums.push(part);
        }
        match &mut self.workers {
            Some(workers) => workers.exchange(step as u64, &sums, &mut values)?,
            None => sums.iter().for_each(|part| {
                values.iter_mut().zip(part).for_each(|(value, part)| *value += part);
            }),
        }
        let loss = self.losses.iter().sum::<f32>() / batches;
        self.losses.clear();
        if let Some(phases) = &mut self.phases {
            phases.change(|phases| {
                phases.record_full_gradients(&values)?;
                phases.end_step(loss)
            })?;
        }
        Ok(Gradient { loss: Some(loss), values })
    }
}

/// The codec of a configuration.
fn codec(
    config: &CompressionConfig,
    params: &[Param],
    seed: u64,
) -> Result<TensorCodec, TrainError> {
    let n = params.iter().map(Param::len).sum();
    let ratio = config.ratio;
    Ok(match config.codec {
        CodecName::Sketch => {
            Box::new(LinearSketch::with_ratio(n, ratio, seed, Reading::Projection)?)
        }
        CodecName::TwoPhase => {
            let shape = SketchShape::with_ratio(n, ratio, 0.5)?;
            Box::new(TwoPhase::new(n, shape, seed, vec![0; shape.candidates])?)
        }
        CodecName::LowRank => {
            let shapes: Vec<Vec<usize>> = params.iter().map(|p| p.shape.clone()).collect();
            Box::new(ModelCodec::low_rank(&shapes, ratio, seed)?)
        }
        CodecName::TopK => Box::new(TopK::with_ratio(n, ratio)?),
        CodecName::Ternary => Box::new(Ternary::new(n)?),
    })
}
