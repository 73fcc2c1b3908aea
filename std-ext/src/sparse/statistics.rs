//! What an engine has computed so far.

use super::Method;
use trilane_core::nn::SparseReads;

/// What the inferences of an engine have computed and read, since it was made or calibrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparsityStatistics {
    /// Inferences so far.
    pub inferences: u64,
    /// Neurons of the layer.
    pub neurons: usize,
    /// Share of the neurons that were computed, on average; 0 before the first inference.
    pub average_active_ratio: f64,
    /// Neurons computed in the inference that computed the fewest.
    pub min_active: usize,
    /// Neurons computed in the inference that computed the most.
    pub max_active: usize,
    /// Bytes of weights read, those of the predictions included.
    pub bytes_read: u64,
    /// Bytes of weights that computing every neuron would have read.
    pub dense_bytes: u64,
    /// How the engine computes.
    pub method: Method,
    /// Share of the truly active neurons that were computed, measured at the last calibration on
    /// samples that nothing was fitted to; `None` before. What is missed later cannot be known
    /// without computing it.
    pub recall: Option<f64>,
}

/// Running sums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    inferences: u64,
    computed: u64,
    min: usize,
    max: usize,
    read: u64,
    dense: u64,
}

impl Counters {
    pub(super) fn add(&mut self, reads: SparseReads) {
        let computed = reads.computed.iter().sum();
        self.min = if self.inferences == 0 { computed } else { self.min.min(computed) };
        self.max = self.max.max(computed);
        self.inferences += 1;
        self.computed += computed as u64;
        self.read += reads.bytes as u64;
        self.dense += reads.dense_bytes as u64;
    }

    pub(super) fn statistics(
        &self,
        neurons: usize,
        method: Method,
        recall: Option<f64>,
    ) -> SparsityStatistics {
        let all = self.inferences as f64 * neurons as f64;
        SparsityStatistics {
            inferences: self.inferences,
            neurons,
            average_active_ratio: if all > 0.0 { self.computed as f64 / all } else { 0.0 },
            min_active: self.min,
            max_active: self.max,
            bytes_read: self.read,
            dense_bytes: self.dense,
            method,
            recall,
        }
    }
}
