//! The training loop.

use crate::data::{Sample, Warp};
use crate::network::Network;
use crate::optimiser::AdamW;
use crate::random;

/// How to train.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Times that every sample is seen.
    pub(crate) epochs: usize,
    /// Step size at the start; it falls to zero in a straight line.
    pub(crate) rate: f32,
    /// Share of a weight that a step of size 1 would take away.
    pub(crate) decay: f32,
    pub(crate) seed: u64,
}

/// Samples in a step.
const BATCH: usize = 32;

/// What the random numbers are for: seeds that differ.
const ORDER: u64 = 1 << 32;
const WARPS: u64 = 2 << 32;

/// How much images are changed.
const WARP: Warp = Warp { slant: 0.15, shift: 1.0 };

/// Trains a network on samples in a new order every epoch, each warped a little; `report` is
/// called after each epoch with its number from 1 and its mean loss.
pub(crate) fn train(
    network: &mut Network,
    samples: &[Sample],
    settings: Settings,
    report: &mut dyn FnMut(usize, f32),
) {
    let Settings { epochs, rate, decay, seed } = settings;
    let lens: Vec<usize> = network.layers.iter().map(|layer| layer.weights.len()).collect();
    let mut optimisers: Vec<AdamW> = lens.iter().map(|&len| AdamW::new(len)).collect();
    let steps = epochs * samples.len().div_ceil(BATCH);
    let mut step = 0;
    let mut order: Vec<usize> = (0..samples.len()).collect();
    for epoch in 0..epochs {
        let index = |i: usize| (epoch * samples.len() + i) as u64;
        for i in (1..order.len()).rev() {
            order.swap(i, random::below(seed ^ ORDER, index(i), i + 1));
        }
        let mut loss = 0.0;
        for (n, batch) in order.chunks(BATCH).enumerate() {
            let weights = network.quantise();
            let mut gradients: Vec<Vec<f32>> = lens.iter().map(|&len| vec![0.0; len]).collect();
            for (i, &sample) in batch.iter().enumerate() {
                let sample = &samples[sample];
                let pixels = sample.warped(WARP, seed ^ WARPS, index(n * BATCH + i));
                loss += network.accumulate(&weights, &pixels, sample.label, &mut gradients);
            }
            let rate = rate * (1.0 - step as f32 / steps as f32);
            let layers = network.layers.iter_mut().zip(&mut gradients).zip(&mut optimisers);
            for ((layer, gradient), optimiser) in layers {
                gradient.iter_mut().for_each(|g| *g /= batch.len() as f32);
                optimiser.update(&mut layer.weights, gradient, rate, decay);
            }
            step += 1;
        }
        report(epoch + 1, loss / samples.len() as f32);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::data::{CLASSES, PIXELS};
    use crate::quantiser::Weights;
    use trilane_core::model::Digest;

    /// Images of a bright bar, high or low by class, over noise.
    fn samples() -> Vec<Sample> {
        let pixel = |i: usize, at: usize| {
            let noise = random::below(4, (i * PIXELS + at) as u64, 4) as i8;
            if at / 6 == i % CLASSES { 16 } else { noise }
        };
        let sample = |i| Sample {
            label: (i % CLASSES) as u8,
            pixels: std::array::from_fn(|at| pixel(i, at)),
        };
        (0..100).map(sample).collect()
    }

    /// The bits of the weights are part of what the program promises, on every machine.
    #[test]
    fn training_learns_and_has_the_same_bits_everywhere() {
        let settings = Settings { epochs: 30, rate: 5e-3, decay: 0.01, seed: 1 };
        for (kind, golden) in [
            (Weights::Float, 0x5c29_a706_12a0_7c17),
            (Weights::Ternary, 0x0d68_f711_1cad_2f35),
            (Weights::Bit3, 0x0f86_0ee0_2752_0f28),
        ] {
            let mut network = Network::new(kind, &[32], 1);
            let mut losses = Vec::new();
            train(&mut network, &samples(), settings, &mut |_, loss| losses.push(loss));
            assert!(losses.last().unwrap() < &(0.7 * losses[0]), "{kind:?}: {losses:?}");
            let mut digest = Digest::default();
            network.layers.iter().for_each(|layer| digest.floats(&layer.weights));
            assert_eq!(digest.value(), golden, "{kind:?}: {:#x}", digest.value());
        }
    }
}
