//! Timing.

use trilane_cuda::{Buffer, CudaError, Stream};

/// Runs of which the median counts.
const RUNS: usize = 7;

/// The median of the seconds that a recording of `work` takes when it is replayed.
pub(crate) fn seconds(
    stream: &Stream,
    work: &mut dyn FnMut() -> Result<(), CudaError>,
) -> Result<f64, CudaError> {
    // What is compiled at first use is not recorded.
    work()?;
    let graph = stream.record(work)?;
    let mut times = Vec::new();
    for _ in 0..=RUNS {
        #[allow(unsafe_code, reason = "see the safety comment")]
        // SAFETY: the caller's buffers are there until this returns, which waits.
        times.push(stream.timed(|| unsafe { graph.replay(stream) })?);
    }
    // The first is a warm-up.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(times.get(RUNS / 2).copied().unwrap_or(f64::NAN))
}

/// Bytes a second that a copy within the device reads and writes.
pub(crate) fn copy_bandwidth(stream: &Stream, bytes: usize) -> Result<f64, CudaError> {
    let from = Buffer::<u8>::zeros(stream, bytes)?;
    let mut to = Buffer::<u8>::zeros(stream, bytes)?;
    let time = seconds(stream, &mut || to.copy_from(stream, &from))?;
    Ok(2.0 * bytes as f64 / time)
}
