//! Gradients as short messages, with error feedback.

use super::Check;
use crate::activations::{add, over};
use crate::buffer::Buffer;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::TRAIN;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::{self, Codec, LARGEST, Reading};

/// `residual += gradient`, as [`compress::feed`]. Waits for the queue. Ordered.
///
/// # Errors
/// [`CudaError::Shape`] for different lengths; [`CudaError::Argument`] when a sum is not finite or
/// above [`LARGEST`]. The residual then stays as it was.
pub fn feed(
    stream: &Stream,
    check: &mut Check,
    gradient: &Buffer<f32>,
    residual: &mut Buffer<f32>,
) -> Result<(), CudaError> {
    same_len(residual.len(), gradient.len())?;
    check.magnitudes(stream, gradient, Some(&*residual), LARGEST)?;
    add(stream, residual, gradient)
}

/// As the kernels take a hash.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawSignHash {
    turns: u64,
    signs: u64,
    n: i32,
    width: i32,
}

/// Signed sums of values, in as many buckets as the message has words: [`compress::LinearSketch`] on
/// a device. Ordered: a bucket takes its values in their order, so buckets are what is done side by
/// side; a sketch of few of them leaves most of a device idle.
///
/// The signs and turns of a step are written once when it [starts](Self::start), an eighth of a byte
/// for each value and four for each `width` of them, and read by every message of the step.
#[derive(Debug)]
pub struct LinearSketch {
    codec: compress::LinearSketch,
    turns: Buffer<u32>,
    signs: Buffer<u64>,
    check: Check,
}

impl LinearSketch {
    /// The codec of the host, at the step that it is at.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn new(stream: &Stream, codec: compress::LinearSketch) -> Result<Self, CudaError> {
        let (n, width) = (codec.parameters(), codec.message_words(0));
        let mut sketch = Self {
            codec,
            // The rest of the values, none maybe, is a chunk of its own.
            turns: Buffer::zeros(stream, n / width + 1)?,
            signs: Buffer::zeros(stream, n.div_ceil(width) * width.div_ceil(64))?,
            check: Check::new(stream)?,
        };
        sketch.hash(stream)?;
        Ok(sketch)
    }

    /// Begins a step: what goes where depends on its number.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn start(&mut self, stream: &Stream, step: u64) -> Result<(), CudaError> {
        self.codec.start(step);
        self.hash(stream)
    }

    fn hash(&mut self, stream: &Stream) -> Result<(), CudaError> {
        let (turns, signs) = (counted("chunks", self.turns.len())?, self.signs.len() as u64);
        let shape = over(self.turns.len().max(self.signs.len()), 1)?;
        let (key, raw) = (self.codec.key(), self.raw()?);
        // SAFETY: there is room for as many.
        unsafe { launch!(stream, &TRAIN, "sign_hash", shape; key, raw, turns, signs) }
    }

    fn raw(&self) -> Result<RawSignHash, CudaError> {
        Ok(RawSignHash {
            turns: self.turns.address(),
            signs: self.signs.address(),
            n: counted("parameters", self.codec.parameters())?,
            width: counted("buckets", self.codec.message_words(0))?,
        })
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
        let (raw, shape) = (self.raw()?, over(message.len(), 1)?);
        let (x, message) = (x.address(), message.address());
        // SAFETY: the sizes were checked above.
        unsafe { launch!(stream, &TRAIN, "sketch", shape; raw, x, message) }
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
        if !(-LARGEST..=LARGEST).contains(&factor) {
            let (least, greatest) = (-LARGEST, LARGEST);
            let refused =
                ArgumentError::Parameter { name: "factor", least, greatest, actual: factor };
            return Err(refused.into());
        }
        self.check.magnitudes(stream, message, None, f32::MAX)?;
        let projection = i32::from(self.codec.reading() == Reading::Projection);
        let (raw, shape) = (self.raw()?, over(x.len(), 1)?);
        let (message, x) = (message.address(), x.address());
        // SAFETY: the sizes were checked above.
        unsafe { launch!(stream, &TRAIN, "unsketch", shape; raw, message, factor, projection, x) }
    }
}
