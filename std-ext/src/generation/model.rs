//! What computes the tokens of a text.

use super::GenerationError;
use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::Lanes;
use trilane_core::model::Decoder;

/// What takes tokens and gives the logits of the next: the decoder of the core, or one on a device.
pub trait LanguageModel {
    /// Tokens that it has room for.
    fn capacity(&self) -> usize;

    /// Tokens that it holds.
    fn position(&self) -> usize;

    /// Forgets the tokens from `len` on.
    fn truncate(&mut self, len: usize);

    /// Takes one token and gives the logits of the next. A model that has its own threads does
    /// without the pool.
    ///
    /// # Errors
    /// [`GenerationError::Model`] or [`GenerationError::Device`]; what it holds is then as before.
    fn next_logits(
        &mut self,
        pool: &dyn Pool,
        token: u32,
        lanes: Lanes<'_>,
    ) -> Result<&mut [f32], GenerationError>;
}

impl<B: Backend> LanguageModel for Decoder<'_, '_, B> {
    fn capacity(&self) -> usize {
        Decoder::capacity(self)
    }

    fn position(&self) -> usize {
        Decoder::position(self)
    }

    fn truncate(&mut self, len: usize) {
        Decoder::truncate(self, len);
    }

    fn next_logits(
        &mut self,
        pool: &dyn Pool,
        token: u32,
        lanes: Lanes<'_>,
    ) -> Result<&mut [f32], GenerationError> {
        Ok(self.forward(pool, token, lanes)?)
    }
}
