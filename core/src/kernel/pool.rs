//! Threads behind one method, so that the core needs none.

/// Spreads the elements of an output over workers.
///
/// The result must not depend on how it is spread: every piece is computed by the same function
/// from its own position.
pub trait Pool: Sync {
    /// Calls `each(first, piece)` for pieces that cover `y` exactly once, where `first` is the
    /// index of the piece's first element and a multiple of `unit`. `work` is the cost of all of
    /// `y` in integer multiply-adds, from which the pool judges whether spreading pays.
    fn spread(
        &self,
        y: &mut [f32],
        unit: usize,
        work: usize,
        each: &(dyn Fn(usize, &mut [f32]) + Sync),
    );
}

/// [`Pool::spread`] for the integers of rows.
pub(crate) fn spread_sums(
    pool: &dyn Pool,
    y: &mut [i64],
    work: usize,
    each: &(dyn Fn(usize, &mut [i64]) + Sync),
) {
    // Two floats are as large as an integer, and never less aligned: a piece starts at a unit.
    if let Ok(words) = bytemuck::try_cast_slice_mut(y) {
        pool.spread(words, 2, work, &|first, words| {
            if let Ok(y) = bytemuck::try_cast_slice_mut(words) {
                each(first / 2, y);
            }
        });
    }
}

/// The pool of one: everything in the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Pool for Serial {
    fn spread(
        &self,
        y: &mut [f32],
        _unit: usize,
        _work: usize,
        each: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        each(0, y);
    }
}
