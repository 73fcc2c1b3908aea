//! The plain one-phase sketch.

use super::check_factor;
use super::sign_hash::SignHashes;
use crate::activations::over;
use crate::buffer::Buffer;
use crate::error::{CudaError, same_len};
use crate::kernels::SKETCH;
use crate::stream::{Stream, launch};
use crate::train::Check;
use trilane_core::train::compress::{self, Codec, LARGEST, Reading};

/// Signed sums of values, in as many buckets as the message has words: [`compress::LinearSketch`] on
/// a device. Ordered: a bucket takes its values in their order, so buckets are what is done side by
/// side; a sketch of few of them leaves most of a device idle.
#[derive(Debug)]
pub struct LinearSketch {
    codec: compress::LinearSketch,
    hash: SignHashes,
    check: Check,
}

impl LinearSketch {
    /// The codec of the host, at the step that it is at.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn new(stream: &Stream, codec: compress::LinearSketch) -> Result<Self, CudaError> {
        let hash = SignHashes::new(stream, codec.parameters(), codec.message_words(0), 1)?;
        let mut sketch = Self { codec, hash, check: Check::new(stream)? };
        sketch.hash.draw(stream, 0, codec.key())?;
        Ok(sketch)
    }

    /// Begins a step: what goes where depends on its number.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn start(&mut self, stream: &Stream, step: u64) -> Result<(), CudaError> {
        self.codec.start(step);
        self.hash.draw(stream, 0, self.codec.key())
    }

    /// Writes the message of `x`. Waits for the queue. Shapes: `x` n, `message` the width.
    ///
    /// # Errors
    /// [`CudaError::Shape`]; [`CudaError::Argument`] for a value that is not finite or above
    /// [`LARGEST`].
    pub fn encode(
        &mut self,
        stream: &Stream,
        x: &Buffer<f32>,
        message: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        same_len(self.codec.parameters(), x.len())?;
        same_len(self.codec.message_words(0), message.len())?;
        self.check.magnitudes(stream, x, None, LARGEST)?;
        self.hash.sketch(stream, x, message)
    }

    /// `x += factor · decode(message)`; with −1 what a worker sent comes off its residual. Waits for
    /// the queue.
    ///
    /// # Errors
    /// [`CudaError::Shape`]; [`CudaError::Argument`] for a factor above [`LARGEST`] or a message with
    /// a number that is not finite; `x` then stays as it was.
    pub fn add_decoded(
        &mut self,
        stream: &Stream,
        message: &Buffer<f32>,
        factor: f32,
        x: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        same_len(self.codec.parameters(), x.len())?;
        same_len(self.codec.message_words(0), message.len())?;
        check_factor(factor)?;
        self.check.magnitudes(stream, message, None, f32::MAX)?;
        let projection = i32::from(self.codec.reading() == Reading::Projection);
        let (raw, shape) = (self.hash.raw(0)?, over(x.len(), 1)?);
        let (message, x) = (message.address(), x.address());
        // SAFETY: the sizes were checked above.
        unsafe { launch!(stream, &SKETCH, "unsketch", shape; raw, message, factor, projection, x) }
    }
}
