//! Item memory: many vectors, of which the nearest to a query are found.

use super::planes::words;
use super::similarity::quotient;
use super::{TritPlanes, TritPlanesMut, random};
use crate::error::{ArgumentError, check_lengths};
use crate::kernel::Backend;
use core::cmp::Ordering;

/// One of the nearest items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Which item.
    pub index: usize,
    /// Its cosine with the query.
    pub cosine: f32,
    /// `Σ item[i]·query[i]`.
    dot: i64,
    /// Trits of the item that are not 0.
    nonzeros: u64,
}

impl Neighbour {
    /// For memory that is yet to be written.
    pub const NONE: Self = Self { index: usize::MAX, cosine: 0.0, dot: i64::MIN, nonzeros: 1 };

    /// The order of the cosines with the same query, greatest first, without rounding: that of
    /// `dot·|dot|/nonzeros`.
    fn order(&self, other: &Self) -> Ordering {
        let square =
            |n: &Self| i128::from(n.dot.signum()) * i128::from(n.dot.unsigned_abs()).pow(2);
        let crossed = |n: &Self, m: &Self| square(n).saturating_mul(m.nonzeros.max(1).into());
        crossed(other, self).cmp(&crossed(self, other))
    }
}

/// Hypervectors one behind the other in the caller's memory, each as [`TritPlanesMut::zeros`] takes
/// it: an associative memory (Kanerva 2009).
///
/// ```
/// use trilane_core::hyper::{ItemMemory, Neighbour, words};
/// use trilane_core::kernel::Baseline;
/// let mut memory = [0; 50 * 2 * words(300)];
/// let items = ItemMemory::random(300, 7, &mut memory)?;
/// let query = items.get(31).unwrap();
/// let mut nearest = [Neighbour::NONE; 2];
/// items.nearest(Baseline, &query, &mut nearest)?;
/// assert_eq!((nearest[0].index, nearest[0].cosine), (31, 1.0));
/// assert!(nearest[1].cosine < 0.3);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ItemMemory<'a> {
    dim: usize,
    planes: &'a [u64],
}

impl<'a> ItemMemory<'a> {
    /// Vectors that somebody wrote, `2·`[`words`]`(dim)` words each.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for no trits or no items, [`ArgumentError::Length`] for part of an
    /// item, and for each item those of [`TritPlanes::new`].
    pub fn new(dim: usize, memory: &'a [u64]) -> Result<Self, ArgumentError> {
        check_items(dim, memory.len())?;
        let items = Self { dim, planes: memory };
        for item in memory.chunks_exact(2 * words(dim)) {
            let (plus, minus) = item.split_at(words(dim));
            TritPlanes::new(dim, plus, minus)?;
        }
        Ok(items)
    }

    /// Fills memory with dense random vectors: item i is [`random`] of `seed + i`. Exact.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn random(dim: usize, seed: u64, memory: &'a mut [u64]) -> Result<Self, ArgumentError> {
        Self::filled(dim, memory, |i, item| {
            random(seed.wrapping_add(i as u64), item);
            Ok(())
        })
    }

    /// Fills memory with what a function writes to the vector of each index, zeros at first.
    ///
    /// # Errors
    /// As [`new`](Self::new), and those of the function.
    pub fn filled(
        dim: usize,
        memory: &'a mut [u64],
        mut item: impl FnMut(usize, &mut TritPlanesMut<'_>) -> Result<(), ArgumentError>,
    ) -> Result<Self, ArgumentError> {
        check_items(dim, memory.len())?;
        for (i, words) in memory.chunks_exact_mut(2 * words(dim)).enumerate() {
            item(i, &mut TritPlanesMut::zeros(dim, words)?)?;
        }
        Ok(Self { dim, planes: memory })
    }

    /// Trits of an item.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// Items; at least one.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.planes.len() / (2 * words(self.dim))
    }

    /// An item; none past the last.
    pub fn get(&self, index: usize) -> Option<TritPlanes<'a>> {
        let words = words(self.dim);
        let item = self.planes.chunks_exact(2 * words).nth(index)?;
        let (plus, minus) = item.split_at(words);
        Some(TritPlanes::trusted(self.dim, plus, minus))
    }

    /// The items in order.
    pub fn iter(self) -> impl Iterator<Item = TritPlanes<'a>> {
        (0..self.len()).filter_map(move |i| self.get(i))
    }

    /// The items with the greatest cosines, greatest first, ties by the lowest index; compared
    /// without rounding. An item of zeros has cosine 0. Places beyond the number of items become
    /// [`Neighbour::NONE`]. Returns how many were written. Ordered; which ones is Exact.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for another dimension.
    pub fn nearest(
        &self,
        backend: impl Backend,
        query: &TritPlanes<'_>,
        nearest: &mut [Neighbour],
    ) -> Result<usize, ArgumentError> {
        check_lengths(self.dim, query.dim())?;
        Self::nearest_of(backend, self.iter(), query, nearest)
    }

    /// As [`nearest`](Self::nearest), of any vectors in order. Ordered; which ones is Exact.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for different dimensions.
    pub fn nearest_of<'v>(
        backend: impl Backend,
        items: impl Iterator<Item = TritPlanes<'v>>,
        query: &TritPlanes<'_>,
        nearest: &mut [Neighbour],
    ) -> Result<usize, ArgumentError> {
        nearest.fill(Neighbour::NONE);
        let mut count = 0;
        for (index, item) in items.enumerate() {
            check_lengths(query.dim(), item.dim())?;
            let dot = backend.trit_dot(&item, query);
            let nonzeros = backend.trit_nonzeros(&item);
            insert(Neighbour { index, cosine: 0.0, dot, nonzeros }, nearest);
            count = index + 1;
        }
        let size = backend.trit_nonzeros(query);
        let found = nearest.len().min(count);
        for neighbour in nearest.iter_mut().take(found) {
            neighbour.cosine = quotient(neighbour.dot, neighbour.nonzeros, size);
        }
        Ok(found)
    }

    /// The nearest items of each query: `nearest` has as many places for each, one query after the
    /// other.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for another dimension, or places that the queries do not divide.
    pub fn nearest_batch(
        &self,
        backend: impl Backend,
        queries: &ItemMemory<'_>,
        nearest: &mut [Neighbour],
    ) -> Result<(), ArgumentError> {
        let each = nearest.len() / queries.len();
        check_lengths(each * queries.len(), nearest.len())?;
        for (query, nearest) in queries.iter().zip(nearest.chunks_mut(each.max(1))) {
            self.nearest(backend, &query, nearest)?;
        }
        Ok(())
    }
}

/// Puts a candidate into its place among the nearest, if it has one; the last falls out.
fn insert(candidate: Neighbour, nearest: &mut [Neighbour]) {
    let better = |n: &Neighbour| n.index == usize::MAX || candidate.order(n) == Ordering::Less;
    if !nearest.last().is_some_and(better) {
        return;
    }
    let place = nearest.iter().position(better).unwrap_or(0);
    if let Some(behind) = nearest.get_mut(place..) {
        behind.rotate_right(1);
        if let Some(first) = behind.first_mut() {
            *first = candidate;
        }
    }
}

/// There is at least one item, and no part of one.
fn check_items(dim: usize, len: usize) -> Result<(), ArgumentError> {
    if dim == 0 || len == 0 {
        return Err(ArgumentError::Empty);
    }
    let item = words(dim).saturating_mul(2);
    check_lengths(len.div_ceil(item).saturating_mul(item), len)
}
