//! Whether sparse feed-forward blocks are faster than dense ones here.

use std::time::{Duration, Instant};
use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::Lanes;
use trilane_core::model::{Decoder, FeedForwardMode, ModelError};

/// Tokens of a timed run.
const TOKENS: usize = 4;

/// Timed runs of each mode.
const RUNS: usize = 5;

/// Times a few tokens in both modes, in turn, and leaves the decoder empty and in the faster one;
/// whether that is `mode`. The choice depends on the machine; what either mode computes does not.
///
/// # Errors
/// What [`Decoder::set_feed_forward`] and [`Decoder::forward`] return.
pub fn choose_faster<B: Backend>(
    decoder: &mut Decoder<'_, '_, B>,
    pool: &dyn Pool,
    lanes: Lanes<'static>,
    mode: FeedForwardMode,
) -> Result<bool, ModelError> {
    let mut times = [[Duration::ZERO; RUNS]; 2];
    for run in 0..RUNS {
        for (mode, times) in [mode, FeedForwardMode::DENSE].into_iter().zip(&mut times) {
            decoder.set_feed_forward(mode)?;
            decoder.truncate(0);
            let start = Instant::now();
            for token in 0..TOKENS.min(decoder.capacity()) {
                decoder.forward(pool, token as u32, lanes)?;
            }
            times[run] = start.elapsed();
        }
    }
    decoder.truncate(0);
    let [sparse, dense] = times.map(|mut times| {
        times.sort_unstable();
        times[RUNS / 2]
    });
    decoder.set_feed_forward(if sparse < dense { mode } else { FeedForwardMode::DENSE })?;
    Ok(sparse < dense)
}
