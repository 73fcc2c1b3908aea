//! Workers that share a step, each with a residual of its own.

use super::TensorCodec;
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::{Exchange, feed, merge, settle};

/// What data-parallel workers do with their gradients, in one process: the codec, which all of them
/// know alike, and what each has not sent yet.
pub struct Workers {
    codec: TensorCodec,
    residuals: Vec<Vec<f32>>,
}

impl Workers {
    /// So many workers with empty residuals.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for none, or more than 65,536.
    pub fn new(codec: TensorCodec, workers: usize) -> Result<Self, ArgumentError> {
        let (least, greatest, actual) = (1, 1 << 16, workers as i64);
        if !(least..=greatest).contains(&actual) {
            return Err(ArgumentError::Count { name: "workers", least, greatest, actual });
        }
        let residuals = vec![vec![0.0; codec.parameters()]; workers];
        Ok(Self { codec, residuals })
    }

    /// The codec.
    pub fn codec(&self) -> &TensorCodec {
        &self.codec
    }

    /// What each worker has not sent yet. A worker that computes its next gradient where this would take
    /// it trains with long delays as without
    /// ([`step_ahead`](trilane_core::train::compress::step_ahead)).
    pub fn residuals(&self) -> &[Vec<f32>] {
        &self.residuals
    }

    /// The same, to restore.
    pub fn residuals_mut(&mut self) -> &mut [Vec<f32>] {
        &mut self.residuals
    }

    /// A step: every worker's gradient goes into its residual, messages travel, and `update` gets their
    /// sum as far as it was sent, what earlier steps left included. Ordered; workers in their order.
    ///
    /// Shapes: a gradient for each worker, all as long as `update`.
    ///
    /// # Errors
    /// [`ArgumentError::Length`], [`ArgumentError::NotFinite`], [`ArgumentError::Parameter`] for a value
    /// too large.
    pub fn exchange(
        &mut self,
        step: u64,
        gradients: &[Vec<f32>],
        update: &mut [f32],
    ) -> Result<(), ArgumentError> {
        let Self { codec, residuals } = self;
        let (expected, actual) = (residuals.len(), gradients.len());
        if expected != actual {
            return Err(ArgumentError::Length { expected, actual });
        }
        for (gradient, residual) in gradients.iter().zip(residuals.iter_mut()) {
            feed(gradient, residual)?;
        }
        update.fill(0.0);
        codec.start(step);
        let all_reduce = codec.exchange() == Exchange::AllReduce;
        let mut messages = Vec::new();
        let mut total = Vec::new();
        for round in 0..codec.rounds() {
            let empty = vec![0; codec.message_words(round)];
            total.clone_from(&empty);
            messages = vec![empty; residuals.len()];
            for (residual, message) in residuals.iter().zip(&mut messages) {
                codec.encode(round, residual, message)?;
                if all_reduce {
                    merge(&mut total, message)?;
                }
            }
            if all_reduce {
                codec.absorb(round, &total)?;
            }
        }
        if all_reduce {
            codec.add_decoded(&total, 1.0, update)?;
        }
        for (message, residual) in messages.iter().zip(residuals) {
            if !all_reduce {
                codec.add_decoded(message, 1.0, update)?;
            }
            settle(codec.as_ref(), message, residual)?;
        }
        Ok(())
    }
}
