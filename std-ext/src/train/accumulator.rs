//! Gradients of candle tensors, accumulated in trits.

use super::TrainError;
use super::tensors::{Gradients, ParameterShapes};
use candle_core::Device;
use trilane_core::train::{self as core, TernaryConfig, accumulator_words};

/// Adds gradients of candle tensors up in 2.25 bits a parameter, unbiased
/// ([`TernaryGradientAccumulator`](core::TernaryGradientAccumulator) of the core). Ordered.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use trilane_core::train::TernaryConfig;
/// use trilane_std::train::{Gradients, TernaryGradientAccumulator};
/// let config = TernaryConfig::builder()
///     .accumulation_steps(8)
///     .use_stochastic_rounding(true)  // unbiased
///     .build()?;
/// let device = Device::Cpu;
/// let param_shapes = vec![("weight".into(), vec![64, 64])];
/// let mut accumulator = TernaryGradientAccumulator::new(&param_shapes, config, &device)?;
/// for _micro_batch in 0..8 {
///     let gradients = Gradients::from([("weight".into(), Tensor::ones((64, 64), candle_core::DType::F32, &device)?)]);
///     accumulator.accumulate(&gradients)?;
/// }
/// assert!(accumulator.ready_for_update() && accumulator.memory_savings() > 0.92);
/// let accumulated = accumulator.get_accumulated()?;
/// assert_eq!(accumulated["weight"].mean_all()?.to_scalar::<f32>()?, 1.0);
/// accumulator.reset();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TernaryGradientAccumulator {
    shapes: ParameterShapes,
    sum: core::TernaryGradientAccumulator<Vec<u32>>,
}

impl TernaryGradientAccumulator {
    /// An empty sum of tensors of these names and shapes.
    ///
    /// # Errors
    /// [`TrainError::Data`] for shapes that make no model, [`TrainError::Argument`] for more than 2³⁰
    /// parameters.
    pub fn new(
        shapes: &[(String, Vec<usize>)],
        config: TernaryConfig,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let shapes = ParameterShapes::new(shapes, device)?;
        let words = vec![0; accumulator_words(shapes.elements())];
        let sum = core::TernaryGradientAccumulator::new(shapes.elements(), config, words)?;
        Ok(Self { shapes, sum })
    }

    /// Adds gradients.
    ///
    /// # Errors
    /// [`TrainError::Missing`], [`TrainError::Shape`], [`TrainError::Argument`] for NaN or infinity;
    /// the sum then stays as it was.
    pub fn accumulate(&mut self, gradients: &Gradients) -> Result<(), TrainError> {
        Ok(self.sum.accumulate(&self.shapes.flatten(gradients)?)?)
    }

    /// The mean of the gradients.
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn get_accumulated(&self) -> Result<Gradients, TrainError> {
        let mut mean = vec![0.0; self.shapes.elements()];
        self.sum.get_accumulated(&mut mean)?;
        self.shapes.unflatten(&mean)
    }

    /// Begins the next sum.
    pub fn reset(&mut self) {
        self.sum.reset();
    }

    /// Gradients in the sum.
    pub fn count(&self) -> u32 {
        self.sum.count()
    }

    /// Whether the sum holds as many gradients as the configuration asks for.
    pub fn ready_for_update(&self) -> bool {
        self.sum.ready_for_update()
    }

    /// The share of an f32 sum's bytes that is saved.
    pub fn memory_savings(&self) -> f32 {
        self.sum.memory_savings()
    }
}
