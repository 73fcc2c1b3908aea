//! The predictor of a gated block, and the rank at which it finds the neurons that matter.

use super::curves::largest;
use super::low_rank::{LinearMap, LowRankFit, deviations, fit};
use super::record::LayerActivity;
use crate::rows::for_each_row;
use trilane_core::kernel::Scalar;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{ModelError, Weights};
use trilane_core::nn::{Activation, Linear};

/// Of so many inputs one is kept for measuring and not fitted to.
const HELD_OUT: usize = 5;

/// The most inputs that recall, and how much errors matter, are measured on.
const MEASURED: usize = 256;

/// Ranks that are tried are multiples of this.
const STEP: usize = 4;

/// Margins that are tried where an activation has zeros, in standard deviations of the gate's error:
/// without one a neuron is missed when its prediction comes out slightly below zero.
const MARGINS: [f32; 6] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0];

/// Half the step of a derivative.
const HALF_STEP: f32 = 1e-2;

/// Which rank a predictor has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rank {
    /// This one, or as many as the input has values.
    Exactly(usize),
    /// The smallest with that recall; the largest there is where none has. A larger one than makes
    /// the prediction as expensive as gate and up themselves is not tried.
    Recall(f64),
}

/// A predictor of one layer.
#[derive(Clone, Debug)]
pub struct LayerPredictor {
    /// `ĝ`, with margins where its activation has zeros, then `û·‖down[i]‖`, of every neuron.
    pub fit: LowRankFit,
    /// Of the share of the neurons that add most to the output, `|act(g)·u|·‖down[i]‖` and not 0,
    /// those that are among as many with the largest `|act(ĝ)·û|·‖down[i]‖`; the mean over inputs
    /// that nothing was fitted to.
    pub recall: f64,
}

/// Fits the predictor of a layer to what it has seen, for runs that compute the share `active` (0 to
/// 1) of its neurons; `None` where it has seen too little.
///
/// The magnitude `|act(g)·u|` is no linear map of the input, but g and u are, so that both are
/// predicted and multiplied. An error of g matters as much as the root mean square of
/// `act'(g)·u·‖down[i]‖`, one of u as much as that of `act(g)·‖down[i]‖`: what a small error does to
/// the magnitude.
///
/// # Errors
/// What [`Linear::row`] returns.
pub fn predictor(
    weights: &Weights<'_, '_>,
    layer: usize,
    activity: &LayerActivity,
    lane: PrecisionLane,
    active: f32,
    rank: Rank,
) -> Result<Option<LayerPredictor>, ModelError> {
    let header = weights.header();
    let (dim, hidden) = (header.dim, header.hidden);
    let mut rows = vec![0.0; 2 * hidden * dim];
    let linears = || weights.linears().filter(|(name, _)| name.layer == Some(layer));
    for (part, rows) in ["ffn_gate", "ffn_up"].into_iter().zip(rows.chunks_mut(hidden * dim)) {
        if let Some((_, linear)) = linears().find(|(name, _)| name.part == part) {
            read(linear, lane, rows)?;
        }
    }
    for (i, row) in rows.chunks_mut(dim).skip(hidden).enumerate() {
        row.iter_mut().for_each(|w| *w *= activity.norm(i));
    }
    let inputs = activity.inputs.chunks_exact(dim).enumerate();
    let (held, fitted): (Vec<_>, Vec<_>) = inputs.partition(|(i, _)| i % HELD_OUT == HELD_OUT - 1);
    let exact = |list: &[(usize, &[f32])]| -> Vec<Seen> {
        let every = list.len().div_ceil(MEASURED).max(1);
        let list: Vec<&[f32]> = list.iter().step_by(every).map(|(_, x)| *x).collect();
        let seen = |i: usize| {
            let x: &[f32] = list[i];
            let dot = |w: &[f32]| w.iter().zip(x).map(|(w, x)| w * x).sum();
            Seen { x: x.to_vec(), values: rows.chunks_exact(dim).map(dot).collect() }
        };
        let all: Result<_, std::convert::Infallible> = for_each_row(list.len(), |i| Ok(seen(i)));
        all.unwrap_or_else(|never| match never {})
    };
    let (seen, held) = (exact(&fitted), exact(&held));
    let matter = matter(&seen, header.activation, hidden);
    let chosen = ((hidden as f64 * f64::from(active)) as usize).max(1);
    let ranks: Vec<usize> = match rank {
        Rank::Exactly(rank) => vec![rank],
        // rank · (dim + 2 hidden) < 2 dim · hidden
        Rank::Recall(_) => {
            (STEP..=(2 * dim * hidden / (dim + 2 * hidden)).max(STEP)).step_by(STEP).collect()
        }
    };
    let map = LinearMap { rows: &rows, bias: &vec![0.0; 2 * hidden], weights: &matter };
    let inputs: Vec<f32> = fitted.iter().flat_map(|(_, x)| *x).copied().collect();
    let largest_rank = ranks.last().copied().unwrap_or(0);
    let Some(full) = fit(&inputs, map, dim, largest_rank) else { return Ok(None) };
    let found = |rank: usize| {
        let fit = full.truncated(rank);
        with_margins(fit, &seen, &held, header.activation, chosen)
    };
    let at = match rank {
        Rank::Exactly(_) => 0,
        Rank::Recall(wanted) => ranks.partition_point(|&rank| found(rank).recall < wanted),
    };
    Ok(ranks.get(at).or(ranks.last()).map(|&rank| found(rank)))
}

