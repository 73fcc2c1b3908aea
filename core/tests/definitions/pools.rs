//! Pools that spread work in ways that a result must not depend on.

use trilane_core::kernel::Pool;

/// Pieces of one unit, two, three, …, in turn, the last first.
pub(crate) struct Uneven;

/// As many threads as said, each with a piece of its own.
pub(crate) struct Threads(pub(crate) usize);

/// Pieces of a slice with the index of their first element, `len` elements in each but the last.
fn pieces(
    y: &mut [f32],
    unit: usize,
    mut units: impl FnMut(usize) -> usize,
) -> Vec<(usize, &mut [f32])> {
    assert_eq!(y.len() % unit, 0, "an output that is not a whole number of units");
    let (mut rest, mut at, mut pieces) = (y, 0, vec![]);
    while !rest.is_empty() {
        let len = (units(pieces.len()) * unit).min(rest.len());
        let (piece, after) = rest.split_at_mut(len);
        pieces.push((at, piece));
        (rest, at) = (after, at + len);
    }
    pieces
}

impl Pool for Uneven {
    fn spread(
        &self,
        y: &mut [f32],
        unit: usize,
        _work: usize,
        each: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        for (first, piece) in pieces(y, unit, |i| i + 1).into_iter().rev() {
            each(first, piece);
        }
    }
}

impl Pool for Threads {
    fn spread(
        &self,
        y: &mut [f32],
        unit: usize,
        _work: usize,
        each: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let units = (y.len() / unit).div_ceil(self.0).max(1);
        std::thread::scope(|scope| {
            for (first, piece) in pieces(y, unit, |_| units) {
                scope.spawn(move || each(first, piece));
            }
        });
    }
}
