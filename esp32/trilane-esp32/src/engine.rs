//! The decoder at its lowest lane.

use crate::Error;
use crate::backend::{BACKEND, Tables};
use trilane_core::gguf::Gguf;
use trilane_core::kernel::Serial;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, Digest, Header, Layer, Line, Weights, verify};

/// A decoder in firmware: a token in, logits out, at one lane.
#[derive(Debug)]
pub struct Engine<'a, 'm> {
    decoder: Decoder<'a, 'm, Tables>,
    lane: PrecisionLane,
}

impl<'a, 'm> Engine<'a, 'm> {
    /// Checks the model and prepares for a sequence of up to `context` tokens, at the lowest lane
    /// that the model has.
    ///
    /// `layers` and `arena` are as long as [`Model::layers`](crate::Model::layers) and
    /// [`Model::arena_lines`](crate::Model::arena_lines) say, or longer.
    ///
    /// # Errors
    /// [`Error::File`] for bytes that are not a GGUF file, [`Error::Model`] for a model that does
    /// not fit, does not run, or has a tensor at a lane that this build does not compute.
    pub fn init(
        model: &'m [u8],
        context: usize,
        layers: &'a mut [Layer<'m>],
        arena: &'a mut [Line],
    ) -> Result<Self, Error> {
        let file = Gguf::parse(model)?;
        let weights = Weights::load(&file, layers)?;
        let lane = lowest(&weights);
        weights.check_computable(BACKEND, lane)?;
        let decoder = Decoder::new(weights, BACKEND, context, arena)?;
        Ok(Self { decoder, lane })
    }

    /// Takes one token and gives the logits of the next. Exact and Ordered, as
    /// [`Decoder::forward`].
    ///
    /// # Errors
    /// [`Error::Model`] for a token outside the vocabulary, a full context, or values that are not
    /// finite; the sequence is then as before the call.
    pub fn step(&mut self, token: u32) -> Result<&mut [f32], Error> {
        Ok(self.decoder.forward(&Serial, token, self.lane)?)
    }

    /// Forgets the sequence.
    pub fn reset(&mut self) {
        self.decoder.truncate(0);
    }

    /// The digest of a fixed run, the same on every platform; see [`verify`]. Forgets the sequence.
    /// `layer_digests` has room for one digest more than the model has layers.
    ///
    /// # Errors
    /// [`Error::Model`] as for [`step`](Self::step), or when `layer_digests` is too short.
    pub fn digest(&mut self, layer_digests: &mut [Digest]) -> Result<Digest, Error> {
        Ok(verify(&mut self.decoder, &Serial, self.lane, layer_digests)?)
    }

    /// The numbers of the model.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.decoder.weights().header()
    }

    /// The lane that weights are read at.
    #[must_use]
    pub fn lane(&self) -> PrecisionLane {
        self.lane
    }

    /// Tokens taken.
    #[must_use]
    pub fn position(&self) -> usize {
        self.decoder.position()
    }

    /// Tokens that there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.decoder.capacity()
    }

    /// Changes the lane from the next step on.
    ///
    /// # Errors
    /// [`Error::Model`] when the model is not stored at that lane; the lane is then as before.
    #[cfg(feature = "lanes")]
    pub fn set_lane(&mut self, lane: PrecisionLane) -> Result<(), Error> {
        self.decoder.weights().check_computable(BACKEND, lane)?;
        self.lane = lane;
        Ok(())
    }
}

/// The lowest lane that some tensor is read at.
fn lowest(weights: &Weights<'_, '_>) -> PrecisionLane {
    let lanes = weights.linears().map(|(_, linear)| linear.lane(PrecisionLane::Ternary));
    lanes.min().unwrap_or(PrecisionLane::Ternary)
}
