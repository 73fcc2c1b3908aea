//! Sums of gradients in trits.

use super::Check;
use crate::activations::{blocks, over};
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::TRAIN;
use crate::stream::{Stream, launch};
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::{LARGEST, MOST_PARAMETERS};
use trilane_core::train::{TernaryConfig, accumulator_words, first_draw};

/// Threads of a block, a warp for each group of parameters.
const THREADS: u32 = 256;
const GROUPS: usize = THREADS as usize / 32;
/// Parameters of a group, as on the host.
const GROUP: usize = 128;
/// Gradients of a sum, as on the host.
const MOST_GRADIENTS: u32 = 1 << 30;

/// Adds gradients up in trits with a scale for each 128, 0.28 bytes a parameter:
/// [`trilane_core::train::TernaryGradientAccumulator`] on a device, with the same draws. Ordered.
#[derive(Debug)]
pub struct TernaryGradientAccumulator {
    parameters: usize,
    config: TernaryConfig,
    count: u32,
    update: u64,
    words: Buffer<u32>,
    check: Check,
}

impl TernaryGradientAccumulator {
    /// An empty sum.
    ///
    /// # Errors
    /// [`CudaError::Argument`] for no parameters or more than 2³⁰, [`CudaError::Memory`].
    pub fn new(
        stream: &Stream,
        parameters: usize,
        config: TernaryConfig,
    ) -> Result<Self, CudaError> {
        check_count("parameters", parameters, MOST_PARAMETERS)?;
        let words = Buffer::zeros(stream, accumulator_words(parameters))?;
        let check = Check::new(stream)?;
        let mut empty = Self { parameters, config, count: 0, update: 0, words, check };
        empty.clear(stream)?;
        Ok(empty)
    }

    fn clear(&mut self, stream: &Stream) -> Result<(), CudaError> {
        let count = counted("words", self.words.len())?;
        let (words, shape) = (self.words.address(), over(self.words.len(), 1)?);
        // SAFETY: there are as many words.
        unsafe { launch!(stream, &TRAIN, "accumulator_clear", shape; words, count) }
    }

    /// Adds a gradient. Waits for the queue.
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another length; [`CudaError::Argument`] for a value that is not finite
    /// or above 2⁹⁶, or after 2³⁰ gradients; the sum then stays as it was.
    pub fn accumulate(&mut self, stream: &Stream, gradient: &Buffer<f32>) -> Result<(), CudaError> {
        same_len(self.parameters, gradient.len())?;
        self.check.magnitudes(stream, gradient, None, LARGEST)?;
        check_count("gradients", self.count as usize + 1, MOST_GRADIENTS as usize)?;
        let start = first_draw(&self.config, self.update, self.count);
        let stochastic = i32::from(self.config.use_stochastic_rounding());
        let groups = self.parameters.div_ceil(GROUP);
        let shape = Shape { blocks: [blocks(groups.div_ceil(GROUPS))?, 1, 1], threads: THREADS };
        let (words, gradient) = (self.words.address(), gradient.address());
        let n = counted("parameters", self.parameters)?;
        // SAFETY: the sizes were checked above.
        unsafe {
            launch!(stream, &TRAIN, "accumulate", shape; words, gradient, n, start, stochastic)?;
        }
        self.count += 1;
        Ok(())
    }

    /// The mean of the gradients, `s·t / count`; zeros when there are none. Shapes: `mean` n.
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another length.
    pub fn get_accumulated(
        &self,
        stream: &Stream,
        mean: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        same_len(self.parameters, mean.len())?;
        let (n, shape) = (counted("parameters", self.parameters)?, over(self.parameters, 1)?);
        let (words, mean, count) = (self.words.address(), mean.address(), self.count.max(1) as f32);
        // SAFETY: the sizes were checked above.
        unsafe { launch!(stream, &TRAIN, "accumulated", shape; words, n, count, mean) }
    }

    /// Begins the next sum.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn reset(&mut self, stream: &Stream) -> Result<(), CudaError> {
        self.clear(stream)?;
        self.count = 0;
        self.update += 1;
        Ok(())
    }

    /// Gradients in the sum.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether the sum holds as many gradients as the configuration asks for.
    pub fn ready_for_update(&self) -> bool {
        self.count >= self.config.accumulation_steps()
    }

    /// The sum as the host's accumulator holds it: scales and trits.
    pub fn words(&self) -> &Buffer<u32> {
        &self.words
    }
}

/// A count from 1 on.
fn check_count(name: &'static str, actual: usize, greatest: usize) -> Result<(), ArgumentError> {
    if (1..=greatest).contains(&actual) {
        return Ok(());
    }
    let wide = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (greatest, actual) = (wide(greatest), wide(actual));
    Err(ArgumentError::Count { name, least: 1, greatest, actual })
}
