//! What the processor computes of sparse feed-forward blocks.

use trilane_core::kernel::{Backend, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{LinearError, Neurons, Predictor, SparseScratch, SparsityConfig};
use trilane_core::quant::{ActivationsBuf, activation_lens};

/// The output of a block for a vector, and the neurons computed at each lane.
///
/// # Errors
/// Those of [`Neurons::forward`].
pub fn sparse_block<B: Backend>(
    block: &Neurons<'_>,
    backend: B,
    lane: PrecisionLane,
    predictor: &dyn Predictor<B>,
    config: SparsityConfig,
    x: &[f32],
) -> Result<(Vec<f32>, [usize; 3]), LinearError> {
    let (q, multipliers, sums) = activation_lens(x.len());
    let (mut q, mut multipliers, mut sums) = (vec![0; q], vec![0; multipliers], vec![0; sums]);
    let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
    let n = block.hidden();
    let mut scratch = SparseScratch {
        scores: &mut vec![0.0; n],
        first: &mut vec![0.0; n],
        second: &mut vec![0.0; n],
        gate_sums: &mut vec![0; n],
        up_sums: &mut vec![0; n],
        rows: &mut vec![0; n],
        q: &mut vec![0; n],
    };
    let mut y = vec![0.0; block.outputs()];
    let (buf, scratch) = (&mut buf, &mut scratch);
    let reads =
        block.forward(backend, &Serial, lane, predictor, config, x, buf, scratch, &mut y)?;
    Ok((y, reads.computed))
}
