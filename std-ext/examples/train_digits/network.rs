//! The network: integers forward, straight-through gradients backward.
//!
//! ```text
//! S_l = W_l · a_l                     integers: W_l the codes' values, a_0 the pixels
//! a_{l+1} = round(relu(S_l) / 2^k)    k the smallest that keeps the largest at most 127
//! logit = u · S_last,                 u = Π scale_l · Π 2^k / 16
//! ```
//!
//! Up to 1024 columns of values and activations below 2⁷ sum to less than 2²⁴, so computed in f32 they are exact, and this is the function that
//! [`Mlp`](trilane_core::model::Mlp) computes.

use crate::data::{CLASSES, PIXELS, WHITE};
use crate::quantiser::{Quantised, Weights};
use crate::random;
use trilane_core::math::exp;

/// One matrix.
pub(crate) struct Layer {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    /// The f32 weights behind the codes, column after column: the loops run along the rows.
    pub(crate) weights: Vec<f32>,
}

/// The matrices, first layer first.
pub(crate) struct Network {
    pub(crate) kind: Weights,
    pub(crate) layers: Vec<Layer>,
}

/// What a sample was in a layer.
struct Seen {
    /// The layer's input, in units of `unit`.
    input: Vec<f32>,
    unit: f32,
    sums: Vec<f32>,
}

impl Network {
    /// A network with hidden layers of these widths and weights from `seed`.
    pub(crate) fn new(kind: Weights, hidden: &[usize], seed: u64) -> Self {
        let widths: Vec<usize> = [PIXELS].iter().chain(hidden).chain(&[CLASSES]).copied().collect();
        let mut index = 0;
        let layer = |pair: &[usize]| {
            let (cols, rows) = (pair[0], pair[1]);
            let range = (6.0 / cols as f32).sqrt();
            let weights = (0..rows * cols).map(|_| {
                index += 1;
                range * random::signed(seed, index)
            });
            Layer { rows, cols, weights: weights.collect() }
        };
        Self { kind, layers: widths.windows(2).map(layer).collect() }
    }

    /// Every layer quantised.
    pub(crate) fn quantise(&self) -> Vec<Quantised> {
        self.layers.iter().map(|layer| self.kind.quantise(&layer.weights)).collect()
    }

    /// What every layer sees of an image.
    fn forward(&self, weights: &[Quantised], pixels: &[i8; PIXELS]) -> Vec<Seen> {
        let mut input: Vec<f32> = pixels.iter().map(|&v| f32::from(v)).collect();
        let mut unit = 1.0 / WHITE;
        let mut seen = Vec::new();
        for (layer, w) in self.layers.iter().zip(weights) {
            let mut sums = vec![0.0; layer.rows];
            for (column, &x) in w.values.chunks_exact(layer.rows).zip(&input) {
                if x != 0.0 {
                    sums.iter_mut().zip(column).for_each(|(s, w)| *s += w * x);
                }
            }
            let step = if self.kind == Weights::Float { 0.0 } else { shift(&sums) };
            let next = sums.iter().map(|s| match step {
                0.0 => s.max(0.0),
                _ => (s.max(0.0) / step + 0.5).floor(),
            });
            let next = next.collect();
            seen.push(Seen { input: std::mem::replace(&mut input, next), unit, sums });
            unit *= w.scale * if step > 0.0 { step } else { 1.0 };
        }
        seen
    }

    /// The class of an image: that of the largest sum, the first of equals.
    pub(crate) fn class(&self, weights: &[Quantised], pixels: &[i8; PIXELS]) -> usize {
        let seen = self.forward(weights, pixels);
        let sums = seen.last().map_or(&[][..], |last| &last.sums);
        (1..sums.len()).fold(0, |best, i| if sums[i] > sums[best] { i } else { best })
    }

    /// Adds the gradients of one sample's loss to `gradients`; gives the loss (cross entropy, in
    /// nats).
    pub(crate) fn accumulate(
        &self,
        weights: &[Quantised],
        pixels: &[i8; PIXELS],
        label: u8,
        gradients: &mut [Vec<f32>],
    ) -> f32 {
        let seen = self.forward(weights, pixels);
        let (mut slope, loss) = match (seen.last(), weights.last()) {
            (Some(last), Some(w)) => cross_entropy(&last.sums, last.unit * w.scale, label),
            _ => return 0.0,
        };
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let Seen { input, unit, .. } = &seen[l];
            let columns = gradients[l].chunks_exact_mut(layer.rows);
            for (column, &x) in columns.zip(input) {
                let x = x * unit;
                if x != 0.0 {
                    column.iter_mut().zip(&slope).for_each(|(g, s)| *g += s * x);
                }
            }
            if l > 0 {
                let before = &seen[l - 1].sums;
                let columns = weights[l].values.chunks_exact(layer.rows);
                slope = columns
                    .zip(before)
                    .map(|(column, &sum)| {
                        let products = column.iter().zip(&slope).map(|(w, s)| w * s);
                        if sum > 0.0 { weights[l].scale * products.sum::<f32>() } else { 0.0 }
                    })
                    .collect();
            }
        }
        loss
    }
}

