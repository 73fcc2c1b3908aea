//! Bundling: sums of hypervectors in bit-sliced counters, and their signs.

use super::planes::words;
use super::{TritPlanes, TritPlanesMut};
use crate::error::{ArgumentError, check_count, check_lengths};
use crate::kernel::Backend;
use crate::trit::Trit;

/// Planes of counters that a [`Bundle`] uses at most.
const MOST_PLANES: usize = 62;

/// Words of counters for a [`Bundle`] of that total weight: as many as vectors, where each weighs 1.
/// About `log₂(capacity) + 2` planes, 0.4 KiB for 33 vectors of 500 trits.
pub const fn bundle_words(dim: usize, capacity: u64) -> usize {
    let greatest = if capacity == 0 { 1 } else { capacity };
    words(dim) * (65 - greatest.leading_zeros() as usize)
}

/// A sum of hypervectors: `Σ wⱼ·vⱼ[i]` for every position, exactly.
///
/// **Counters.** A sign s of weight w adds `w·(1 + s)` to a counter, which therefore counts upwards
/// only and holds the sum plus `T = Σ |wⱼ|`. Counters are bit-sliced, one plane of words for each
/// power of two, so that 64 to 512 of them are added to at a time. A negative weight adds the
/// negative of the vector.
///
/// ```
/// use trilane_core::hyper::{Bundle, TritPlanesMut, bundle_words};
/// use trilane_core::kernel::Baseline;
/// let (mut m, mut n) = ([0; 2], [0; 2]);
/// let mut v = TritPlanesMut::zeros(4, &mut m)?;
/// v.write_i8(&[1, -1, 0, 1])?;
/// let mut counters = [0; bundle_words(4, 10)];
/// let mut bundle = Bundle::new(4, &mut counters)?;
/// bundle.add_weighted(Baseline, &v.view(), 3)?;
/// v.write_i8(&[1, 1, 0, -1])?;
/// bundle.add_weighted(Baseline, &v.view(), -3)?;
/// assert_eq!([0, 1, 2, 3].map(|i| bundle.sum(i)), [Some(0), Some(-6), Some(0), Some(6)]);
/// let mut signs = TritPlanesMut::zeros(4, &mut n)?;
/// bundle.majority(&mut signs)?; // 0 for a tie
/// v.write_i8(&[0, -1, 0, 1])?;
/// assert_eq!(signs, v);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Debug)]
pub struct Bundle<'m> {
    dim: usize,
    weight: u64,
    counters: &'m mut [u64],
}

impl<'m> Bundle<'m> {
    /// An empty bundle in memory of [`bundle_words`] words or more, whatever was in it. All planes
    /// that there are, up to 62, are used.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for no trits, [`ArgumentError::Length`] for less memory than a
    /// bundle of one vector takes.
    pub fn new(dim: usize, counters: &'m mut [u64]) -> Result<Self, ArgumentError> {
        if dim == 0 {
            return Err(ArgumentError::Empty);
        }
        let (least, actual) = (2 * words(dim), counters.len());
        check_lengths(least.max(actual), actual)?;
        let planes = (actual / words(dim)).min(MOST_PLANES);
        let (counters, _) = counters.split_at_mut(planes * words(dim));
        let mut bundle = Self { dim, weight: 0, counters };
        bundle.clear();
        Ok(bundle)
    }

    /// Trits of the vectors.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// `Σ |wⱼ|` so far.
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// The greatest weight that fits the counters.
    pub fn capacity(&self) -> u64 {
        (1 << (self.counters.len() / words(self.dim) - 1)) - 1
    }

    /// Empties the bundle.
    pub fn clear(&mut self) {
        self.weight = 0;
        self.counters.fill(0);
    }

    /// Adds a vector. Exact.
    ///
    /// # Errors
    /// Those of [`add_all`](Self::add_all).
    pub fn add(&mut self, backend: impl Backend, v: &TritPlanes<'_>) -> Result<(), ArgumentError> {
        self.add_all(backend, core::slice::from_ref(v))
    }

    /// Adds vectors, in less time than one after the other. Exact.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for another dimension, [`ArgumentError::Count`] when the weight
    /// would exceed the [`capacity`](Self::capacity); nothing is then added.
    pub fn add_all(
        &mut self,
        backend: impl Backend,
        vectors: &[TritPlanes<'_>],
    ) -> Result<(), ArgumentError> {
        vectors.iter().try_for_each(|v| check_lengths(self.dim, v.dim()))?;
        self.grow(vectors.len() as u64)?;
        backend.trit_sums(vectors, 0, self.counters);
        Ok(())
    }

    /// Adds `weight · v`. Exact.
    ///
    /// # Errors
    /// Those of [`add_all`](Self::add_all).
    pub fn add_weighted(
        &mut self,
        backend: impl Backend,
        v: &TritPlanes<'_>,
        weight: i32,
    ) -> Result<(), ArgumentError> {
        check_lengths(self.dim, v.dim())?;
        let size = weight.unsigned_abs();
        self.grow(size.into())?;
        let v = if weight < 0 { v.negated() } else { *v };
        for bit in (0..32).filter(|bit| size >> bit & 1 != 0) {
            backend.trit_sums(&[v], bit, self.counters);
        }
        Ok(())
    }

    /// Counts a weight that is about to be added.
    fn grow(&mut self, weight: u64) -> Result<(), ArgumentError> {
        let total = self.weight.saturating_add(weight);
        check_count("weight", total.min(i64::MAX as u64) as i64, 0, self.capacity() as i64)?;
        self.weight = total;
        Ok(())
    }

    /// `Σ wⱼ·vⱼ[i]`; none past the dimension. Exact.
    pub fn sum(&self, i: usize) -> Option<i64> {
        if i >= self.dim {
            return None;
        }
        let words = self.counters.iter().skip(i / 64).step_by(words(self.dim)).enumerate();
        let counter = |(weight, word): (usize, &u64)| (word >> (i % 64) & 1) << weight;
        Some(words.map(counter).sum::<u64>() as i64 - self.weight as i64)
    }

    /// The sign of every sum: the majority, 0 for a tie. Exact.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for another dimension.
    pub fn majority(&self, out: &mut TritPlanesMut<'_>) -> Result<(), ArgumentError> {
        check_lengths(self.dim, out.dim())?;
        let words = words(self.dim);
        out.clear();
        // The counters compared with T from the highest bit on: the first that differs decides.
        for (weight, plane) in self.counters.chunks_exact(words).enumerate().rev() {
            let total = if self.weight >> weight & 1 != 0 { u64::MAX } else { 0 };
            out.change_words(plane.iter(), |[more, less], counter| {
                let differs = (counter ^ total) & !(more | less);
                [more | differs & !total, less | differs & total]
            });
        }
        Ok(())
    }
}

/// `out[i] = sign(Σ vⱼ[i])`, 0 for a tie: the vector most like all of them (Kanerva 2009). `counters`
/// have [`bundle_words`] words or more. Exact.
///
/// # Errors
/// Those of [`Bundle::new`], [`Bundle::add_all`] and [`Bundle::majority`].
pub fn bundle(
    backend: impl Backend,
    vectors: &[TritPlanes<'_>],
    counters: &mut [u64],
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    let mut bundle = Bundle::new(out.dim(), counters)?;
    bundle.add_all(backend, vectors)?;
    bundle.majority(out)
}

/// The sign of the sum of trits. Exact.
pub fn majority_trit(trits: &[Trit]) -> Trit {
    Trit::sign_of(trits.iter().map(|trit| i64::from(trit.value())).sum())
}
