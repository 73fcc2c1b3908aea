//! Thresholds on the gate's magnitude, from histograms.

use super::predictor::magnitudes;
use super::{Neurons, Predicted, Predictor, PredictorInput, SparseScratch};
use crate::kernel::Backend;
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
    ) -> Result<Predicted, LinearError> {
        magnitudes(block, None, input.lane, input, scratch)
    }
}
