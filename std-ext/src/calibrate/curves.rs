//! What sparsity costs and saves: recall, error, loss and time over the share of the neurons.

use crate::eval::{Loss, document_loss};
use crate::memory::{Integers, SparseMemory};
use std::time::Instant;
use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, FeedForwardMode, ModelError, Weights};
use trilane_core::nn::SparseReads;

/// Inputs of each layer on which recall and error are measured.
const INPUTS: usize = 256;

/// What a mode comes to.
#[derive(Clone, Copy, Debug)]
pub struct ModeReport {
    /// Share of the neurons computed.
    pub neurons: f64,
    /// Share of the dense blocks' bytes read, those of the prediction included.
    pub bytes: f64,
    /// Of the `k` neurons that add most to a block's output, `|h|·importance`, the share that was
    /// computed, with `k` the neurons computed in that block; the mean over blocks and inputs.
    pub recall: f64,
    /// `‖y − y'‖ / ‖y'‖` over all blocks and inputs, `y'` computed with every neuron.
    pub error: f64,
    /// The loss.
    pub loss: Loss,
    /// Tokens a second, the whole model.
    pub tokens_per_second: f64,
}

/// Inputs of every feed-forward block, in the dense model.
#[derive(Debug)]
pub struct Inputs {
    layers: Vec<Vec<f32>>,
}

impl Inputs {
    /// Records the inputs of the first tokens.
    ///
    /// # Errors
    /// What [`Decoder::forward`] returns.
    pub fn record<B: Backend>(
        decoder: &mut Decoder<'_, '_, B>,
        pool: &dyn Pool,
        lane: PrecisionLane,
        documents: &[Vec<u32>],
    ) -> Result<Self, ModelError> {
        decoder.set_feed_forward(FeedForwardMode::DENSE)?;
        let mut layers = vec![Vec::new(); decoder.weights().header().layers];
        let mut left = INPUTS;
        for document in documents {
            decoder.truncate(0);
            for &token in document.iter().take(decoder.capacity().min(left)) {
                decoder.forward_recorded(pool, token, lane, &mut |layer, input, _| {
                    if let Some(kept) = layers.get_mut(layer) {
                        kept.extend_from_slice(input);
                    }
                })?;
                left -= 1;
            }
        }
        decoder.truncate(0);
        Ok(Self { layers })
    }
}

/// Measures a mode: recall and error on the inputs, loss and time on the documents.
///
/// # Errors
/// What [`Decoder::set_feed_forward`] and [`Decoder::forward`] return.
pub fn measure<B: Backend>(
    decoder: &mut Decoder<'_, '_, B>,
    pool: &dyn Pool,
    lane: PrecisionLane,
    mode: FeedForwardMode,
    inputs: &Inputs,
    documents: &[Vec<u32>],
) -> Result<ModeReport, ModelError> {
    let weights = *decoder.weights();
    let quality = quality(&weights, decoder.backend(), pool, lane, mode, inputs)?;
    decoder.set_feed_forward(mode)?;
    let before = decoder.feed_forward_reads();
    let (mut loss, start) = (Loss::default(), Instant::now());
    for document in documents {
        let of = document_loss(decoder, pool, lane, document, &mut |_| {})?;
        loss.sum += of.sum;
        loss.tokens += of.tokens;
    }
    let seconds = start.elapsed().as_secs_f64();
    let after = decoder.feed_forward_reads();
    let computed = |reads: &SparseReads| reads.computed.iter().sum::<usize>();
    let ratio = |part: usize, of: usize| part as f64 / of.max(1) as f64;
    Ok(ModeReport {
        neurons: ratio(computed(&after) - computed(&before), after.neurons - before.neurons),
        bytes: ratio(after.bytes - before.bytes, after.dense_bytes - before.dense_bytes),
        recall: quality.recall / quality.recalls.max(1) as f64,
        error: libm::sqrt(quality.difference / quality.square.max(f64::MIN_POSITIVE)),
        loss,
        tokens_per_second: loss.tokens as f64 / seconds.max(1e-9),
    })
}

/// Sums over blocks and inputs.
#[derive(Clone, Copy, Debug, Default)]
struct Quality {
    recall: f64,
    recalls: usize,
    difference: f64,
    square: f64,
}

fn quality<B: Backend>(
    weights: &Weights<'_, '_>,
    backend: B,
    pool: &dyn Pool,
    lane: PrecisionLane,
    mode: FeedForwardMode,
    inputs: &Inputs,
) -> Result<Quality, ModelError> {
    let header = weights.header();
    let mut integers = Integers::new(header.dim);
    let mut memory = SparseMemory::new(header.hidden);
    let mut quality = Quality::default();
    let mut dense = vec![0.0; header.dim];
    let mut sparse = vec![0.0; header.dim];
    for (layer, inputs) in inputs.layers.iter().enumerate() {
        let Some(block) = weights.sparse_layer(layer) else { continue };
        for x in inputs.chunks_exact(header.dim.max(1)) {
            let mut forward = |mode, memory: &mut SparseMemory, y: &mut [f32]| {
                let (mut x_buf, mut scratch) = (integers.buf(), memory.scratch());
                block.forward(backend, pool, lane, mode, x, &mut x_buf, &mut scratch, y)
            };
            forward(FeedForwardMode::DENSE, &mut memory, &mut dense)?;
            let mut added: Vec<f32> = memory.first.iter().map(|h| h.abs()).collect();
            added.iter_mut().zip(block.importance()).for_each(|(h, norm)| *h *= norm);
            let reads = forward(mode, &mut memory, &mut sparse)?;
            let chosen = reads.computed.iter().sum::<usize>();
            let rows = memory.rows.get(..chosen).unwrap_or(&[]);
            if let Some(recall) = recall(&added, rows) {
                quality.recall += recall;
                quality.recalls += 1;
            }
            for (&y, &sparse) in dense.iter().zip(&sparse) {
                let (y, difference) = (f64::from(y), f64::from(y) - f64::from(sparse));
                quality.difference += difference * difference;
                quality.square += y * y;
            }
        }
    }
    Ok(quality)
}

/// The share of the neurons that add most that are among `rows`, as many as there are rows; `None`
/// where nothing was computed.
fn recall(added: &[f32], rows: &[u32]) -> Option<f64> {
    let k = rows.len();
    let mut most = vec![false; added.len()];
    largest(added, k).into_iter().for_each(|i| most[i as usize] = true);
    let found = rows.iter().filter(|&&row| most[row as usize]).count();
    (k > 0).then(|| found as f64 / k as f64)
}

/// Where the `k` largest values are, of equal ones the first.
pub(super) fn largest(values: &[f32], k: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    if 0 < k && k < order.len() {
        order.select_nth_unstable_by(k, |&a, &b| {
            values[b as usize].total_cmp(&values[a as usize]).then(a.cmp(&b))
        });
    }
    order.truncate(k);
    order
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::recall;

    #[test]
    fn recall_counts_those_that_add_most() {
        let added = [0.1, 5.0, 0.0, 3.0, 4.0];
        assert_eq!(recall(&added, &[]), None);
        assert_eq!(recall(&added, &[1]), Some(1.0));
        assert_eq!(recall(&added, &[0, 2]), Some(0.0));
        assert_eq!(recall(&added, &[3, 1]), Some(0.5));
        assert_eq!(recall(&added, &[0, 1, 2, 3, 4]), Some(1.0));
    }
}
