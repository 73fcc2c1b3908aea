//! Views of hypervectors: two bit planes.

use crate::error::{ArgumentError, check_count, check_lengths};
use crate::trit::Trit;

/// Words of 64 bits in a plane of a hypervector.
pub const fn words(dim: usize) -> usize {
    dim.div_ceil(64)
}

/// A hypervector of `dim` trits, borrowed: bit `i mod 64` of word `⌊i/64⌋` of `plus` says that trit
/// `i` is +1, that of `minus` that it is −1.
///
/// Whoever has one may rely on: at least one trit, planes of [`words`]`(dim)` words, no bit set in
/// both, none set past the dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TritPlanes<'a> {
    dim: usize,
    plus: &'a [u64],
    minus: &'a [u64],
}

impl<'a> TritPlanes<'a> {
    /// A view of planes that somebody wrote.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for no trits; [`ArgumentError::Length`] for planes of other lengths;
    /// [`ArgumentError::Count`] with the number of positions set in both planes, or past the
    /// dimension.
    pub fn new(dim: usize, plus: &'a [u64], minus: &'a [u64]) -> Result<Self, ArgumentError> {
        check_shape(dim, plus, minus)?;
        let overlap = plus.iter().zip(minus).map(|(p, m)| i64::from((p & m).count_ones())).sum();
        check_count("positions both +1 and −1", overlap, 0, 0)?;
        let padding = |plane: &[u64]| plane.last().map_or(0, |w| w & !last_word(dim));
        let beyond = (padding(plus) | padding(minus)).count_ones();
        check_count("positions past the dimension", beyond.into(), 0, 0)?;
        Ok(Self { dim, plus, minus })
    }

    /// A view of planes that keep what the type promises.
    pub(super) const fn trusted(dim: usize, plus: &'a [u64], minus: &'a [u64]) -> Self {
        Self { dim, plus, minus }
    }

    /// Trits.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// The plane of +1.
    pub const fn plus(&self) -> &'a [u64] {
        self.plus
    }

    /// The plane of −1.
    pub const fn minus(&self) -> &'a [u64] {
        self.minus
    }

    /// The words of both planes in turn.
    #[inline(always)]
    pub(super) fn words(self) -> impl Iterator<Item = [u64; 2]> {
        self.plus.iter().zip(self.minus).map(|(plus, minus)| [*plus, *minus])
    }

    /// The trit at a position; none past the dimension.
    pub fn get(&self, i: usize) -> Option<Trit> {
        if i >= self.dim {
            return None;
        }
        let bit = |plane: &[u64]| plane.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 != 0);
        Trit::from_bits(bit(self.plus), bit(self.minus))
    }

    /// The trits in order.
    pub fn iter(self) -> impl Iterator<Item = Trit> {
        (0..self.dim).filter_map(move |i| self.get(i))
    }

    /// The negative, at no cost: the planes change places.
    pub const fn negated(self) -> Self {
        Self { plus: self.minus, minus: self.plus, ..self }
    }

    /// The number of +1. Exact.
    pub fn count_positive(&self) -> usize {
        ones(self.plus)
    }

    /// The number of −1. Exact.
    pub fn count_negative(&self) -> usize {
        ones(self.minus)
    }

    /// The number of trits that are not 0. Exact.
    pub fn count_nonzero(&self) -> usize {
        self.count_positive() + self.count_negative()
    }

    /// The number of 0. Exact.
    pub fn count_zero(&self) -> usize {
        self.dim.saturating_sub(self.count_nonzero())
    }

    /// The sum of the trits. Exact.
    pub fn sum(&self) -> i64 {
        self.count_positive() as i64 - self.count_negative() as i64
    }

    /// The share of zeros, [`count_zero`](Self::count_zero) / dim. Ordered.
    pub fn sparsity(&self) -> f32 {
        self.count_zero() as f32 / self.dim as f32
    }

    /// Writes the trits.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] when there are not as many places as trits.
    pub fn to_trits(&self, trits: &mut [Trit]) -> Result<(), ArgumentError> {
        check_lengths(self.dim, trits.len())?;
        trits.iter_mut().zip(self.iter()).for_each(|(place, trit)| *place = trit);
        Ok(())
    }

    /// Writes the values −1, 0 and 1.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] when there are not as many places as trits.
    pub fn to_i8(&self, values: &mut [i8]) -> Result<(), ArgumentError> {
        check_lengths(self.dim, values.len())?;
        values.iter_mut().zip(self.iter()).for_each(|(place, trit)| *place = trit.value());
        Ok(())
    }
}

