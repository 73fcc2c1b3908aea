//! Every parameter in its turn.

use super::{Codec, Exchange, MOST_PARAMETERS, check_count, check_decode, check_encode};
use crate::error::ArgumentError;

/// Step s sends the exact values of the parameters `i ≡ s (mod period)`: all workers agree on them
/// without a word, so they merge, and no parameter waits longer than a period.
///
/// A baseline that no codec which looks for the largest values should lose to, and what is left over
/// for tensors that others cannot compress. Exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundRobin {
    parameters: usize,
    period: usize,
    step: u64,
}

impl RoundRobin {
    /// One of `period` of n parameters a step.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for no parameters or more than [`MOST_PARAMETERS`], or a period that is
    /// not in 1..=n.
    pub fn new(parameters: usize, period: usize) -> Result<Self, ArgumentError> {
        check_count("parameters", parameters, 1, MOST_PARAMETERS)?;
        check_count("period", period, 1, parameters)?;
        Ok(Self { parameters, period, step: 0 })
    }

    const fn first(&self) -> usize {
        (self.step % self.period as u64) as usize
    }
}

impl Codec for RoundRobin {
    fn parameters(&self) -> usize {
        self.parameters
    }

    fn message_words(&self, round: usize) -> usize {
        if round == 0 { self.parameters.div_ceil(self.period) } else { 0 }
    }

    fn exchange(&self) -> Exchange {
        Exchange::AllReduce
    }

    fn start(&mut self, step: u64) {
        self.step = step;
    }

    fn encode(&self, round: usize, x: &[f32], message: &mut [u32]) -> Result<(), ArgumentError> {
        check_encode(self, round, x, message)?;
        // The last turn may come to one less.
        message.fill(0);
        for (word, x) in message.iter_mut().zip(x.iter().skip(self.first()).step_by(self.period)) {
            *word = x.to_bits();
        }
        Ok(())
    }

    fn add_decoded(
        &self,
        message: &[u32],
        factor: f32,
        x: &mut [f32],
    ) -> Result<(), ArgumentError> {
        check_decode(self, message, message.len(), factor, x)?;
        for (word, x) in message.iter().zip(x.iter_mut().skip(self.first()).step_by(self.period)) {
            *x += factor * f32::from_bits(*word);
        }
        Ok(())
    }
}