/// An input, and the values of gate and up.
struct Seen {
    x: Vec<f32>,
    values: Vec<f32>,
}

fn read(linear: &Linear<'_>, lane: PrecisionLane, rows: &mut [f32]) -> Result<(), ModelError> {
    for (i, row) in rows.chunks_mut(linear.cols().max(1)).enumerate() {
        linear.row(lane, i, row)?;
    }
    Ok(())
}

/// `|act(g)·u|` of every neuron, from both.
fn magnitudes(values: &[f32], activation: Activation) -> Vec<f32> {
    let (gate, up) = values.split_at(values.len() / 2);
    let mut h = gate.to_vec();
    activation.apply(Scalar, &mut h);
    h.iter_mut().zip(up).for_each(|(h, up)| *h = (*h * up).abs());
    h
}

/// How much errors of gate and up matter.
fn matter(seen: &[Seen], activation: Activation, hidden: usize) -> Vec<f32> {
    let mut squares = vec![0.0f64; 2 * hidden];
    for Seen { values, .. } in seen {
        let (gate, up) = values.split_at(hidden);
        let at = |offset: f32| {
            let mut h: Vec<f32> = gate.iter().map(|g| g + offset).collect();
            activation.apply(Scalar, &mut h);
            h
        };
        let (above, below, h) = (at(HALF_STEP), at(-HALF_STEP), at(0.0));
        let slope = above.iter().zip(&below).map(|(a, b)| (a - b) / (2.0 * HALF_STEP));
        let of_gate = slope.zip(up).map(|(slope, up)| slope * up);
        for (sum, v) in squares.iter_mut().zip(of_gate.chain(h)) {
            *sum += f64::from(v) * f64::from(v);
        }
    }
    let n = seen.len().max(1) as f64;
    squares.into_iter().map(|sum| libm::sqrt(sum / n) as f32).collect()
}

/// The fit with the margin that finds most, of equally good ones the smallest.
fn with_margins(
    mut fit: LowRankFit,
    seen: &[Seen],
    held: &[Seen],
    activation: Activation,
    chosen: usize,
) -> LayerPredictor {
    let predict =
        |list: &[Seen]| -> Vec<Vec<f32>> { list.iter().map(|seen| fit.predict(&seen.x)).collect() };
    let (of_seen, of_held) = (predict(seen), predict(held));
    let pairs = seen.iter().zip(&of_seen).map(|(seen, p)| (&seen.values[..], &p[..]));
    let mut deviations = deviations(pairs);
    deviations.truncate(fit.bias.len() / 2);
    let recall = |margin: f32| -> f64 {
        let of = |(Seen { values, .. }, predicted): (&Seen, &Vec<f32>)| {
            let mut predicted = predicted.clone();
            predicted.iter_mut().zip(&deviations).for_each(|(p, d)| *p += margin * d);
            recall(&magnitudes(values, activation), &magnitudes(&predicted, activation), chosen)
        };
        let all: Vec<f64> = held.iter().zip(&of_held).filter_map(of).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    };
    let zeros = matches!(activation, Activation::Relu | Activation::Relu2);
    let tried = if zeros { &MARGINS[..] } else { &MARGINS[..1] };
    let mut best = (0.0, f64::NEG_INFINITY);
    for &margin in tried {
        let found = recall(margin);
        if found > best.1 {
            best = (margin, found);
        }
    }
    fit.bias.iter_mut().zip(&deviations).for_each(|(bias, d)| *bias += best.0 * d);
    LayerPredictor { fit, recall: best.1 }
}

/// The share of the `k` largest values, of those that are not 0, that is among the `k` with the
/// largest scores; `None` where all are 0.
fn recall(values: &[f32], scores: &[f32], k: usize) -> Option<f64> {
    let some = |of: &[f32]| -> Vec<u32> {
        largest(of, k).into_iter().filter(|&i| of[i as usize] > 0.0).collect()
    };
    let mut chosen = vec![false; values.len()];
    some(scores).into_iter().for_each(|i| chosen[i as usize] = true);
    let wanted = some(values);
    let found = wanted.iter().filter(|&&i| chosen[i as usize]).count();
    (!wanted.is_empty()).then(|| found as f64 / wanted.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::recall;

    #[test]
    fn recall_counts_what_adds_anything() {
        let values = [0.1, 5.0, 0.0, 3.0, 4.0];
        assert_eq!(recall(&values, &values, 5), Some(1.0));
        assert_eq!(recall(&values, &[0.0, 1.0, 2.0, 3.0, 0.0], 2), Some(0.0));
        assert_eq!(recall(&values, &[0.0, 1.0, 2.0, 3.0, 0.0], 3), Some(2.0 / 3.0));
        // Nothing is found where nothing is predicted.
        assert_eq!(recall(&values, &[0.0; 5], 4), Some(0.0));
        assert_eq!(recall(&[0.0; 5], &values, 2), None);
    }
}
