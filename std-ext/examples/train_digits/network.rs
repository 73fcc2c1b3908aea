//! The network: integers forward, straight-through gradients backward.
//!
//! ```text
//! S_l = W_l · a_l                     integers: W_l the codes' values, a_0 the pixels
//! a_{l+1} = round(relu(S_l) / 2^k)    k the smallest that keeps the largest at most 127
//! logit = u · S_last,                 u = Π scale_l · Π 2^k / 16
//! ```
//!
//! All sums stay below 2²⁴, so computed in f32 they are exact, and this is the function that
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

    /// The logits of an image, and which is the largest (the first of equals).
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

/// The gradient of the cross entropy with respect to the logits `unit · sums`, and the loss.
fn cross_entropy(sums: &[f32], unit: f32, label: u8) -> (Vec<f32>, f32) {
    let max = sums.iter().fold(f32::NEG_INFINITY, |max, &s| max.max(s));
    let powers: Vec<f32> = sums.iter().map(|s| exp((s - max) * unit)).collect();
    let total: f32 = powers.iter().sum();
    let at = |i: usize| {
        SMOOTHING / CLASSES as f32 + if i == usize::from(label) { 1.0 - SMOOTHING } else { 0.0 }
    };
    let slope = powers.iter().enumerate().map(|(i, p)| p / total - at(i)).collect();
    (slope, -libm::logf(powers[usize::from(label)] / total))
}

/// Share of the probability that the target gives to all classes alike.
const SMOOTHING: f32 = 0.05;
