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
