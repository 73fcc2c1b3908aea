//! Nothing left out.

use super::{Codec, Exchange, MOST_PARAMETERS, check_count, check_decode, check_encode};
use crate::error::ArgumentError;

/// The values as they are: for tensors too small to compress, and to compare with. Exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    parameters: usize,
}

impl Dense {
    /// For vectors of that many values.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for none or more than [`MOST_PARAMETERS`].
    pub fn new(parameters: usize) -> Result<Self, ArgumentError> {
        check_count("parameters", parameters, 1, MOST_PARAMETERS)?;
        Ok(Self { parameters })
    }
}

impl Codec for Dense {
    fn parameters(&self) -> usize {
        self.parameters
    }

    fn message_words(&self, round: usize) -> usize {
        if round == 0 { self.parameters } else { 0 }
    }

    fn exchange(&self) -> Exchange {
        Exchange::AllReduce
    }

    fn encode(&self, round: usize, x: &[f32], message: &mut [u32]) -> Result<(), ArgumentError> {
        check_encode(self, round, x, message)?;
        message.copy_from_slice(bytemuck::cast_slice(x));
        Ok(())
    }

    fn add_decoded(
        &self,
        message: &[u32],
        factor: f32,
        x: &mut [f32],
    ) -> Result<(), ArgumentError> {
        check_decode(self, message, message.len(), factor, x)?;
        for (x, word) in x.iter_mut().zip(message) {
            *x += factor * f32::from_bits(*word);
        }
        Ok(())
    }
}
