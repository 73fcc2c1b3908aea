//! Gradients as short messages between workers, with error feedback.

mod linear_sketch;
mod select;
mod sign_hash;
mod two_phase;

pub use linear_sketch::LinearSketch;
pub use two_phase::TwoPhase;

use super::Check;
use crate::activations::add;
use crate::buffer::Buffer;
use crate::error::{CudaError, same_len};
use crate::stream::Stream;
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::LARGEST;

/// `residual += gradient`, as [`trilane_core::train::compress::feed`]. Waits for the queue. Ordered.
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

/// Refuses a factor that messages are not read with.
fn check_factor(actual: f32) -> Result<(), ArgumentError> {
    let (least, greatest) = (-LARGEST, LARGEST);
    if (least..=greatest).contains(&actual) {
        return Ok(());
    }
    Err(ArgumentError::Parameter { name: "factor", least, greatest, actual })
}
