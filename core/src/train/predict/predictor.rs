//! Gradients predicted by a weighted least-squares line through those before.

use super::lines::{Agreement, ChunkSums, LineUpdate, PredictorConfig, TensorLines, TensorMoments};
use crate::error::{ArgumentError, check_lengths, check_values};
use crate::math::reduce::{dot, sum_of_squares};

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
/// **Shrinkage** (James and Stein 1961), for each tensor, as [`Line`](super::Line) says: noise takes
/// its share off mean and velocity, so that noisy gradients are predicted short, and drift that noise
/// can explain not at all.
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
    lines: TensorLines<&'a mut [TensorMoments]>,
    /// `Σwg`.
    sums: &'a mut [f32],
    /// `Σwtg`.
    drifts: &'a mut [f32],
    /// Empty where none is kept.
    residuals: &'a mut [f32],
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
        let lines = TensorLines::new(tensors, config)?;
        let parameters = lines.parameters();
        check_lengths(Self::state_len(parameters, &config), state.len())?;
        let (sums, rest) = state.split_at_mut(parameters);
        let (drifts, residuals) = rest.split_at_mut(parameters);
        let mut predictor = Self { lines, sums, drifts, residuals };
        predictor.reset();
        Ok(predictor)
    }

    /// Forgets all gradients.
    pub fn reset(&mut self) {
        self.lines.reset();
        self.sums.fill(0.0);
        self.drifts.fill(0.0);
        self.residuals.fill(0.0);
    }

    /// Parameters of all tensors.
    pub const fn parameters(&self) -> usize {
        self.sums.len()
    }

    /// The tensors, with their shares.
    pub fn tensors(&self) -> &[TensorMoments] {
        self.lines.tensors()
    }

    /// Gradients recorded.
    pub const fn count(&self) -> u64 {
        self.lines.count()
    }

    /// Whether a line and its noise can be told: from the third gradient on.
    pub const fn is_ready(&self) -> bool {
        self.lines.is_ready()
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
        let Self { lines, sums, drifts, residuals } = self;
        let update = lines.update(step);
        Ok(lines.record(&update, |[sum, drift], range| {
            let (g, s) = (&gradient[range.clone()], &mut sums[range.clone()]);
            let d = &mut drifts[range.clone()];
            let mut predicted = [0.0; LineUpdate::CHUNK];
            let p = &mut predicted[..g.len()];
            for (p, (s, d)) in p.iter_mut().zip(s.iter().zip(d.iter())) {
                *p = sum * s + drift * d;
            }
            let LineUpdate { decay, shift, rate, take, added, .. } = update;
            let mut residual = 0.0;
            if let Some(r) = residuals.get_mut(range) {
                for ((p, r), g) in p.iter_mut().zip(r.iter_mut()).zip(g) {
                    let next = (1.0 - rate) * *r + take * (g - *p);
                    *p += added * *r;
                    *r = next;
                }
                residual = sum_of_squares(r);
            }
            for ((s, d), g) in s.iter_mut().zip(d.iter_mut()).zip(g) {
                *d = decay * *d - shift * *s;
                *s = decay * *s + g;
            }
            ChunkSums {
                gradient: sum_of_squares(g),
                moments: [sum_of_squares(s), product(s, d), sum_of_squares(d)],
                product: product(p, g),
                predicted: sum_of_squares(p),
                residual,
            }
        }))
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
    ///
    /// # Errors
    /// [`ArgumentError::Length`].
    pub fn predict_scaled(
        &self,
        step: u64,
        scale: f64,
        gradient: &mut [f32],
    ) -> Result<(), ArgumentError> {
        check_lengths(self.parameters(), gradient.len())?;
        let ahead = self.lines.ahead(step);
        let mut at = 0;
        for (index, tensor) in self.tensors().iter().enumerate() {
            let [sum, drift] = self.lines.coefficients(index, ahead).map(|c| scale as f32 * c);
            let range = at..at + tensor.len();
            at = range.end;
            let state = self.sums[range.clone()].iter().zip(&self.drifts[range.clone()]);
            for (g, (s, d)) in gradient[range].iter_mut().zip(state) {
                *g = sum * s + drift * d;
            }
        }
        if self.lines.residual_used() {
            for (g, r) in gradient.iter_mut().zip(&*self.residuals) {
                *g += scale as f32 * r;
            }
        }
        Ok(())
    }
}

/// `a·b` of slices of one length.
fn product(a: &[f32], b: &[f32]) -> f32 {
    dot(a, b).unwrap_or(f32::NAN)
}

#[cfg(test)]
mod tests;
