//! Queries of an item memory over a pool of threads.

use crate::threads::Threads;
use rayon::prelude::*;
use trilane_core::error::ArgumentError;
use trilane_core::hyper::{ItemMemory, Neighbour};
use trilane_core::kernel::Backend;

/// As [`ItemMemory::nearest_batch`], queries spread over the threads. The same results for any
/// number of them.
///
/// # Errors
/// Those of [`ItemMemory::nearest_batch`].
pub fn nearest_batch(
    backend: impl Backend,
    threads: &Threads,
    items: &ItemMemory<'_>,
    queries: &ItemMemory<'_>,
    nearest: &mut [Neighbour],
) -> Result<(), ArgumentError> {
    let each = nearest.len() / queries.len();
    if each * queries.len() != nearest.len() {
        return items.nearest_batch(backend, queries, nearest);
    }
    threads.install(|| {
        nearest.par_chunks_mut(each.max(1)).enumerate().try_for_each(|(i, nearest)| {
            let query = queries.get(i).ok_or(ArgumentError::Empty)?;
            items.nearest(backend, &query, nearest).map(|_| ())
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::level;
    use trilane_core::hyper::words;

    #[test]
    fn any_number_of_threads_finds_the_same() {
        let (mut items, mut queries) = (vec![0; 90 * 2 * words(300)], vec![0; 7 * 2 * words(300)]);
        let items = ItemMemory::random(300, 0, &mut items).unwrap();
        let queries = ItemMemory::random(300, 80, &mut queries).unwrap();
        let mut expected = [Neighbour::NONE; 7 * 3];
        items.nearest_batch(level::detect(), &queries, &mut expected).unwrap();
        for threads in [1, 2, 5] {
            let threads = Threads::new(threads).unwrap();
            let mut found = [Neighbour::NONE; 7 * 3];
            nearest_batch(level::detect(), &threads, &items, &queries, &mut found).unwrap();
            assert_eq!(found, expected);
            let refused =
                nearest_batch(level::detect(), &threads, &items, &queries, &mut found[1..]);
            assert_eq!(refused, Err(ArgumentError::Length { expected: 14, actual: 20 }));
        }
    }
}
