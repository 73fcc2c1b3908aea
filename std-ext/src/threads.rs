//! Rows of a matrix over a pool of threads.

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use trilane_core::kernel::Pool;

/// Integer multiply-adds below which handing work to another thread costs more than it saves:
/// about twenty microseconds of one thread.
const WORTH: usize = 1 << 20;

/// A pool of threads. Results do not depend on their number.
#[derive(Debug)]
pub struct Threads(ThreadPool);

impl Threads {
    /// A pool of `threads` threads; 0 takes as many as the machine has.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        Ok(Self(ThreadPoolBuilder::new().num_threads(threads).build()?))
    }

    /// Threads in the pool.
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Runs `work` inside the pool, so that rayon's own iterators use its threads.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

impl Pool for Threads {
    fn spread(
        &self,
        y: &mut [f32],
        unit: usize,
        work: usize,
        each: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let threads = self.count();
        let unit = unit.max(1);
        if threads == 1 || work < WORTH || y.len() < 2 * unit {
            return each(0, y);
        }
        let piece = (y.len() / unit).div_ceil(threads) * unit;
        self.0.install(|| {
            y.par_chunks_mut(piece).enumerate().for_each(|(i, y)| each(i * piece, y));
        });
    }
}
