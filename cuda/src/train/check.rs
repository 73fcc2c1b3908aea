//! Values that are refused.

use crate::activations::over;
use crate::buffer::Buffer;
use crate::error::{CudaError, counted};
use crate::kernels::TRAIN;
use crate::stream::{Stream, launch};
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::MOST_PARAMETERS;

/// Room for what a look at values finds: the bits of the greatest magnitude, and the first index that
/// is not finite.
#[derive(Debug)]
pub struct Check {
    greatest: Buffer<u32>,
    first: Buffer<u32>,
}

impl Check {
    /// Room for one look at a time.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn new(stream: &Stream) -> Result<Self, CudaError> {
        Ok(Self { greatest: Buffer::zeros(stream, 1)?, first: Buffer::zeros(stream, 1)? })
    }

    /// Looks at `x`, or at `x + y`, which are of one length. Waits for the queue.
    ///
    /// # Errors
    /// [`ArgumentError::NotFinite`] with the first value that is not finite,
    /// [`ArgumentError::Parameter`] when one is above `most`; [`CudaError::Size`] for more than 2³⁰.
    pub(super) fn magnitudes(
        &mut self,
        stream: &Stream,
        x: &Buffer<f32>,
        y: Option<&Buffer<f32>>,
        most: f32,
    ) -> Result<(), CudaError> {
        let (size, greatest) = (x.len(), MOST_PARAMETERS);
        if size > greatest {
            return Err(CudaError::Size { what: "values", size, greatest });
        }
        let (n, shape) = (counted("values", size)?, over(size, 1)?);
        self.greatest.clear(stream)?;
        self.first.upload(stream, &[u32::MAX])?;
        let (greatest, first) = (self.greatest.address(), self.first.address());
        let (x, y) = (x.address(), y.map_or(0, Buffer::address));
        // SAFETY: there are as many values in both.
        unsafe { launch!(stream, &TRAIN, "check", shape; x, y, n, greatest, first)? };
        let greatest = self.greatest.to_vec(stream)?.into_iter().next().unwrap_or_default();
        if greatest <= most.to_bits() {
            return Ok(());
        }
        let refused = if greatest < f32::INFINITY.to_bits() {
            let actual = f32::from_bits(greatest);
            ArgumentError::Parameter { name: "magnitude", least: 0.0, greatest: most, actual }
        } else {
            let first = self.first.to_vec(stream)?.into_iter().next().unwrap_or_default();
            ArgumentError::NotFinite { index: first as usize }
        };
        Err(refused.into())
    }
}
