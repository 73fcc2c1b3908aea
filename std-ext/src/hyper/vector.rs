//! A hypervector that owns its planes.

use trilane_core::error::ArgumentError;
use trilane_core::hyper::{Stored, TritPlanes, TritPlanesMut, words};
use trilane_core::trit::Trit;

/// A hypervector with memory of its own: 2 bits a trit.
///
/// ```
/// use trilane_core::trit::Trit;
/// use trilane_std::hyper::Hypervector;
/// let mut v = Hypervector::from_i8_slice(&[1, -1, 0, 1])?;
/// v.set(2, Trit::N)?;
/// assert_eq!(v.to_i8_vec(), [1, -1, -1, 1]);
/// assert_eq!(v.view().sum(), 0);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hypervector(Stored<Vec<u64>>);

impl Hypervector {
    /// Zeros.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for no trits.
    pub fn new(dim: usize) -> Result<Self, ArgumentError> {
        Self::written(dim, |_| Ok(()))
    }

    /// What a function writes over zeros.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for no trits, and those of the function.
    pub fn written(
        dim: usize,
        write: impl FnOnce(&mut TritPlanesMut<'_>) -> Result<(), ArgumentError>,
    ) -> Result<Self, ArgumentError> {
        let mut stored = Stored::zeros(dim, vec![0; 2 * words(dim)])?;
        write(&mut stored.view_mut())?;
        Ok(Self(stored))
    }

    /// Planes that somebody wrote.
    ///
    /// # Errors
    /// Those of [`TritPlanes::new`].
    pub fn from_planes(dim: usize, plus: &[u64], minus: &[u64]) -> Result<Self, ArgumentError> {
        TritPlanes::new(dim, plus, minus)?;
        Ok(Self(Stored::new(dim, [plus, minus].concat())?))
    }

    /// The vector of trits.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for none.
    pub fn from_trits(trits: &[Trit]) -> Result<Self, ArgumentError> {
        Self::written(trits.len(), |out| out.write_trits(trits))
    }

    /// The vector of the values −1, 0 and 1.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for none, [`ArgumentError::Count`] for another value.
    pub fn from_i8_slice(values: &[i8]) -> Result<Self, ArgumentError> {
        Self::written(values.len(), |out| out.write_i8(values))
    }

    /// The vector, to read: counts, trits, planes, and what [`trilane_core::hyper`] takes.
    pub fn view(&self) -> TritPlanes<'_> {
        self.0.view()
    }

    /// The vector, to write: what [`trilane_core::hyper`] writes to.
    pub fn view_mut(&mut self) -> TritPlanesMut<'_> {
        self.0.view_mut()
    }

    /// Writes one trit.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for a position past the dimension.
    pub fn set(&mut self, i: usize, trit: Trit) -> Result<(), ArgumentError> {
        self.view_mut().set(i, trit)
    }

    /// The values −1, 0 and 1.
    pub fn to_i8_vec(&self) -> Vec<i8> {
        self.view().iter().map(Trit::value).collect()
    }
}
