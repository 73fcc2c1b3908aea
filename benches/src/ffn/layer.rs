//! A synthetic layer with the statistics that sparse inference lives on.

/// `y = W2·relu(W1·x + b1)` whose neurons follow power laws.
///
/// - *inputs*: normal, independent, variance 1;
/// - *W1*: `Σ_k u_k v_kᵀ / k` with normal u and v over `min(inputs, 256)` ranks, and independent
///   normal weights with the energy of the ranks that are left out;
/// - *b1*: neuron `i` is active with probability `min(0.98, c / rank(i))`, Zipf's law, with `c` such
///   that the wanted share of the neurons is active on average; ranks are in no order;
/// - *W2*: normal, the column of a neuron times `rank^(−1/4)`.
///
/// Nothing is set to zero: what is inactive is so because its sum is negative.
#[derive(Debug, Clone)]
pub struct PowerLaw {
    /// Inputs, neurons, outputs.
    pub shape: [usize; 3],
    /// hidden × input.
    pub w1: Vec<f32>,
    /// hidden.
    pub b1: Vec<f32>,
    /// output × hidden.
    pub w2: Vec<f32>,
    /// The popularity of each neuron, 1 for the most active.
    ranks: Vec<usize>,
}

/// Ranks that W1 is a sum of.
const RANKS: usize = 256;

/// The most active a neuron is.
const MOST: f64 = 0.98;

impl PowerLaw {
    /// A reproducible layer; [`activate`](Self::activate) gives it its biases.
    #[must_use]
    pub fn new(shape: [usize; 3]) -> Self {
        let [inputs, hidden, outputs] = shape;
        let mut normal = Normal(hidden as u64);
        let kept = RANKS.min(inputs);
        let v: Vec<Vec<f32>> =
            (1..=kept).map(|k| (0..inputs).map(|_| normal.next() / k as f32).collect()).collect();
        let tail = (kept + 1..=inputs).map(|k| 1.0 / (k * k) as f64).sum::<f64>().sqrt() as f32;
        let mut w1 = vec![0.0; hidden * inputs];
        for row in w1.chunks_exact_mut(inputs) {
            for v in &v {
                let u = normal.next();
                row.iter_mut().zip(v).for_each(|(w, v)| *w += u * v);
            }
            if tail > 0.0 {
                row.iter_mut().for_each(|w| *w += tail * normal.next());
            }
        }
        let mut ranks: Vec<usize> = (1..=hidden).collect();
        for i in (1..hidden).rev() {
            ranks.swap(i, (normal.uniform() * (i + 1) as f64) as usize);
        }
        let mut w2 = vec![0.0; outputs * hidden];
        for row in w2.chunks_exact_mut(hidden) {
            for (w, &rank) in row.iter_mut().zip(&ranks) {
                *w = normal.next() * (rank as f32).powf(-0.25);
            }
        }
        Self { shape, w1, b1: vec![0.0; hidden], w2, ranks }
    }

    /// Sets the biases so that this share of the neurons is active on average.
    pub fn activate(&mut self, share: f64) {
        let activity = |c: f64, rank: usize| (c / rank as f64).min(MOST);
        let wanted = share.min(MOST) * self.ranks.len() as f64;
        let (mut low, mut high) = (0.0, 2.0 * self.ranks.len() as f64);
        for _ in 0..100 {
            let c = f64::midpoint(low, high);
            let sum: f64 = self.ranks.iter().map(|&rank| activity(c, rank)).sum();
            if sum < wanted { low = c } else { high = c }
        }
        let rows = self.w1.chunks_exact(self.shape[0]);
        for ((bias, row), &rank) in self.b1.iter_mut().zip(rows).zip(&self.ranks) {
            let sigma = row.iter().map(|&w| f64::from(w) * f64::from(w)).sum::<f64>().sqrt();
            *bias = (sigma * normal_quantile(activity(high, rank))) as f32;
        }
    }

    /// Inputs, reproducible for each seed.
    #[must_use]
    pub fn inputs(&self, n: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut normal = Normal(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        (0..n).map(|_| (0..self.shape[0]).map(|_| normal.next()).collect()).collect()
    }

    /// `relu(W1·x + b1)` in f64.
    #[must_use]
    pub fn hidden(&self, x: &[f32]) -> Vec<f64> {
        let rows = self.w1.chunks_exact(self.shape[0]);
        rows.zip(&self.b1).map(|(row, &b)| (dot(row, x) + f64::from(b)).max(0.0)).collect()
    }

    /// The answer from these hidden values, in f64.
    #[must_use]
    pub fn output(&self, hidden: &[f64]) -> Vec<f64> {
        let product = |(&w, h): (&f32, &f64)| f64::from(w) * h;
        self.w2
            .chunks_exact(self.shape[1])
            .map(|row| row.iter().zip(hidden).map(product).sum())
            .collect()
    }
}

fn dot(w: &[f32], x: &[f32]) -> f64 {
    // Sixteen sums, so that the processor's vectors can hold them.
    let mut sums = [0.0f64; 16];
    for (w, x) in w.chunks(16).zip(x.chunks(16)) {
        for ((sum, w), x) in sums.iter_mut().zip(w).zip(x) {
            *sum += f64::from(*w) * f64::from(*x);
        }
    }
    sums.iter().sum()
}

/// The z below which a standard normal variable falls with probability `p`, by bisection of the
/// distribution function; exact to 1e-7, which is that of [`erfc`].
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-8.0f64, 8.0f64);
    for _ in 0..60 {
        let z = f64::midpoint(low, high);
        if 0.5 * erfc(-z / std::f64::consts::SQRT_2) < p { low = z } else { high = z }
    }
    high
}

/// The complementary error function (Abramowitz and Stegun 7.1.26, error below 1.5e-7).
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let poly = ((((1.061_405_429 * t - 1.453_152_027) * t + 1.421_413_741) * t - 0.284_496_736)
        * t
        + 0.254_829_592)
        * t;
    let tail = poly * (-x * x).exp();
    if x >= 0.0 { tail } else { 2.0 - tail }
}

/// Normal numbers from those of Vigna's SplitMix64.
struct Normal(u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// By Box and Muller's method.
    fn next(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.uniform()).cos()) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_neurons_are_active_as_wanted_and_a_few_do_most() {
        let mut layer = PowerLaw::new([96, 512, 32]);
        for share in [0.1, 0.3, 0.7] {
            layer.activate(share);
            let mut counts = vec![0; 512];
            for x in layer.inputs(200, 1) {
                for (count, h) in counts.iter_mut().zip(layer.hidden(&x)) {
                    *count += usize::from(h > 0.0);
                }
            }
            let all: usize = counts.iter().sum();
            let found = all as f64 / (200.0 * 512.0);
            assert!((found - share).abs() < 0.02, "{found}, expected {share}");
            counts.sort_unstable();
            let hot: usize = counts.iter().rev().take(128).sum();
            assert!(share > 0.1 || hot as f64 > 0.6 * all as f64, "{hot} of {all}");
        }
    }
}
