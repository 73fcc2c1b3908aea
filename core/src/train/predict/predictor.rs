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
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const PLAIN: PredictorConfig =
        PredictorConfig { decay: 0.8, residual_rate: 0.0, residual_threshold: 0.0 };

    /// A line with noise of that size.
    fn gradient(step: u64, len: usize, noise: f64) -> Vec<f32> {
        let value = |i: usize| {
            let random = libm::sin((step * 131 + i as u64 * 17) as f64 * 12.9898) * 43_758.5;
            let random = random - libm::floor(random) - 0.5;
            (1.0 + i as f64 * 0.01 - 0.05 * step as f64 + noise * random) as f32
        };
        (0..len).map(value).collect()
    }

    /// What [`Line`] says of the whole history, by normal equations in f64.
    fn brute_force(history: &[(u64, Vec<f32>)], decay: f64, step: u64) -> Vec<f64> {
        let last = history.len() - 1;
        let points: Vec<(f64, f64)> = (0..=last)
            .map(|i| {
                let t = history[i].0 as f64 - history[last].0 as f64;
                (libm::pow(decay, (last - i) as f64), t)
            })
            .collect();
        let total =
            |f: &dyn Fn(f64, f64) -> f64| points.iter().map(|(w, t)| f(*w, *t)).sum::<f64>();
        let (w, wt) = (total(&|w, _| w), total(&|w, t| w * t));
        let (wtt, ww) = (total(&|w, t| w * t * t), total(&|w, _| w * w));
        let (middle, n) = (wt / w, w * w / ww);
        let spread = wtt - wt * middle;
        let (mut lines, mut rest, mut means, mut velocities) = (Vec::new(), 0.0, 0.0, 0.0);
        for k in 0..history[0].1.len() {
            let at = |i: usize| f64::from(history[i].1[k]);
            let mean = (0..=last).map(|i| points[i].0 * at(i)).sum::<f64>() / w;
            let cross = (0..=last).map(|i| points[i].0 * (points[i].1 - middle) * at(i));
            let velocity = cross.sum::<f64>() / spread;
            let errors = (0..=last).map(|i| {
                let error = at(i) - mean - velocity * (points[i].1 - middle);
                points[i].0 * error * error
            });
            rest += errors.sum::<f64>();
            means += mean * mean;
            velocities += velocity * velocity;
            lines.push((mean, velocity));
        }
        let noise = rest / w * n / (n - 2.0);
        let mean_share = (1.0 - noise / (n * means)).max(0.0);
        let velocity_share = (1.0 - noise / (spread * n / w * velocities)).max(0.0);
        let ahead = step as f64 - history[last].0 as f64 - middle;
        lines.iter().map(|(m, v)| mean_share * m + velocity_share * v * ahead).collect()
    }

    #[test]
    fn predictions_are_those_of_the_whole_history() {
        for (len, noise) in [(1, 0.3), (7, 0.0), (700, 0.1), (33, 3.0)] {
            let mut tensors = [TensorMoments::new(len)];
            let mut state = vec![f32::NAN; 2 * len];
            let mut predictor =
                DeterministicPredictor::new(&mut tensors, &mut state, PLAIN).unwrap();
            let mut history = Vec::new();
            let mut out = vec![0.0; len];
            for step in [0, 1, 2, 3, 7, 8, 12, 13, 14] {
                let g = gradient(step, len, noise);
                let agreement = predictor.record(step, &g).unwrap();
                if history.len() >= 3 {
                    let before = brute_force(&history, 0.8, step);
                    let expected: f64 = before.iter().zip(&g).map(|(p, g)| p * f64::from(*g)).sum();
                    let scale = agreement.actual.max(1e-3);
                    assert!((agreement.product - expected).abs() < 1e-4 * scale, "{len} {step}");
                }
                history.push((step, g));
                if history.len() >= 3 {
                    predictor.predict(step + 3, &mut out).unwrap();
                    let expected = brute_force(&history, 0.8, step + 3);
                    for (found, expected) in out.iter().zip(&expected) {
                        assert!(
                            (f64::from(*found) - expected).abs() < 1e-3,
                            "{len} {noise} {step}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    /// A tensor of noise alone is predicted as nothing, beside one that is a line.
    #[test]
    fn tensors_are_shrunk_by_themselves() {
        let mut tensors = [TensorMoments::new(20), TensorMoments::new(600)];
        let mut state = [0.0; 1240];
        let mut predictor = DeterministicPredictor::new(&mut tensors, &mut state, PLAIN).unwrap();
        for step in 0..20 {
            let mut g = gradient(step, 620, 0.0);
            let noise = gradient(step, 620, 1.0);
            g[20..].iter_mut().zip(&noise[20..]).for_each(|(g, noise)| *g = noise - *g);
            predictor.record(step, &g).unwrap();
        }
        let [line, noise] = [0, 1].map(|i| predictor.tensors()[i].line());
        assert!(line.mean_share > 0.999 && line.velocity_share > 0.999, "{line:?}");
        assert!(noise.mean_share < 0.3 && noise.velocity_share < 0.3, "{noise:?}");
    }

    /// The residual is what the line through all gradients leaves of the last one.
    #[test]
    fn a_residual_is_not_counted_twice() {
        let config = PredictorConfig { residual_rate: 1.0, ..PLAIN };
        let (mut tensors, mut others) = ([TensorMoments::new(1)], [TensorMoments::new(1)]);
        let (mut state, mut other_state) = ([0.0; 3], [0.0; 2]);
        let mut with = DeterministicPredictor::new(&mut tensors, &mut state, config).unwrap();
        let mut without =
            DeterministicPredictor::new(&mut others, &mut other_state, PLAIN).unwrap();
        let (mut a, mut b) = ([0.0], [0.0]);
        // Nearly a line, so that the shares are 1 but for 1e-4.
        for (step, g) in [1.0, 2.0, 3.01, 3.99, 5.02].into_iter().enumerate() {
            with.record(step as u64, &[g]).unwrap();
            without.record(step as u64, &[g]).unwrap();
            if step > 2 {
                with.predict(step as u64, &mut a).unwrap();
                without.predict(step as u64, &mut b).unwrap();
                assert!((a[0] - b[0]).abs() > 1e-4, "the residual is used");
                assert!((a[0] - g).abs() < 2e-3, "{step}: {} {g}", a[0]);
            }
        }
        let quiet = PredictorConfig { residual_threshold: 10.0, ..config };
        let mut quiet = DeterministicPredictor::new(&mut tensors, &mut state, quiet).unwrap();
        for (step, g) in [1.0, 2.0, 3.01, 3.99, 5.02].into_iter().enumerate() {
            quiet.record(step as u64, &[g]).unwrap();
        }
        quiet.predict(4, &mut a).unwrap();
        assert_eq!(a, b, "below the threshold it is not");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut state = [0.0; 8];
        let mut tensors = [TensorMoments::new(3), TensorMoments::new(1)];
        for decay in [0.0, 1.0, f32::NAN] {
            let config = PredictorConfig { decay, ..PLAIN };
            let error = DeterministicPredictor::new(&mut tensors, &mut state, config).unwrap_err();
            assert!(matches!(error, ArgumentError::Parameter { name: "decay", .. }));
        }
        let error = DeterministicPredictor::new(&mut tensors, &mut state[..7], PLAIN).unwrap_err();
        assert_eq!(error, ArgumentError::Length { expected: 8, actual: 7 });
        assert_eq!(
            DeterministicPredictor::new(&mut [], &mut [], PLAIN).unwrap_err(),
            ArgumentError::Empty
        );
        let mut empty = [TensorMoments::new(0)];
        assert_eq!(
            DeterministicPredictor::new(&mut empty, &mut [], PLAIN).unwrap_err(),
            ArgumentError::Empty
        );
        let mut predictor = DeterministicPredictor::new(&mut tensors, &mut state, PLAIN).unwrap();
        (0..4).for_each(|step| {
            predictor.record(step, &gradient(step, 4, 0.1)).unwrap();
        });
        let (mut before, mut after) = ([0.0; 4], [0.0; 4]);
        predictor.predict(5, &mut before).unwrap();
        let error = predictor.record(4, &[0.0, 1.0, f32::INFINITY, 0.0]).unwrap_err();
        assert_eq!(error, ArgumentError::NotFinite { index: 2 });
        let error = predictor.record(4, &[0.0; 3]).unwrap_err();
        assert_eq!(error, ArgumentError::Length { expected: 4, actual: 3 });
        predictor.predict(5, &mut after).unwrap();
        assert_eq!(before, after);
        assert!(predictor.predict(5, &mut after[..3]).is_err());
        predictor.reset();
        predictor.predict(5, &mut after).unwrap();
        assert_eq!((after, predictor.count()), ([0.0; 4], 0));
    }
}
