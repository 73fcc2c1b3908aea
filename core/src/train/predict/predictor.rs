//! Gradients predicted by a weighted least-squares line through those before.

use super::fit::{Line, Weights};
use crate::error::{ArgumentError, check_lengths, check_parameter, check_values};
use crate::math::reduce::{dot, sum_of_squares};

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

/// Elements that are worked on while they are in the first cache.
const CHUNK: usize = 512;

/// The line `ĝ(t) = m + v·(t − t̄)` that fits all gradients so far by least squares, the last with
/// weight 1, the one before with weight `decay`, then `decay²`, …
///
/// **State.** Of every parameter `Σwg` and `Σwtg`, t counted from the last gradient (so each is ≤ 0):
/// when t moves on by Δ, `Σwtg ← Σwtg − Δ·Σwg`. No gradient is kept. With the sums of weights
/// `Weights` the fit is closed:
///
/// ```text
/// t̄ = Σwt/Σw,  Sxx = Σwt² − t̄·Σwt
/// m = Σwg/Σw,  v = (Σwtg − t̄·Σwg)/Sxx
/// ```
///
/// **Shrinkage** (James and Stein 1961), for each tensor, as [`Line`] says: noise takes its share off
/// mean and velocity, so that noisy gradients are predicted short, and drift that noise can explain
/// not at all.
///
/// **Residual.** Where it is kept, `r ← (1 − rate)·r + rate·e`, e what the line through all gradients
/// including the last one still leaves of that one. That is `(1 − h)` of the error of the prediction,
/// h the leverage of the last point, so nothing is counted twice, in the line and in the residual.
///
/// Ordered: chunks of 512 elements by the 16-lane reduction, their sums added in f64 from the first on.
///
/// ```
/// use trilane_core::train::predict::{DeterministicPredictor, PredictorConfig, TensorMoments};
/// let mut tensors = [TensorMoments::new(2)];
/// let config = PredictorConfig::default();
/// let mut state = [0.0; 4];
/// assert_eq!(state.len(), DeterministicPredictor::state_len(2, &config));
/// let mut predictor = DeterministicPredictor::new(&mut tensors, &mut state, config)?;
/// for step in 0..5_u8 {
///     predictor.record(step.into(), &[1.0 - 0.1 * f32::from(step), 2.0])?;
/// }
/// let mut gradient = [0.0; 2];
/// predictor.predict(7, &mut gradient)?;
/// assert!((gradient[0] - 0.3).abs() < 1e-4 && (gradient[1] - 2.0).abs() < 1e-4);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Debug, PartialEq)]
pub struct DeterministicPredictor<'a> {
    config: PredictorConfig,
    tensors: &'a mut [TensorMoments],
    /// `Σwg`.
    sums: &'a mut [f32],
    /// `Σwtg`.
    drifts: &'a mut [f32],
    /// Empty where none is kept.
    residuals: &'a mut [f32],
    residual_used: bool,
    weights: Weights,
    count: u64,
    last_step: u64,
}

impl<'a> DeterministicPredictor<'a> {
    /// The f32 of state that so many parameters need: two for each, three with a residual.
    pub fn state_len(parameters: usize, config: &PredictorConfig) -> usize {
        parameters * if config.residual_rate > 0.0 { 3 } else { 2 }
    }

    /// A predictor without a past. Shapes: gradients are all tensors' elements one after another;
    /// `state` has [`state_len`](Self::state_len) elements, whatever is in them.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] without tensors or with an empty one, [`ArgumentError::Length`] for
    /// the state, [`ArgumentError::Parameter`] for the configuration.
    pub fn new(
        tensors: &'a mut [TensorMoments],
        state: &'a mut [f32],
        config: PredictorConfig,
    ) -> Result<Self, ArgumentError> {
        check_parameter("decay", config.decay, 0.35, 0.999)?;
        check_parameter("residual_rate", config.residual_rate, 0.0, 1.0)?;
        check_parameter("residual_threshold", config.residual_threshold, 0.0, f32::MAX)?;
        if tensors.is_empty() || tensors.iter().any(|tensor| tensor.len == 0) {
            return Err(ArgumentError::Empty);
        }
        let parameters = tensors.iter().map(TensorMoments::len).sum();
        check_lengths(Self::state_len(parameters, &config), state.len())?;
        let (sums, rest) = state.split_at_mut(parameters);
        let (drifts, residuals) = rest.split_at_mut(parameters);
        let mut predictor = Self {
            config,
            tensors,
            sums,
            drifts,
            residuals,
            residual_used: false,
            weights: Weights::default(),
            count: 0,
            last_step: 0,
        };
        predictor.reset();
        Ok(predictor)
    }

    /// Forgets all gradients.
    pub fn reset(&mut self) {
        self.tensors.iter_mut().for_each(|tensor| *tensor = TensorMoments::new(tensor.len));
        self.sums.fill(0.0);
        self.drifts.fill(0.0);
        self.residuals.fill(0.0);
        self.residual_used = false;
        self.weights = Weights::default();
        self.count = 0;
        self.last_step = 0;
    }

    /// Parameters of all tensors.
    pub const fn parameters(&self) -> usize {
        self.sums.len()
    }

