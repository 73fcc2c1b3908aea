//! Which of a device and the processor is faster.

use std::time::Instant;
use trilane_core::kernel::Pool;
use trilane_core::lane::Lanes;
use trilane_std::generation::{GenerationError, LanguageModel};

/// Steps that are not counted: a device compiles its kernels in the first, and records in it.
const WARM_UP: usize = 2;
/// Steps of which the shortest counts.
const STEPS: usize = 3;

/// Seconds that a model takes for a token at the beginning of a text: the least of three, after two
/// others. Whatever the model held is forgotten, and so is what was measured with.
///
/// # Errors
/// Those of the model; a model with room for less than five tokens is full.
pub fn seconds_per_token(
    model: &mut dyn LanguageModel,
    pool: &dyn Pool,
    lanes: Lanes<'_>,
) -> Result<f64, GenerationError> {
    model.truncate(0);
    let mut least = f64::INFINITY;
    for step in 0..WARM_UP + STEPS {
        let start = Instant::now();
        model.next_logits(pool, 0, lanes)?;
        if step >= WARM_UP {
            least = least.min(start.elapsed().as_secs_f64());
        }
    }
    model.truncate(0);
    Ok(least)
}
