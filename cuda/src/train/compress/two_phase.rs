//! First where, then what: a count sketch, and the exact values of the largest found in it.

use super::check_factor;
use super::select::Select;
use super::sign_hash::SignHashes;
use crate::activations::over;
use crate::buffer::Buffer;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::SKETCH;
use crate::stream::{Stream, launch};
use crate::train::Check;
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::{self, Codec, LARGEST};

/// [`compress::TwoPhase`] on a device: its messages, its candidates. Two bytes for each parameter are
/// kept to select by. Ordered.
#[derive(Debug)]
pub struct TwoPhase {
    /// Its candidates are those of the device's beginning.
    codec: compress::TwoPhase<Vec<u32>>,
    hashes: SignHashes,
    select: Select,
    candidates: Buffer<u32>,
    check: Check,
}

impl TwoPhase {
    /// The codec of the host, at the step that it is at, with its candidates.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn new(stream: &Stream, codec: compress::TwoPhase<Vec<u32>>) -> Result<Self, CudaError> {
        let (n, shape) = (codec.parameters(), codec.shape());
        let mut two = Self {
            hashes: SignHashes::new(stream, n, shape.width, shape.rows)?,
            select: Select::new(stream, n)?,
            candidates: Buffer::from_host(stream, codec.candidates())?,
            check: Check::new(stream)?,
            codec,
        };
        two.draw(stream)?;
        Ok(two)
    }

    /// Begins a step: what goes where depends on its number.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn start(&mut self, stream: &Stream, step: u64) -> Result<(), CudaError> {
        self.codec.start(step);
        self.draw(stream)
    }

    fn draw(&mut self, stream: &Stream) -> Result<(), CudaError> {
        (0..self.codec.shape().rows)
            .try_for_each(|row| self.hashes.draw(stream, row, self.codec.key(row as u64)))
    }

    /// The candidates, ascending.
    pub fn candidates(&self) -> &Buffer<u32> {
        &self.candidates
    }

    /// Writes the message of a round, 0 or 1. Waits for the queue. Shapes: `x` n, `message`
    /// rows·width buckets, or a value for each candidate.
    ///
    /// # Errors
    /// [`CudaError::Shape`]; [`CudaError::Argument`] for a round that there is not, or a value that is
    /// not finite or above [`LARGEST`].
    pub fn encode(
        &mut self,
        stream: &Stream,
        round: usize,
        x: &Buffer<f32>,
        message: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        check_round(round)?;
        same_len(self.codec.parameters(), x.len())?;
        same_len(self.codec.message_words(round), message.len())?;
        self.check.magnitudes(stream, x, None, LARGEST)?;
        if round == 0 {
            return self.hashes.sketch(stream, x, message);
        }
        let (count, shape) = (counted("candidates", message.len())?, over(message.len(), 1)?);
        let (x, from, to) = (x.address(), self.candidates.address(), message.address());
        // SAFETY: candidates are below n, and there are as many as words.
        unsafe { launch!(stream, &SKETCH, "gather", shape; x, from, count, to) }
    }

    /// Takes in the sum of all messages of a round; that of the first says who the candidates are.
    /// Waits for the queue.
    ///
    /// # Errors
    /// [`CudaError::Shape`]; [`CudaError::Argument`] for a round that there is not, or a number that
    /// is not finite.
    pub fn absorb(
        &mut self,
        stream: &Stream,
        round: usize,
        merged: &Buffer<f32>,
    ) -> Result<(), CudaError> {
        check_round(round)?;
        same_len(self.codec.message_words(round), merged.len())?;
        self.check.magnitudes(stream, merged, None, f32::MAX)?;
        if round > 0 {
            return Ok(());
        }
        let (turns, signs) = self.hashes.row();
        let (raw, rows) = (self.hashes.raw(0)?, counted("rows", self.codec.shape().rows)?);
        let (turns, signs, keys) = (turns as u64, signs as u64, self.select.keys.address());
        let (shape, merged) = (over(self.codec.parameters(), 1)?, merged.address());
        // SAFETY: the sizes were checked above.
        unsafe {
            launch!(stream, &SKETCH, "estimate", shape; raw, rows, turns, signs, merged, keys)?;
        }
        self.select.largest(stream, self.codec.first(), &mut self.candidates)
    }

    /// `x += factor · decode(message)`, a message of the second round. Waits for the queue.
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
        same_len(self.candidates.len(), message.len())?;
        check_factor(factor)?;
        self.check.magnitudes(stream, message, None, f32::MAX)?;
        let (count, shape) = (counted("candidates", message.len())?, over(message.len(), 1)?);
        let (from, to, x) = (message.address(), self.candidates.address(), x.address());
        // SAFETY: as in `encode`.
        unsafe { launch!(stream, &SKETCH, "scatter_add", shape; from, to, count, factor, x) }
    }
}

/// There are two.
fn check_round(round: usize) -> Result<(), ArgumentError> {
    if round < 2 {
        return Ok(());
    }
    let actual = i64::try_from(round).unwrap_or(i64::MAX);
    Err(ArgumentError::Count { name: "round", least: 0, greatest: 1, actual })
}