/// 2 to the shift that requantises these sums.
fn shift(sums: &[f32]) -> f32 {
    let max = sums.iter().fold(0.0f32, |max, &s| max.max(s));
    let mut step = 1.0;
    while (max / step + 0.5).floor() > 127.0 {
        step *= 2.0;
    }
    step
}

/// Share of the probability that the target gives to all classes alike.
const SMOOTHING: f32 = 0.05;

/// The gradient of the cross entropy, to a target that is smoothed, with respect to the logits
/// `unit · sums`, and the plain cross entropy in nats.
fn cross_entropy(sums: &[f32], unit: f32, label: u8) -> (Vec<f32>, f32) {
    let label = usize::from(label);
    let max = sums.iter().fold(f32::NEG_INFINITY, |max, &s| max.max(s));
    let powers: Vec<f32> = sums.iter().map(|s| exp((s - max) * unit)).collect();
    let total: f32 = powers.iter().sum();
    let rest = SMOOTHING / sums.len() as f32;
    let target = |class| if class == label { 1.0 - SMOOTHING + rest } else { rest };
    let slope = powers.iter().enumerate().map(|(class, p)| p / total - target(class));
    (slope.collect(), libm::logf(total) - (sums[label] - max) * unit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::gguf;
    use trilane_core::gguf::Gguf;
    use trilane_core::kernel::Scalar;
    use trilane_core::model::{Line, Mlp};

    /// An image that looks like nothing.
    fn image(seed: u64) -> [i8; PIXELS] {
        std::array::from_fn(|i| random::below(seed, i as u64, 17) as i8)
    }

    /// The forward pass of training is the function that the device computes.
    #[test]
    fn the_sums_are_those_of_the_file() {
        for (kind, hidden) in [
            (Weights::Ternary, &[][..]),
            (Weights::Ternary, &[70, 70]),
            (Weights::Bit3, &[192]),
            (Weights::Bit3, &[30, 30, 30]),
        ] {
            let network = Network::new(kind, hidden, 5);
            let bytes = gguf::write(&network, Vec::new()).unwrap();
            let mut lines = vec![Line::ZERO; bytes.len().div_ceil(64)];
            bytemuck::cast_slice_mut(&mut lines)[..bytes.len()].copy_from_slice(&bytes);
            let model = Mlp::load(&Gguf::parse(bytemuck::cast_slice(&lines)).unwrap()).unwrap();
            let mut arena = vec![Line::ZERO; model.header().arena_lines()];
            let weights = network.quantise();
            for seed in 0..20 {
                let seen = network.forward(&weights, &image(seed));
                let last = seen.last().unwrap();
                let scores = model.scores(Scalar, &image(seed), &mut arena).unwrap();
                let sums: Vec<i64> = last.sums.iter().map(|&s| s as i64).collect();
                assert_eq!(scores.values, sums, "{kind:?} {hidden:?}");
                assert_eq!(scores.class(), network.class(&weights, &image(seed)));
                let unit = last.unit * weights.last().unwrap().scale;
                assert!((model.scale(&scores) / unit - 1.0).abs() < 1e-6);
            }
        }
    }

    /// Of the f32 twin, whose slope is that of the function itself.
    #[test]
    fn gradients_are_differences() {
        let mut network = Network::new(Weights::Float, &[12, 12], 3);
        let loss = |network: &Network| {
            let seen = network.forward(&network.quantise(), &image(1));
            let last = seen.last().unwrap();
            let (slope, loss) = cross_entropy(&last.sums, last.unit, 7);
            // The smoothed loss, of which the slope is the gradient.
            let others: f32 = (0..10).map(|l| cross_entropy(&last.sums, last.unit, l).1).sum();
            assert!(slope.iter().sum::<f32>().abs() < 1e-5);
            f64::from((1.0 - SMOOTHING) * loss + SMOOTHING / 10.0 * others)
        };
        let mut gradients: Vec<Vec<f32>> =
            network.layers.iter().map(|layer| vec![0.0; layer.weights.len()]).collect();
        network.accumulate(&network.quantise(), &image(1), 7, &mut gradients);
        for layer in 0..3 {
            for i in (0..gradients[layer].len()).step_by(7) {
                let was = network.layers[layer].weights[i];
                let mut at = |w| {
                    network.layers[layer].weights[i] = w;
                    loss(&network)
                };
                let step = 1.0 / 256.0;
                let difference = (at(was + step) - at(was - step)) / (2.0 * f64::from(step));
                at(was);
                let gradient = f64::from(gradients[layer][i]);
                let error = (difference - gradient).abs();
                assert!(error < 0.002 + 0.02 * gradient.abs(), "{difference} {gradient}");
            }
        }
    }
}
