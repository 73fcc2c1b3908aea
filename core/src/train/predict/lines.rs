//! What a predictor knows besides its state for each parameter: where the lines of all tensors run.

use super::fit::{Line, Weights};
use crate::error::{ArgumentError, check_parameter};
use core::ops::Range;

/// What a predictor knows of one tensor besides its state: a few numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TensorMoments {
    len: usize,
    /// `Σw‖g‖²`.
    squares: f64,
    line: Line,
}

impl TensorMoments {
    /// A tensor of so many parameters.
    pub const fn new(len: usize) -> Self {
        Self { len, squares: 0.0, line: Line { mean_share: 0.0, velocity_share: 0.0 } }
    }

    /// How many parameters it has.
    #[allow(clippy::len_without_is_empty, reason = "a predictor refuses an empty tensor")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The shares of mean and velocity that their noise leaves, 0 to 1.
    pub const fn line(&self) -> Line {
        self.line
    }
}

/// How a predictor weighs the past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictorConfig {
    /// What the weight of every gradient is multiplied by when the next one comes: 0.35 to 0.999.
    pub decay: f32,
    /// The share of the residual that each new one replaces, 0 to 1; with 0 none is kept.
    pub residual_rate: f32,
    /// The residual is added where its norm is above this share of the last gradient's, at least 0.
    pub residual_threshold: f32,
}

impl Default for PredictorConfig {
    /// The weights of [`super::DeterministicPhaseConfig`], and no residual.
    fn default() -> Self {
        Self { decay: 0.851, residual_rate: 0.0, residual_threshold: 0.1 }
    }
}

/// How well a prediction p met the gradient g that followed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// `p·g`.
    pub product: f64,
    /// `‖p‖²`.
    pub predicted: f64,
    /// `‖g‖²`.
    pub actual: f64,
}

impl Agreement {
    /// The cosine of the angle between the two; 0 where one of them is zero.
    pub fn cosine(&self) -> f64 {
        let scale = libm::sqrt(self.predicted) * libm::sqrt(self.actual);
        if scale > 0.0 { self.product / scale } else { 0.0 }
    }

    /// The multiple of p that is closest to g, `p·g / ‖p‖²`, within 0..=1: what trust p deserves. As
    /// the noise of g is independent of p, it is not biased by it.
    pub fn trust(&self) -> f64 {
        if self.predicted > 0.0 { (self.product / self.predicted).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// `self·keep + other`.
    pub(super) fn followed_by(&self, other: &Self, keep: f64) -> Self {
        Self {
            product: keep * self.product + other.product,
            predicted: keep * self.predicted + other.predicted,
            actual: keep * self.actual + other.actual,
        }
    }
}

/// What the elements of a step's gradient g are recorded with:
///
/// ```text
/// p = c·s + c'·d                         c, c' the coefficients of the tensor
/// r ← (1 − rate)·r + take·(g − p),  p ← p + added·r   (the r before)
/// d ← decay·d − shift·s,  s ← decay·s + g
/// ```
///
/// with `s = Σwg` and `d = Σwtg` of an element, and r its residual where one is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the formulas above say what they are")]
pub struct LineUpdate {
    pub decay: f32,
    pub shift: f32,
    pub rate: f32,
    pub take: f32,
    pub added: f32,
    /// Steps after the last gradient.
    pub ahead: f64,
    step: u64,
    weights: Weights,
}

impl LineUpdate {
    /// Elements of a tensor whose sums are taken together.
    pub const CHUNK: usize = 512;
}

/// Sums over a chunk of a tensor by the 16-lane reduction, s, d and r those after the update.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChunkSums {
    /// `‖g‖²`.
    pub gradient: f32,
    /// `‖s‖²`, `s·d` and `‖d‖²`.
    pub moments: [f32; 3],
    /// `p·g`.
    pub product: f32,
    /// `‖p‖²`.
    pub predicted: f32,
    /// `‖r‖²`; 0 where no residual is kept.
    pub residual: f32,
}

/// The lines of all tensors, for whoever keeps the state of the parameters: [`DeterministicPredictor`]
/// in slices, or a device. `S`: a [`TensorMoments`] for each tensor.
///
/// [`DeterministicPredictor`]: super::DeterministicPredictor
#[derive(Clone, Debug, PartialEq)]
pub struct TensorLines<S> {
    config: PredictorConfig,
    tensors: S,
    residual_used: bool,
    weights: Weights,
    count: u64,
    last_step: u64,
}

impl<S: AsRef<[TensorMoments]> + AsMut<[TensorMoments]>> TensorLines<S> {
    /// Lines without a past.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] without tensors or with an empty one, [`ArgumentError::Parameter`] for
    /// the configuration.
    pub fn new(tensors: S, config: PredictorConfig) -> Result<Self, ArgumentError> {
        check_parameter("decay", config.decay, 0.35, 0.999)?;
        check_parameter("residual_rate", config.residual_rate, 0.0, 1.0)?;
        check_parameter("residual_threshold", config.residual_threshold, 0.0, f32::MAX)?;
        if tensors.as_ref().is_empty() || tensors.as_ref().iter().any(|tensor| tensor.len == 0) {
            return Err(ArgumentError::Empty);
        }
        let weights = Weights::default();
        let mut lines =
            Self { config, tensors, residual_used: false, weights, count: 0, last_step: 0 };
        lines.reset();
        Ok(lines)
    }

