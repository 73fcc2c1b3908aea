//! Handwritten digits, and a network with one hidden layer.

use super::{Gradient, Params, Task, Validation};
use crate::Result;
use crate::data::{self, CLASSES, FOLDS, PIXELS, Sample, WHITE, Warp};
use clap::Args;
use std::path::Path;
use trilane_core::math::exp;
use trilane_std::train::random;

/// 64 pixels → hidden, rectified → 10 classes, with biases; cross entropy in nats.
///
/// The matrices lie input after input, so that the loops run along the outputs. In f32 with a defined
/// order of operations: the same bits on every machine.
pub(crate) struct Digits {
    hidden: usize,
    /// The images, and behind them their shifted copies.
    training: Vec<Sample>,
    originals: usize,
    held_out: Vec<Sample>,
    /// The same with the other fifths held out, one for each remainder of a seed by five but 0.
    folds: Vec<Digits>,
}

/// Which of the digits to train on.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DigitsSettings {
    /// Hidden neurons of the digits' network.
    #[arg(long, global = true, default_value_t = 64)]
    hidden: usize,
    /// So many copies of every digit to train on besides, shifted by up to half a pixel.
    #[arg(long, global = true, default_value_t = 0)]
    copies: usize,
    /// Hold out another fifth of the digits for each of five seeds.
    #[arg(long, global = true)]
    cross_validate: bool,
}

/// What the copies are: shifted by up to half a pixel.
const SHIFTED: Warp = Warp { slant: 0.0, shift: 0.5 };

/// Their seed.
const COPIES: u64 = 0x5EED;

/// A forward pass of one sample.
struct Seen {
    hidden: Vec<f32>,
    /// The probability of each class.
    classes: [f32; CLASSES],
    loss: f32,
}

impl Digits {
    /// The digits in a CSV file, with the first fold of 364 held out, and 1,433 to train on.
    pub(crate) fn read(path: &Path, settings: DigitsSettings) -> Result<Self> {
        let csv = std::fs::read_to_string(path)
            .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let samples = data::parse(&csv).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self::of(&samples, settings))
    }

    fn of(samples: &[Sample], settings: DigitsSettings) -> Self {
        let mut first = Self::fold(samples, settings, 0);
        if settings.cross_validate {
            first.folds = (1..FOLDS).map(|fold| Self::fold(samples, settings, fold)).collect();
        }
        first
    }

    fn fold(samples: &[Sample], settings: DigitsSettings, fold: usize) -> Self {
        let DigitsSettings { hidden, copies, .. } = settings;
        let (mut training, held_out) = data::split(samples, fold);
        let originals = training.len();
        for i in 0..copies * originals {
            let Sample { label, .. } = training[i % originals];
            let pixels = training[i % originals].warped(SHIFTED, COPIES, i as u64);
            training.push(Sample { label, pixels });
        }
        Self { hidden, training, originals, held_out, folds: Vec::new() }
    }

    /// So many noisy images of bars, whose place is the class: for tests.
    #[cfg(test)]
    pub(crate) fn synthetic(samples: usize, hidden: usize) -> Self {
        let pixel = |i: usize, at: usize| {
            let noise = random::below(4, (i * PIXELS + at) as u64, 6) as i8;
            if at / 6 == i % CLASSES { 16 - noise } else { noise }
        };
        let sample = |i: usize| Sample {
            label: (i % CLASSES) as u8,
            pixels: std::array::from_fn(|at| pixel(i, at)),
        };
        let settings = DigitsSettings { hidden, copies: 0, cross_validate: false };
        Self::fold(&(0..samples).map(sample).collect::<Vec<_>>(), settings, 0)
    }

    fn forward(&self, params: &Params, sample: &Sample) -> Seen {
        let mut hidden = params[1].clone();
        for (column, &x) in params[0].chunks_exact(self.hidden).zip(&sample.pixels) {
            if x != 0 {
                let x = f32::from(x) / WHITE;
                hidden.iter_mut().zip(column).for_each(|(h, w)| *h += w * x);
            }
        }
        hidden.iter_mut().for_each(|h| *h = h.max(0.0));
        let mut classes: [f32; CLASSES] = std::array::from_fn(|i| params[3][i]);
        for (column, &h) in params[2].chunks_exact(CLASSES).zip(&hidden) {
            classes.iter_mut().zip(column).for_each(|(c, w)| *c += w * h);
        }
        let right = classes[usize::from(sample.label)];
        let max = classes.iter().fold(f32::NEG_INFINITY, |max, &c| max.max(c));
        classes = classes.map(|c| exp(c - max));
        let total: f32 = classes.iter().sum();
        Seen { hidden, classes: classes.map(|c| c / total), loss: libm::logf(total) + max - right }
    }
}

