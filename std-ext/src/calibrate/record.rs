//! What the feed-forward blocks of a model see and do on a text.

use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, ModelError, Weights};

/// Tokens whose activations are kept for fitting; of more, evenly spaced ones.
const KEPT: usize = 8192;

/// Share of the neurons that count as active in a token when neurons are ordered.
const ACTIVE: f64 = 0.1;

/// What one layer has shown.
#[derive(Clone, Debug, Default)]
pub struct LayerActivity {
    /// Norm of each neuron's column of the second matrix.
    pub importance: Vec<f32>,
    /// Tokens in which each neuron was among the tenth that added most.
    pub active: Vec<u32>,
    /// `Σ |h|·importance` of each neuron.
    pub contribution: Vec<f64>,
    /// Inputs of the kept tokens, dim values each.
    pub inputs: Vec<f32>,
}

impl LayerActivity {
    /// What a neuron's row of up is multiplied by, and its column of the second matrix divided by,
    /// when a model is rewritten: the norm of the latter, which moves to where a prediction reads it
    /// without reading more.
    pub(super) fn norm(&self, neuron: usize) -> f32 {
        self.importance.get(neuron).copied().filter(|&norm| norm > 0.0).unwrap_or(1.0)
    }

    /// The neurons from hot to cold: by how often they were active, then by what they added in all,
    /// then by their position.
    pub fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.active.len() as u32).collect();
        let key = |i: u32| (self.active[i as usize], self.contribution[i as usize]);
        order.sort_by(|&a, &b| {
            let ((active_a, sum_a), (active_b, sum_b)) = (key(a), key(b));
            active_b.cmp(&active_a).then(sum_b.total_cmp(&sum_a)).then(a.cmp(&b))
        });
        order
    }
}

/// What a whole model has shown.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// Layer by layer.
    pub layers: Vec<LayerActivity>,
    /// Tokens read.
    pub tokens: usize,
}

/// Runs the dense model over documents at its lane and records every feed-forward block.
///
/// `progress` is called with the number of tokens after each step.
///
/// # Errors
/// What [`Decoder::forward`] returns.
pub fn record<B: Backend>(
    weights: Weights<'_, '_>,
    decoder: &mut Decoder<'_, '_, B>,
    pool: &dyn Pool,
    lane: PrecisionLane,
    documents: &[Vec<u32>],
    progress: &mut dyn FnMut(usize),
) -> Result<Recording, ModelError> {
    let header = *weights.header();
    let mut layers = Vec::with_capacity(header.layers);
    for layer in 0..header.layers {
        layers.push(LayerActivity {
            importance: importance(&weights, layer, lane)?,
            active: vec![0; header.hidden],
            contribution: vec![0.0; header.hidden],
            ..Default::default()
        });
    }
    let total: usize = documents.iter().map(Vec::len).sum();
    let every = total.div_ceil(KEPT).max(1);
    let active = ((header.hidden as f64 * ACTIVE) as usize).max(1);
    let mut tokens = 0;
    let mut sorted: Vec<(u32, u32)> = Vec::new();
    for document in documents {
        decoder.truncate(0);
        for &token in document.iter().take(decoder.capacity()) {
            let keep = tokens % every == 0;
            decoder.forward_recorded(pool, token, lane, &mut |layer, input, hidden| {
                let Some(activity) = layers.get_mut(layer) else { return };
                sorted.clear();
                for (i, (&h, &importance)) in hidden.iter().zip(&activity.importance).enumerate() {
                    let added = (h * importance).abs();
                    activity.contribution[i] += f64::from(added);
                    if added > 0.0 {
                        sorted.push((!added.to_bits(), i as u32));
                    }
                }
                // By descending contribution, then by position.
                if sorted.len() > active {
                    sorted.select_nth_unstable(active);
                }
                for &(_, i) in sorted.iter().take(active) {
                    activity.active[i as usize] += 1;
                }
                if keep {
                    activity.inputs.extend(input);
                }
            })?;
            tokens += 1;
            progress(1);
        }
    }
    decoder.truncate(0);
    Ok(Recording { layers, tokens })
}

/// The norm of each column of a layer's second matrix.
fn importance(
    weights: &Weights<'_, '_>,
    layer: usize,
    lane: PrecisionLane,
) -> Result<Vec<f32>, ModelError> {
    let header = weights.header();
    let mut squares = vec![0.0f64; header.hidden];
    let mut row = vec![0.0; header.hidden];
    let found =
        weights.linears().find(|(name, _)| name.layer == Some(layer) && name.part == "ffn_down");
    if let Some((_, down)) = found {
        for i in 0..down.rows() {
            down.row(lane, i, &mut row)?;
            squares.iter_mut().zip(&row).for_each(|(sum, w)| *sum += f64::from(*w) * f64::from(*w));
        }
    }
    Ok(squares.into_iter().map(|sum| libm::sqrt(sum) as f32).collect())
}