/// A hypervector that can be written, with what [`TritPlanes`] promises. What is written to one
/// replaces all of it.
///
/// ```
/// use trilane_core::hyper::{TritPlanesMut, words};
/// use trilane_core::trit::Trit::{N, P, Z};
/// let mut memory = [0; 2 * words(5)];
/// let mut v = TritPlanesMut::zeros(5, &mut memory)?;
/// v.write_i8(&[1, 0, -1, -1, 0])?;
/// v.set(1, P)?;
/// assert_eq!((v.view().get(1), v.view().get(2), v.view().get(5)), (Some(P), Some(N), None));
/// assert_eq!((v.view().sum(), v.view().sparsity()), (0, 0.2));
/// assert!(v.set(5, Z).is_err());
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct TritPlanesMut<'a> {
    dim: usize,
    plus: &'a mut [u64],
    minus: &'a mut [u64],
}

impl<'a> TritPlanesMut<'a> {
    /// Zeros in memory of twice [`words`]`(dim)` words, whatever was in it: the plane of +1 first.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for no trits, [`ArgumentError::Length`] for another length.
    pub fn zeros(dim: usize, memory: &'a mut [u64]) -> Result<Self, ArgumentError> {
        let (plus, minus) = halves(dim, memory)?;
        let mut zeros = Self { dim, plus, minus };
        zeros.clear();
        Ok(zeros)
    }

    /// A hypervector that somebody wrote, in memory as [`zeros`](Self::zeros) takes it.
    ///
    /// # Errors
    /// Those of [`TritPlanes::new`].
    pub fn new(dim: usize, memory: &'a mut [u64]) -> Result<Self, ArgumentError> {
        let (plus, minus) = halves(dim, memory)?;
        TritPlanes::new(dim, plus, minus)?;
        Ok(Self { dim, plus, minus })
    }

    /// A view of planes that keep what the type promises.
    pub(super) const fn trusted(dim: usize, plus: &'a mut [u64], minus: &'a mut [u64]) -> Self {
        Self { dim, plus, minus }
    }

