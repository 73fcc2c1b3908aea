//! How large the gate's values are: the thresholds that leave a share of the neurons.

use super::LayerActivity;
use crate::memory::Integers;
use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{ModelError, QUANTILES, Weights};
use trilane_core::nn::Input;

/// Tokens whose gates are computed; of more, evenly spaced ones.
const TOKENS: usize = 512;

/// Quantiles of `|act(g)|` of a layer over its recorded inputs: the magnitude that a share
/// `i / (QUANTILES − 1)` of all neurons reach, for each `i`. Descending; empty for a layer that has
/// no gate or was not recorded. Ordered.
///
/// # Errors
/// What [`Linear::matvec`](trilane_core::nn::Linear::matvec) returns.
pub fn magnitudes<B: Backend>(
    weights: &Weights<'_, '_>,
    layer: usize,
    activity: &LayerActivity,
    backend: B,
    pool: &dyn Pool,
    lane: PrecisionLane,
) -> Result<Vec<f32>, ModelError> {
    let header = weights.header();
    let mut layer = weights.linears().filter(|(name, _)| name.layer == Some(layer));
    let Some((_, gate)) = layer.find(|(name, _)| name.part == "ffn_gate") else {
        return Ok(Vec::new());
    };
    let mut integers = Integers::new(header.dim);
    let mut buf = integers.buf();
    let mut hidden = vec![0.0; header.hidden];
    let mut all = Vec::new();
    let every = (activity.inputs.len() / header.dim.max(1)).div_ceil(TOKENS).max(1);
    for x in activity.inputs.chunks_exact(header.dim.max(1)).step_by(every) {
        let input = Input::new(backend, x, &mut buf, &[gate])?;
        gate.matvec(backend, pool, lane, &input, &mut hidden)?;
        header.activation.apply(backend, &mut hidden);
        all.extend(hidden.iter().map(|h| h.abs()));
    }
    all.sort_unstable_by(|a, b| b.total_cmp(a));
    let Some(last) = all.len().checked_sub(1) else { return Ok(Vec::new()) };
    Ok((0..QUANTILES).map(|i| all[last * i / (QUANTILES - 1)]).collect())
}