impl Task for Digits {
    fn name(&self) -> &'static str {
        "digits"
    }

    fn shapes(&self) -> Vec<Vec<usize>> {
        let hidden = self.hidden;
        vec![vec![PIXELS, hidden], vec![hidden], vec![hidden, CLASSES], vec![CLASSES]]
    }

    fn initial(&self, seed: u64) -> Params {
        let normal = |n: usize, inputs: usize, seed: u64| -> Vec<f32> {
            let deviation = (2.0 / inputs as f32).sqrt();
            (0..n as u64).map(|i| deviation * random::normal(seed, i)).collect()
        };
        let hidden = self.hidden;
        vec![
            normal(PIXELS * hidden, PIXELS, random::bits(seed, 0)),
            vec![0.0; hidden],
            normal(hidden * CLASSES, hidden, random::bits(seed, 1)),
            vec![0.0; CLASSES],
        ]
    }

    fn of_seed(&self, seed: u64) -> Option<&dyn Task> {
        let fold = (seed % FOLDS as u64) as usize;
        Some(self.folds.get(fold.checked_sub(1)?)?)
    }

    fn samples(&self) -> usize {
        self.training.len()
    }

    fn originals(&self) -> usize {
        self.originals
    }

    fn batch(&self) -> usize {
        32
    }

    fn losses(&self, params: &Params, samples: &[usize]) -> Result<Vec<f32>> {
        Ok(samples.iter().map(|&i| self.forward(params, &self.training[i]).loss).collect())
    }

    fn head_gradients(&self, params: &Params, samples: &[usize]) -> Result<Option<Vec<f32>>> {
        let mut gradients = Vec::with_capacity(samples.len() * self.hidden * CLASSES);
        for &i in samples {
            let Seen { hidden, classes: mut slope, .. } = self.forward(params, &self.training[i]);
            slope[usize::from(self.training[i].label)] -= 1.0;
            gradients.extend(hidden.iter().flat_map(|h| slope.map(|s| s * h)));
        }
        Ok(Some(gradients))
    }

    fn gradient(&self, params: &Params, samples: &[usize], weights: &[f32]) -> Result<Gradient> {
        let mut gradients = params.iter().map(|p| vec![0.0; p.len()]);
        let mut zeros = || gradients.next().unwrap_or_default();
        let (mut first, mut first_bias) = (zeros(), zeros());
        let (mut second, mut second_bias) = (zeros(), zeros());
        let mut losses = Vec::new();
        for (&i, &weight) in samples.iter().zip(weights) {
            let sample = &self.training[i];
            let Seen { hidden, classes: mut slope, loss } = self.forward(params, sample);
            losses.push(loss);
            slope[usize::from(sample.label)] -= 1.0;
            slope.iter_mut().for_each(|s| *s *= weight);
            second_bias.iter_mut().zip(slope).for_each(|(g, s)| *g += s);
            let columns = params[2].chunks_exact(CLASSES).zip(second.chunks_exact_mut(CLASSES));
            let mut back = vec![0.0; hidden.len()];
            for (((w, g), &h), back) in columns.zip(&hidden).zip(&mut back) {
                if h > 0.0 {
                    g.iter_mut().zip(slope).for_each(|(g, s)| *g += s * h);
                    *back = w.iter().zip(slope).map(|(w, s)| w * s).sum();
                }
            }
            first_bias.iter_mut().zip(&back).for_each(|(g, b)| *g += b);
            for (column, &x) in first.chunks_exact_mut(self.hidden).zip(&sample.pixels) {
                if x != 0 {
                    let x = f32::from(x) / WHITE;
                    column.iter_mut().zip(&back).for_each(|(g, b)| *g += b * x);
                }
            }
        }
        Ok(Gradient { losses, gradients: vec![first, first_bias, second, second_bias] })
    }

    fn validation(&self, params: &Params) -> Result<Validation> {
        let (mut sum, mut right) = (0.0, 0.0);
        for sample in &self.held_out {
            let Seen { classes, loss, .. } = self.forward(params, sample);
            sum += f64::from(loss);
            let best = (1..CLASSES).fold(0, |a, b| if classes[b] > classes[a] { b } else { a });
            right += f64::from(u8::from(best == usize::from(sample.label)));
        }
        let n = self.held_out.len() as f64;
        Ok(Validation { loss: sum / n, accuracy: right / n })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_last_layer_has_the_gradient_of_a_backward_pass() {
        let task = Digits::synthetic(40, 12);
        let params = task.initial(1);
        let heads = task.head_gradients(&params, &[5, 2]).unwrap().unwrap();
        for (sample, head) in [5, 2].into_iter().zip(heads.chunks_exact(12 * CLASSES)) {
            let gradients = task.mean_gradient(&params, &[sample]).unwrap().gradients;
            assert_eq!(gradients[2], head);
        }
    }

    /// Copies come behind their originals, and every seed of five holds other images out.
    #[test]
    fn copies_are_trained_on_and_every_image_is_held_out_once() {
        let image = |i: usize| Sample {
            label: (i % CLASSES) as u8,
            pixels: std::array::from_fn(|at| ((i * 7 + at * 3) % 17) as i8),
        };
        let samples: Vec<Sample> = (0..100).map(image).collect();
        let settings = DigitsSettings { hidden: 8, copies: 2, cross_validate: true };
        let task = Digits::of(&samples, settings);
        let mut held_out = Vec::new();
        for seed in 1..=5 {
            let fold = seed as usize % FOLDS;
            let task = fold.checked_sub(1).map_or(&task, |other| &task.folds[other]);
            assert_eq!((task.samples(), task.originals()), (240, 80));
            let labels = |part: &[Sample]| part.iter().map(|s| s.label).collect::<Vec<_>>();
            assert_eq!(labels(&task.training[..80]), labels(&task.training[80..160]));
            assert_ne!(task.training[0].pixels, task.training[80].pixels);
            held_out.extend(task.held_out.iter().map(|s| (s.label, s.pixels)));
        }
        let mut all: Vec<_> = samples.iter().map(|s| (s.label, s.pixels)).collect();
        all.sort_unstable();
        held_out.sort_unstable();
        assert_eq!(held_out, all);
    }
}
