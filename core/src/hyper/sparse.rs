//! Hypervectors of few trits that are not 0, as lists of positions.

use super::similarity::quotient;
use super::{TritPlanes, TritPlanesMut};
use crate::error::{ArgumentError, check_count, check_lengths};
use crate::trit::Trit;

/// The positions of +1 and of −1, each in ascending order, in the caller's memory: smaller than
/// planes, and faster, below about one trit in thirty.
///
/// ```
/// use trilane_core::hyper::SparseTrits;
/// let a = SparseTrits::new(1_000_000, &[3, 500_000], &[9])?;
/// let b = SparseTrits::new(1_000_000, &[9, 500_000], &[4])?;
/// assert_eq!((a.dot(&b)?, a.sum(), a.count_nonzero()), (0, 1, 3));
/// assert!(SparseTrits::new(10, &[4], &[4]).is_err());
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseTrits<'a> {
    dim: usize,
    plus: &'a [u32],
    minus: &'a [u32],
}

impl<'a> SparseTrits<'a> {
    /// A vector of `dim` trits.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for no trits; [`ArgumentError::Count`] for a position that does not
    /// come after the one before it in its list, lies past the dimension, or is in both lists.
    pub fn new(dim: usize, plus: &'a [u32], minus: &'a [u32]) -> Result<Self, ArgumentError> {
        if dim == 0 {
            return Err(ArgumentError::Empty);
        }
        for list in [plus, minus] {
            let mut least = 0;
            for &position in list {
                check_count("position", position.into(), least, dim as i64 - 1)?;
                least = i64::from(position) + 1;
            }
        }
        let overlap = merged(plus, minus) as i64;
        check_count("positions both +1 and −1", overlap, 0, 0)?;
        Ok(Self { dim, plus, minus })
    }

    /// The positions of a vector in planes, written to memory for exactly as many:
    /// [`TritPlanes::count_positive`] and [`TritPlanes::count_negative`].
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for other numbers of places, [`ArgumentError::Count`] for a
    /// dimension above 2³².
    pub fn from_planes(
        v: &TritPlanes<'_>,
        plus: &'a mut [u32],
        minus: &'a mut [u32],
    ) -> Result<Self, ArgumentError> {
        check_count("dim", v.dim() as i64, 1, 1 << 32)?;
        check_lengths(v.count_positive(), plus.len())?;
        check_lengths(v.count_negative(), minus.len())?;
        for (list, sign) in [(&mut *plus, Trit::P), (&mut *minus, Trit::N)] {
            let positions = (0..).zip(v.iter()).filter(|(_, trit)| *trit == sign);
            list.iter_mut().zip(positions).for_each(|(place, (i, _))| *place = i);
        }
        Ok(Self { dim: v.dim(), plus, minus })
    }

    /// Trits.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// The positions of +1 in ascending order.
    pub const fn plus(&self) -> &'a [u32] {
        self.plus
    }

    /// The positions of −1 in ascending order.
    pub const fn minus(&self) -> &'a [u32] {
        self.minus
    }

    /// The trit at a position; none past the dimension. Exact.
    pub fn get(&self, i: usize) -> Option<Trit> {
        let has = |list: &[u32]| u32::try_from(i).is_ok_and(|i| list.binary_search(&i).is_ok());
        if i < self.dim { Trit::from_bits(has(self.plus), has(self.minus)) } else { None }
    }

    /// The number of trits that are not 0. Exact.
    pub const fn count_nonzero(&self) -> usize {
        self.plus.len() + self.minus.len()
    }

    /// The share of zeros. Ordered.
    pub fn sparsity(&self) -> f32 {
        (self.dim - self.count_nonzero()) as f32 / self.dim as f32
    }

    /// The sum of the trits. Exact.
    pub const fn sum(&self) -> i64 {
        self.plus.len() as i64 - self.minus.len() as i64
    }

    /// The negative: the lists change places.
    pub const fn negated(self) -> Self {
        Self { plus: self.minus, minus: self.plus, ..self }
    }

    /// `Σ a[i]·b[i]`. Exact.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for different dimensions.
    pub fn dot(&self, other: &Self) -> Result<i64, ArgumentError> {
        check_lengths(self.dim, other.dim)?;
        let agree = merged(self.plus, other.plus) + merged(self.minus, other.minus);
        let differ = merged(self.plus, other.minus) + merged(self.minus, other.plus);
        Ok(agree as i64 - differ as i64)
    }

    /// `Σ a[i]·b[i]` with a vector in planes. Exact.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for different dimensions.
    pub fn dot_planes(&self, other: &TritPlanes<'_>) -> Result<i64, ArgumentError> {
        check_lengths(self.dim, other.dim())?;
        let sum = |list: &[u32]| -> i64 {
            let trits = list.iter().filter_map(|&i| other.get(i as usize));
            trits.map(|trit| i64::from(trit.value())).sum()
        };
        Ok(sum(self.plus) - sum(self.minus))
    }

    /// The cosine, 0 when either vector has none but zeros; see [`cosine`](super::cosine). Ordered.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for different dimensions.
    pub fn cosine(&self, other: &Self) -> Result<f32, ArgumentError> {
        let nonzeros = |v: &Self| v.count_nonzero() as u64;
        Ok(quotient(self.dot(other)?, nonzeros(self), nonzeros(other)))
    }

    /// Writes the vector to planes. Exact.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] for different dimensions.
    pub fn to_planes(&self, out: &mut TritPlanesMut<'_>) -> Result<(), ArgumentError> {
        check_lengths(self.dim, out.dim())?;
        out.clear();
        let set = |list: &[u32], trit, out: &mut TritPlanesMut<'_>| {
            list.iter().try_for_each(|&i| out.set(i as usize, trit))
        };
        set(self.plus, Trit::P, out)?;
        set(self.minus, Trit::N, out)
    }
}

/// The number of positions in both of two ascending lists.
fn merged(a: &[u32], b: &[u32]) -> usize {
    let mut b = b.iter().peekable();
    a.iter()
        .filter(|&i| {
            while b.next_if(|&j| j < i).is_some() {}
            b.peek() == Some(&i)
        })
        .count()
}