    /// Forgets all gradients.
    pub fn reset(&mut self) {
        for tensor in self.tensors.as_mut() {
            *tensor = TensorMoments::new(tensor.len);
        }
        self.residual_used = false;
        self.weights = Weights::default();
        self.count = 0;
        self.last_step = 0;
    }

    /// The tensors, with their shares.
    pub fn tensors(&self) -> &[TensorMoments] {
        self.tensors.as_ref()
    }

    /// Parameters of all tensors.
    pub fn parameters(&self) -> usize {
        self.tensors().iter().map(TensorMoments::len).sum()
    }

    /// The factors of `Σwg` and `Σwtg` in a prediction so many steps after the last gradient; zeros
    /// before [`is_ready`](Self::is_ready).
    pub fn coefficients(&self, tensor: usize, ahead: f64) -> [f32; 2] {
        match self.tensors().get(tensor) {
            Some(tensor) if self.is_ready() => {
                let (sum, drift) = self.weights.coefficients(tensor.line, ahead);
                [sum as f32, drift as f32]
            }
            _ => [0.0; 2],
        }
    }

    /// What the gradient of a step is recorded with. Steps ascend; one that does not counts as the
    /// next.
    pub fn update(&self, step: u64) -> LineUpdate {
        let ahead = match self.count {
            0 => 1,
            _ => step.saturating_sub(self.last_step).max(1),
        };
        let PredictorConfig { decay, residual_rate: rate, .. } = self.config;
        let weights = self.weights.followed(ahead as f64, f64::from(decay));
        LineUpdate {
            decay,
            shift: decay * ahead as f32,
            rate,
            take: rate * (1.0 - weights.leverage()) as f32,
            added: if self.residual_used { 1.0 } else { 0.0 },
            ahead: ahead as f64,
            step,
            weights,
        }
    }

    /// Takes in a gradient: `sums` gives those of each chunk in turn, of the coefficients of its
    /// tensor and its elements among those of all. Tells how well the prediction met it. Ordered: the
    /// sums are added in f64 from the first on.
    pub fn record(
        &mut self,
        update: &LineUpdate,
        mut sums: impl FnMut([f32; 2], Range<usize>) -> ChunkSums,
    ) -> Agreement {
        let mut agreement = Agreement::default();
        let mut residual_square = 0.0;
        let mut at = 0;
        for index in 0..self.tensors().len() {
            let coefficients = self.coefficients(index, update.ahead);
            let Some(tensor) = self.tensors.as_mut().get_mut(index) else { break };
            let (mut squares, mut moments) = (0.0, [0.0; 3]);
            let end = at + tensor.len;
            while at < end {
                let range = at..end.min(at + LineUpdate::CHUNK);
                at = range.end;
                let chunk = sums(coefficients, range);
                residual_square += f64::from(chunk.residual);
                squares += f64::from(chunk.gradient);
                for (moment, sum) in moments.iter_mut().zip(chunk.moments) {
                    *moment += f64::from(sum);
                }
                agreement.product += f64::from(chunk.product);
                agreement.predicted += f64::from(chunk.predicted);
            }
            agreement.actual += squares;
            tensor.squares = f64::from(self.config.decay) * tensor.squares + squares;
            tensor.line = update.weights.shrink(tensor.squares, moments);
        }
        self.weights = update.weights;
        self.count += 1;
        self.last_step = update.step;
        let threshold = f64::from(self.config.residual_threshold);
        self.residual_used = residual_square > threshold * threshold * agreement.actual;
        agreement
    }
}

impl<S> TensorLines<S> {
    /// Steps from the last gradient to another.
    pub const fn ahead(&self, step: u64) -> f64 {
        step.saturating_sub(self.last_step) as f64
    }

    /// Whether predictions add the residual.
    pub const fn residual_used(&self) -> bool {
        self.residual_used
    }

    /// Gradients recorded.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether a line and its noise can be told: from the third gradient on.
    pub const fn is_ready(&self) -> bool {
        self.count >= 3
    }
}
