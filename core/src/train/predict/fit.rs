//! The weights of a least-squares line, and what noise leaves of it.

/// Sums over the weights w of the gradients so far, t counted from the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Weights {
    /// `Σw`.
    w: f64,
    /// `Σwt`.
    wt: f64,
    /// `Σwt²`.
    wtt: f64,
    /// `Σw²`.
    ww: f64,
}

/// The shares of a tensor's mean and velocity that are kept:
///
/// ```text
/// s²   = RSS/Σw · n/(n − 2),  n = (Σw)²/Σw²           the noise of one gradient
/// mean:     max(0, 1 − s²/(n·‖m‖²))
/// velocity: max(0, 1 − s²/(Sxx·n/Σw·‖v‖²))
/// RSS  = Σw‖g‖² − Σw‖m‖² − Sxx‖v‖²
/// ```
///
/// With equal weights n is their number, and these are `s² = RSS/(n − 2)`, `1 − s²/(n‖m‖²)` and
/// `1 − s²/(Sxx‖v‖²)`. Both are 0 while `n ≤ 2`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// The share of the mean.
    pub mean_share: f64,
    /// The share of the velocity.
    pub velocity_share: f64,
}

impl Weights {
    /// The sums after one more gradient, so many steps after the last.
    pub(super) fn followed(&self, ahead: f64, decay: f64) -> Self {
        let wt = self.wt - ahead * self.w;
        let wtt = self.wtt - 2.0 * ahead * self.wt + ahead * ahead * self.w;
        Self {
            w: decay * self.w + 1.0,
            wt: decay * wt,
            wtt: decay * wtt,
            ww: decay * decay * self.ww + 1.0,
        }
    }

    /// t̄ and Sxx.
    fn centre(&self) -> (f64, f64) {
        let middle = self.wt / self.w;
        (middle, (self.wtt - middle * self.wt).max(0.0))
    }

    /// How much of an error in the last gradient the line takes up: `1/Σw + t̄²/Sxx`.
    pub(super) fn leverage(&self) -> f64 {
        let (middle, spread) = self.centre();
        let slope = if spread > 0.0 { middle * middle / spread } else { 0.0 };
        1.0 / self.w + slope
    }

    /// The shares of a tensor with `squares = Σw‖g‖²` and
    /// `moments = [‖Σwg‖², Σwg·Σwtg, ‖Σwtg‖²]`.
    pub(super) fn shrink(&self, squares: f64, moments: [f64; 3]) -> Line {
        let (middle, spread) = self.centre();
        let n = self.w * self.w / self.ww;
        if n <= 2.0 || spread <= 0.0 {
            return Line::default();
        }
        let [ss, sd, dd] = moments;
        let mean = ss / (self.w * self.w);
        let velocity = (dd - 2.0 * middle * sd + middle * middle * ss) / (spread * spread);
        let rest = (squares - self.w * mean - spread * velocity).max(0.0);
        let noise = rest / self.w * n / (n - 2.0);
        let share = |signal: f64| if signal > 0.0 { (1.0 - noise / signal).max(0.0) } else { 0.0 };
        Line { mean_share: share(n * mean), velocity_share: share(spread * n / self.w * velocity) }
    }

