//! A hypervector with the memory it is in.

use super::{TritPlanes, TritPlanesMut, words};
use crate::error::ArgumentError;

/// A hypervector and its memory, an array or whatever else holds words: two words for every 64
/// trits, as [`TritPlanesMut::zeros`] takes them. Its views are checked once, when it is made.
///
/// ```
/// use trilane_core::hyper::{Stored, random, words};
/// let mut v = Stored::zeros(1000, [0; 2 * words(1000)])?;
/// random(7, &mut v.view_mut());
/// assert_eq!(v.view().count_zero(), 0);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<M> {
    dim: usize,
    memory: M,
}

impl<M: AsRef<[u64]> + AsMut<[u64]>> Stored<M> {
    /// Zeros, whatever was in the memory.
    ///
    /// # Errors
    /// Those of [`TritPlanesMut::zeros`].
    pub fn zeros(dim: usize, mut memory: M) -> Result<Self, ArgumentError> {
        TritPlanesMut::zeros(dim, memory.as_mut())?;
        Ok(Self { dim, memory })
    }

    /// A hypervector that somebody wrote: the plane of +1, then that of −1.
    ///
    /// # Errors
    /// Those of [`TritPlanes::new`].
    pub fn new(dim: usize, mut memory: M) -> Result<Self, ArgumentError> {
        TritPlanesMut::new(dim, memory.as_mut())?;
        Ok(Self { dim, memory })
    }

    /// The vector, to read.
    pub fn view(&self) -> TritPlanes<'_> {
        let planes = self.memory.as_ref().split_at_checked(words(self.dim));
        let (plus, minus) = planes.unwrap_or_default();
        TritPlanes::trusted(self.dim, plus, minus)
    }

    /// The vector, to write.
    pub fn view_mut(&mut self) -> TritPlanesMut<'_> {
        let planes = self.memory.as_mut().split_at_mut_checked(words(self.dim));
        let (plus, minus) = planes.unwrap_or_default();
        TritPlanesMut::trusted(self.dim, plus, minus)
    }
}
