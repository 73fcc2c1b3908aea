//! Which rows of a matrix a kernel takes.

use crate::digits::LaneView;

/// The rows that the elements of an output belong to.
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// Consecutive ones, from this one on.
    From(usize),
    /// Those of a list.
    Listed(&'a [u32]),
}

impl Rows<'_> {
    /// The row of output `i`; `usize::MAX`, which no matrix has, past the end of a list.
    #[inline(always)]
    pub(crate) fn at(self, i: usize) -> usize {
        match self {
            Self::From(first) => first.saturating_add(i),
            Self::Listed(rows) => rows.get(i).map_or(usize::MAX, |&row| row as usize),
        }
    }
}

/// Rows of one view and what each is multiplied by: a part of a
/// [`combine`](super::Backend::combine).
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The matrix that holds the rows, at the lane that they are read at.
    pub view: LaneView<'a>,
    /// Which rows, in any order, perhaps repeated.
    pub rows: &'a [u32],
    /// The factor of each.
    pub q: &'a [i16],
}