    /// The factors of `Σwg` and `Σwtg` in the shrunk line so many steps after the last gradient.
    pub(super) fn coefficients(&self, line: Line, ahead: f64) -> (f64, f64) {
        let (middle, spread) = self.centre();
        let drift =
            if spread > 0.0 { line.velocity_share * (ahead - middle) / spread } else { 0.0 };
        (line.mean_share / self.w - drift * middle, drift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Everything from a list of gradients with their steps, by normal equations in f64.
    #[test]
    fn the_running_sums_are_those_of_the_whole_history() {
        let steps = [0.0, 1.0, 2.0, 3.0, 7.0, 8.0, 13.0];
        let value = |i: usize, k: usize| libm::sin((i * 3 + k) as f64) + 0.2 * steps[i];
        let decay = 0.8;
        let mut weights = Weights::default();
        let (mut squares, mut sums, mut drifts) = (0.0, [0.0; 3], [0.0; 3]);
        for i in 0..steps.len() {
            let ahead = if i == 0 { 1.0 } else { steps[i] - steps[i - 1] };
            weights = weights.followed(ahead, decay);
            squares *= decay;
            for k in 0..3 {
                drifts[k] = decay * (drifts[k] - ahead * sums[k]);
                sums[k] = decay * sums[k] + value(i, k);
                squares += value(i, k) * value(i, k);
            }
        }
        let last = steps.len() - 1;
        let points: Vec<(f64, f64)> = (0..=last)
            .map(|i| (libm::pow(decay, (last - i) as f64), steps[i] - steps[last]))
            .collect();
        let total =
            |f: &dyn Fn(f64, f64) -> f64| points.iter().map(|(w, t)| f(*w, *t)).sum::<f64>();
        let (w, wt) = (total(&|w, _| w), total(&|w, t| w * t));
        let (wtt, ww) = (total(&|w, t| w * t * t), total(&|w, _| w * w));
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} {b}");
        close(weights.w, w);
        close(weights.wt, wt);
        close(weights.wtt, wtt);
        close(weights.ww, ww);
        let determinant = w * wtt - wt * wt;
        let (mut rest, mut means, mut velocities) = (0.0, 0.0, 0.0);
        for k in 0..3 {
            let at = |i: usize| value(i, k);
            let wg: f64 = points.iter().zip(0..).map(|((w, _), i)| w * at(i)).sum();
            let wtg: f64 = points.iter().zip(0..).map(|((w, t), i)| w * t * at(i)).sum();
            let baseline = (wtt * wg - wt * wtg) / determinant;
            let velocity = (w * wtg - wt * wg) / determinant;
            let whole = Line { mean_share: 1.0, velocity_share: 1.0 };
            let (sum, drift) = weights.coefficients(whole, 4.0);
            close(sum * sums[k] + drift * drifts[k], baseline + 4.0 * velocity);
            let errors = points.iter().zip(0..).map(|((w, t), i)| {
                let error = at(i) - baseline - velocity * t;
                w * error * error
            });
            rest += errors.sum::<f64>();
            means += (wg / w) * (wg / w);
            velocities += velocity * velocity;
        }
        let n = w * w / ww;
        let noise = rest / w * n / (n - 2.0);
        let moments = (0..3).fold([0.0; 3], |[a, b, c], k| {
            [a + sums[k] * sums[k], b + sums[k] * drifts[k], c + drifts[k] * drifts[k]]
        });
        let line = weights.shrink(squares, moments);
        close(line.mean_share, (1.0 - noise / (n * means)).max(0.0));
        let spread = wtt - wt * wt / w;
        close(line.velocity_share, (1.0 - noise / (spread * n / w * velocities)).max(0.0));
        assert!(line.mean_share > 0.1 && line.velocity_share > 0.1, "{line:?}");
        // The last row of the hat matrix.
        close(weights.leverage(), wtt / determinant);
    }

    #[test]
    fn equal_weights_give_the_plain_formulas() {
        let mut weights = Weights::default();
        (0..5).for_each(|_| weights = weights.followed(1.0, 1.0));
        let (middle, spread) = weights.centre();
        assert_eq!((weights.w, middle, spread), (5.0, -2.0, 10.0));
        // g = 1, 2, 3, 4, 6: Σg² = 66, Σg = 16, Σtg = −20.
        let line = weights.shrink(66.0, [256.0, -320.0, 400.0]);
        let (mean, velocity) = (3.2_f64, 1.2_f64);
        let noise = (66.0 - 5.0 * mean * mean - 10.0 * velocity * velocity) / 3.0;
        assert!((line.mean_share - (1.0 - noise / (5.0 * mean * mean))).abs() < 1e-12);
        let expected = 1.0 - noise / (10.0 * velocity * velocity);
        assert!((line.velocity_share - expected).abs() < 1e-12, "{line:?}");
    }
}
