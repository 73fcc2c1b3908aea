//! The same work for every row, in parallel where threads are to be had.

/// Results of `work` for rows `0..rows`, in order, or the error of the first row that failed.
#[cfg(feature = "parallel")]
pub(crate) fn for_each_row<T: Send, E: Send>(
    rows: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync + Send,
) -> Result<Vec<T>, E> {
    use rayon::prelude::*;
    let results: Vec<Result<T, E>> = (0..rows).into_par_iter().map(work).collect();
    results.into_iter().collect()
}

/// Results of `work` for rows `0..rows`, in order, or the error of the first row that failed.
#[cfg(not(feature = "parallel"))]
pub(crate) fn for_each_row<T, E>(
    rows: usize,
    work: impl Fn(usize) -> Result<T, E>,
) -> Result<Vec<T>, E> {
    (0..rows).map(work).collect()
}
