//! Thresholds on the gate's magnitude, from histograms.

use super::predictor::{Known, Predictor, PredictorInput, magnitudes};
use super::{Neurons, SparseScratch};
use crate::kernel::Backend;
use crate::lane::PrecisionLane;
use crate::nn::LinearError;

/// The gate as the block computes it: `|act(g)|`, which a threshold cuts (CATS, Lee et al. 2024).
///
/// What a neuron's row of `down` adds is left out of the prediction, so that one threshold holds for
/// a whole layer and nothing has to be sorted. The thresholds are quantiles of the magnitudes that
/// a calibration has seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Magnitude<'w> {
    /// The magnitude that a share `i / (len − 1)` of all neurons reach, for each `i`: descending,
    /// finite, at least two.
    pub quantiles: &'w [f32],
}

impl Magnitude<'_> {
    /// The threshold that a share of the neurons (0 to 1) reached in the calibration, between two
    /// quantiles on the straight line. Ordered.
    pub fn threshold(&self, share: f32) -> f32 {
        let last = self.quantiles.len().saturating_sub(1);
        let at = share.clamp(0.0, 1.0) * last as f32;
        let i = (at as usize).min(last);
        let quantile = |i: usize| self.quantiles.get(i).copied().unwrap_or(0.0);
        let (upper, lower) = (quantile(i), quantile((i + 1).min(last)));
        upper - (upper - lower) * (at - i as f32)
    }
}

impl<B: Backend> Predictor<B> for Magnitude<'_> {
    fn predict(
        &self,
        block: &Neurons<'_>,
        input: PredictorInput<'_, B>,
        scratch: &mut SparseScratch<'_>,
    ) -> Result<Known, LinearError> {
        let lane = block.gate.read_at(input.lane);
        magnitudes(block, None, lane, input, scratch)?;
        Ok(Known::Gate(lane))
    }

    fn bytes(&self, block: &Neurons<'_>, lane: PrecisionLane) -> Result<usize, LinearError> {
        block.gate.bytes(lane)
    }
}