    /// The tensors, with their shares.
    pub const fn tensors(&self) -> &[TensorMoments] {
        self.tensors
    }

    /// Gradients recorded.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether a line and its noise can be told: from the third gradient on.
    pub const fn is_ready(&self) -> bool {
        self.count >= 3
    }

    /// Takes in the gradient of a step, and tells how well the prediction for it met it.
    ///
    /// Steps ascend; one that does not counts as the next.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] or [`ArgumentError::NotFinite`]; nothing has changed then.
    pub fn record(&mut self, step: u64, gradient: &[f32]) -> Result<Agreement, ArgumentError> {
        check_lengths(self.parameters(), gradient.len())?;
        check_values(gradient)?;
        let ahead = match self.count {
            0 => 1,
            _ => step.saturating_sub(self.last_step).max(1),
        };
        let decay = self.config.decay;
        let weights = self.weights.followed(ahead as f64, f64::from(decay));
        let shift = decay * ahead as f32;
        let rate = self.config.residual_rate;
        let take = rate * (1.0 - weights.leverage()) as f32;
        let mut agreement = Agreement::default();
        let mut residual_square = 0.0;
        let mut at = 0;
        for index in 0..self.tensors.len() {
            let (sum, drift) = self.coefficients(index, ahead as f64);
            let (mut squares, mut moments) = (0.0, [0.0; 3]);
            let end = at + self.tensors[index].len;
            while at < end {
                let range = at..end.min(at + CHUNK);
                at = range.end;
                let (g, s) = (&gradient[range.clone()], &mut self.sums[range.clone()]);
                let d = &mut self.drifts[range.clone()];
                let mut predicted = [0.0; CHUNK];
                let p = &mut predicted[..g.len()];
                for (p, (s, d)) in p.iter_mut().zip(s.iter().zip(d.iter())) {
                    *p = sum * s + drift * d;
                }
                if let Some(r) = self.residuals.get_mut(range) {
                    let added = if self.residual_used { 1.0 } else { 0.0 };
                    for ((p, r), g) in p.iter_mut().zip(r.iter_mut()).zip(g) {
                        let next = (1.0 - rate) * *r + take * (g - *p);
                        *p += added * *r;
                        *r = next;
                    }
                    residual_square += f64::from(sum_of_squares(r));
                }
                for ((s, d), g) in s.iter_mut().zip(d.iter_mut()).zip(g) {
                    *d = decay * *d - shift * *s;
                    *s = decay * *s + g;
                }
                squares += f64::from(sum_of_squares(g));
                moments[0] += f64::from(sum_of_squares(s));
                moments[1] += product(s, d);
                moments[2] += f64::from(sum_of_squares(d));
                agreement.product += product(p, g);
                agreement.predicted += f64::from(sum_of_squares(p));
            }
            agreement.actual += squares;
            let tensor = &mut self.tensors[index];
            tensor.squares = f64::from(decay) * tensor.squares + squares;
            tensor.line = weights.shrink(tensor.squares, moments);
        }
        self.weights = weights;
        self.count += 1;
        self.last_step = step;
        let threshold = f64::from(self.config.residual_threshold);
        self.residual_used = residual_square > threshold * threshold * agreement.actual;
        Ok(agreement)
    }

    /// The gradient that the line gives for a step, with the residual where it is used. Zero before
    /// [`is_ready`](Self::is_ready).
    ///
    /// # Errors
    /// [`ArgumentError::Length`].
    pub fn predict(&self, step: u64, gradient: &mut [f32]) -> Result<(), ArgumentError> {
        self.predict_scaled(step, 1.0, gradient)
    }

    /// `scale` times [`predict`](Self::predict).
    pub(super) fn predict_scaled(
        &self,
        step: u64,
        scale: f64,
        gradient: &mut [f32],
    ) -> Result<(), ArgumentError> {
        check_lengths(self.parameters(), gradient.len())?;
        let ahead = step.saturating_sub(self.last_step) as f64;
        let mut at = 0;
        for (index, tensor) in self.tensors.iter().enumerate() {
            let (sum, drift) = self.coefficients(index, ahead);
            let (sum, drift) = (scale as f32 * sum, scale as f32 * drift);
            let range = at..at + tensor.len;
            at = range.end;
            let state = self.sums[range.clone()].iter().zip(&self.drifts[range.clone()]);
            for (g, (s, d)) in gradient[range].iter_mut().zip(state) {
                *g = sum * s + drift * d;
            }
        }
        if self.residual_used {
            for (g, r) in gradient.iter_mut().zip(&*self.residuals) {
                *g += scale as f32 * r;
            }
        }
        Ok(())
    }

    /// The factors of `Σwg` and `Σwtg` in a prediction so many steps after the last gradient.
    fn coefficients(&self, tensor: usize, ahead: f64) -> (f32, f32) {
        if !self.is_ready() {
            return (0.0, 0.0);
        }
        let (sum, drift) = self.weights.coefficients(self.tensors[tensor].line, ahead);
        (sum as f32, drift as f32)
    }
}

/// `a·b` of slices of one length.
fn product(a: &[f32], b: &[f32]) -> f64 {
    f64::from(dot(a, b).unwrap_or(f32::NAN))
}

#[cfg(test)]
mod tests;
