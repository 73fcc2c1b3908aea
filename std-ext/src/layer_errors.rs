//! How far each lane's layers are from those of the highest lane.

use crate::memory;
use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, ModelError, Weights};

/// The errors of one lane.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneErrors {
    /// The lane.
    pub lane: PrecisionLane,
    /// `‖h − h'‖ / ‖h'‖` of every layer's output, and of the logits at the end, where `h'` is the
    /// highest lane's and the norms run over all tokens.
    pub relative: Vec<f64>,
}

/// Runs the same tokens at every lane that the weights can be read at and compares the output of
/// each layer with that of the highest lane. Lanes are given lowest first, the highest with errors
/// of 0. f64 sums in order.
///
/// # Errors
/// [`ModelError::Memory`], and what [`Decoder::forward`] returns.
pub fn layer_errors<B: Backend>(
    weights: Weights<'_, '_>,
    backend: B,
    pool: &dyn Pool,
    tokens: &[u32],
) -> Result<Vec<LaneErrors>, ModelError> {
    let header = *weights.header();
    let lanes: Vec<PrecisionLane> =
        PrecisionLane::ALL.into_iter().filter(|&l| weights.check_lane(l).is_ok()).collect();
    let Some((&top, lower)) = lanes.split_last() else { return Ok(Vec::new()) };
    let outputs = header.layers + 1;
    let mut runs = Vec::new();
    for &lane in lower {
        runs.push((lane, memory::arena(&header, tokens.len())?, vec![0.0f64; outputs]));
    }
    let mut arena = memory::arena(&header, tokens.len())?;
    let mut reference = Decoder::new(weights, backend, tokens.len(), &mut arena)?;
    let mut decoders = Vec::new();
    for (lane, arena, differences) in &mut runs {
        decoders.push((*lane, Decoder::new(weights, backend, tokens.len(), arena)?, differences));
    }
    let mut squares = vec![0.0f64; outputs];
    let len = header.layers * header.dim + header.vocabulary;
    let error = ModelError::Memory { what: "layer outputs", expected: len, actual: 0 };
    let mut expected = memory::filled("layer outputs", 0.0f32, len).map_err(|_| error)?;
    for &token in tokens {
        let at = |layer: usize| layer * header.dim;
        reference.forward_observed(pool, token, top, &mut |layer, output| {
            let kept = expected.get_mut(at(layer)..).unwrap_or_default();
            kept.iter_mut().zip(output).for_each(|(kept, &v)| *kept = v);
            add_squares(&mut squares, layer, output.iter().map(|&v| f64::from(v)));
        })?;
        for (lane, decoder, differences) in &mut decoders {
            decoder.forward_observed(pool, token, *lane, &mut |layer, output| {
                let kept = expected.get(at(layer)..).unwrap_or_default();
                let errors = output.iter().zip(kept).map(|(&v, &h)| f64::from(v) - f64::from(h));
                add_squares(differences, layer, errors);
            })?;
        }
    }
    let relative = |differences: &[f64]| {
        let ratio = |(&d, &s): (&f64, &f64)| if s > 0.0 { libm::sqrt(d / s) } else { 0.0 };
        differences.iter().zip(&squares).map(ratio).collect()
    };
    let mut errors: Vec<LaneErrors> = decoders
        .iter()
        .map(|(lane, _, differences)| LaneErrors { lane: *lane, relative: relative(differences) })
        .collect();
    errors.push(LaneErrors { lane: top, relative: vec![0.0; outputs] });
    Ok(errors)
}

/// Adds the squares of the values to the sum of a layer.
fn add_squares(sums: &mut [f64], layer: usize, values: impl Iterator<Item = f64>) {
    if let Some(sum) = sums.get_mut(layer) {
        *sum += values.map(|v| v * v).sum::<f64>();
    }
}