    /// Trits.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// The vector, to read.
    pub const fn view(&self) -> TritPlanes<'_> {
        TritPlanes { dim: self.dim, plus: &*self.plus, minus: &*self.minus }
    }

    /// All trits 0.
    pub fn clear(&mut self) {
        self.plus.fill(0);
        self.minus.fill(0);
    }

    /// Writes one trit.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for a position past the dimension.
    pub fn set(&mut self, i: usize, trit: Trit) -> Result<(), ArgumentError> {
        check_count("position", i as i64, 0, self.dim as i64 - 1)?;
        let (plus, minus) = trit.to_bits();
        for (plane, bit) in [(&mut *self.plus, plus), (&mut *self.minus, minus)] {
            if let Some(word) = plane.get_mut(i / 64) {
                *word = *word & !(1 << (i % 64)) | u64::from(bit) << (i % 64);
            }
        }
        Ok(())
    }

    /// Writes trits.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] when there are not as many as the vector has.
    pub fn write_trits(&mut self, trits: &[Trit]) -> Result<(), ArgumentError> {
        check_lengths(self.dim, trits.len())?;
        self.write_with(|i| trits.get(i).copied().unwrap_or(Trit::Z));
        Ok(())
    }

    /// Writes the values −1, 0 and 1.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] when there are not as many as the vector has,
    /// [`ArgumentError::Count`] for another value; the vector then stays as it was.
    pub fn write_i8(&mut self, values: &[i8]) -> Result<(), ArgumentError> {
        check_lengths(self.dim, values.len())?;
        for &value in values {
            Trit::from_value(value.into())?;
        }
        self.write_with(|i| Trit::sign_of(values.get(i).copied().unwrap_or(0).into()));
        Ok(())
    }

    /// Writes another vector.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for another dimension.
    pub fn write(&mut self, other: &TritPlanes<'_>) -> Result<(), ArgumentError> {
        check_lengths(self.dim, other.dim)?;
        self.write_words(other.words());
        Ok(())
    }

    /// Turns every trit over.
    pub fn negate(&mut self) {
        for (plus, minus) in self.plus.iter_mut().zip(self.minus.iter_mut()) {
            core::mem::swap(plus, minus);
        }
    }

    /// Writes the trit of each position.
    fn write_with(&mut self, trit: impl Fn(usize) -> Trit) {
        let dim = self.dim;
        self.write_words((0..dim).step_by(64).map(|first| {
            (first..dim.min(first + 64)).fold([0; 2], |[plus, minus], i| {
                let (p, m) = trit(i).to_bits();
                [plus | u64::from(p) << (i - first), minus | u64::from(m) << (i - first)]
            })
        }));
    }

    /// Writes the words of both planes: a bit set in both is cleared in both, as are those past the
    /// dimension.
    #[inline(always)]
    pub(super) fn write_words(&mut self, words: impl Iterator<Item = [u64; 2]>) {
        for ((plus, minus), [p, m]) in self.plus.iter_mut().zip(self.minus.iter_mut()).zip(words) {
            (*plus, *minus) = (p & !m, m & !p);
        }
        self.clear_padding();
    }

    /// Replaces the words of both planes by a function of them and of words that come with them.
    /// Bits set in both planes or past the dimension are cleared.
    #[inline(always)]
    pub(super) fn change_words<T>(
        &mut self,
        with: impl Iterator<Item = T>,
        f: impl Fn([u64; 2], T) -> [u64; 2],
    ) {
        for ((plus, minus), with) in self.plus.iter_mut().zip(self.minus.iter_mut()).zip(with) {
            let [p, m] = f([*plus, *minus], with);
            (*plus, *minus) = (p & !m, m & !p);
        }
        self.clear_padding();
    }

    /// Writes each plane from that of another vector of the same dimension, the same way for both.
    pub(super) fn write_planes(&mut self, v: &TritPlanes<'_>, f: impl Fn(&[u64], &mut [u64])) {
        f(v.plus, self.plus);
        f(v.minus, self.minus);
        self.clear_padding();
    }

    /// Clears the bits past the dimension.
    fn clear_padding(&mut self) {
        for plane in [&mut *self.plus, &mut *self.minus] {
            if let Some(last) = plane.last_mut() {
                *last &= last_word(self.dim);
            }
        }
    }
}

/// The bits of the last word of a plane that belong to trits. `dim > 0`.
const fn last_word(dim: usize) -> u64 {
    u64::MAX >> (dim.wrapping_neg() % 64)
}

/// Ones of a plane.
fn ones(plane: &[u64]) -> usize {
    plane.iter().map(|w| w.count_ones() as usize).sum()
}

/// Both planes are as long as the dimension needs.
fn check_shape(dim: usize, plus: &[u64], minus: &[u64]) -> Result<(), ArgumentError> {
    if dim == 0 {
        return Err(ArgumentError::Empty);
    }
    check_lengths(words(dim), plus.len())?;
    check_lengths(words(dim), minus.len())
}

/// Memory as two planes.
fn halves(dim: usize, memory: &mut [u64]) -> Result<(&mut [u64], &mut [u64]), ArgumentError> {
    let expected = words(dim).saturating_mul(2);
    check_lengths(expected, memory.len())?;
    let (plus, minus) = memory.split_at_mut(expected / 2);
    check_shape(dim, plus, minus)?;
    Ok((plus, minus))
}
