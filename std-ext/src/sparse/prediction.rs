//! Maps of low rank, how far predictions are off, and the margins that this asks for.

use crate::calibrate::LowRankFit;

/// Margins that are tried, in standard deviations of the error of a prediction.
const MARGINS: [f32; 6] = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0];

/// The largest accepted norm of what is left out, relative to the norm of all: with contributions
/// in independent directions the relative error of the output that missed neurons cause.
const MISSED: f64 = 0.003;

fn dot(w: &[f32], x: &[f32]) -> f32 {
    w.iter().zip(x).map(|(w, x)| w * x).sum()
}

/// `down · x`.
fn inner(fit: &LowRankFit, x: &[f32]) -> Vec<f32> {
    fit.down.chunks_exact(fit.dim).map(|w| dot(w, x)).collect()
}

/// What a map predicts.
pub(super) fn predictions(fit: &LowRankFit, x: &[f32]) -> Vec<f32> {
    let inner = inner(fit, x);
    fit.up.chunks_exact(fit.rank).zip(&fit.bias).map(|(w, bias)| dot(w, &inner) + bias).collect()
}

/// The mean of `down · x` over inputs.
pub(super) fn inner_mean(fit: &LowRankFit, inputs: &[f32]) -> Vec<f32> {
    let mut mean = vec![0.0f32; fit.dim];
    let n = (inputs.len() / fit.dim).max(1) as f32;
    for x in inputs.chunks_exact(fit.dim) {
        mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += x / n);
    }
    inner(fit, &mean)
}

/// The first ranks of a map, which are the best of so many. What the others add at the mean input
/// goes into the bias.
pub(super) fn truncated(full: &LowRankFit, rank: usize, inner_mean: &[f32]) -> LowRankFit {
    let rows = full.up.chunks_exact(full.rank);
    let left = |row: &[f32]| dot(&row[rank..], &inner_mean[rank..]);
    LowRankFit {
        rank,
        down: full.down[..rank * full.dim].to_vec(),
        up: rows.clone().flat_map(|row| &row[..rank]).copied().collect(),
        bias: rows.zip(&full.bias).map(|(row, bias)| bias + left(row)).collect(),
        ..*full
    }
}

/// Root mean square of the error of each neuron's predictions.
pub(super) fn deviations<'s>(pairs: impl Iterator<Item = (&'s [f32], &'s [f32])>) -> Vec<f32> {
    let (mut squares, mut n) = (Vec::new(), 0.0f64);
    for (z, predicted) in pairs {
        squares.resize(z.len(), 0.0f64);
        for ((sum, z), p) in squares.iter_mut().zip(z).zip(predicted) {
            *sum += f64::from(z - p) * f64::from(z - p);
        }
        n += 1.0;
    }
    squares.into_iter().map(|sum| libm::sqrt(sum / n.max(1.0)) as f32).collect()
}

/// The smallest margin with which little enough is missed, and the share of neurons then chosen.
/// Pairs of contributions and predictions.
pub(super) fn margin<'s>(
    pairs: impl Iterator<Item = (&'s [f32], &'s [f32])> + Clone,
    deviations: &[f32],
) -> (f32, f64) {
    let mut last = (0.0, 1.0);
    for factor in MARGINS {
        let (mut missed, mut all, mut chosen, mut neurons) = (0.0f64, 0.0f64, 0.0, 0.0);
        for (contributions, predicted) in pairs.clone() {
            for ((c, p), d) in contributions.iter().zip(predicted).zip(deviations) {
                let square = f64::from(*c) * f64::from(*c);
                let within = p + factor * d > 0.0;
                chosen += f64::from(u8::from(within));
                neurons += 1.0;
                all += square;
                missed += if within { 0.0 } else { square };
            }
        }
        last = (factor, if neurons > 0.0 { chosen / neurons } else { 0.0 });
        if missed <= MISSED * MISSED * all {
            break;
        }
    }
    last
}
