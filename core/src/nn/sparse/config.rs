//! What a sparse block may be asked to select, its numbers checked.

use super::Selection;
use core::fmt;

/// How a sparse block chooses its neurons, under the names of the published interface.
///
/// ```
/// use trilane_core::nn::{Selection, SparsityConfig};
/// // Top-K selection
/// assert_eq!(SparsityConfig::with_top_k(100).selection(), Selection::TopK(100));
/// // Threshold-based selection
/// assert_eq!(SparsityConfig::with_threshold(0.01)?.selection(), Selection::Threshold(0.01));
/// // Target sparsity ratio: 75% sparse
/// let config = SparsityConfig::with_target_sparsity(0.75)?;
/// assert_eq!(config.selection(), Selection::Share(0.25));
/// assert!(SparsityConfig::with_target_sparsity(1.5).is_err());
/// # Ok::<(), trilane_core::nn::SelectionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparsityConfig {
    selection: Selection,
}

impl SparsityConfig {
    /// Any selection.
    ///
    /// # Errors
    /// [`SelectionError`] for a share outside 0..=1, shares that sum to more than 1, or a threshold
    /// that is negative or not finite.
    pub fn new(selection: Selection) -> Result<Self, SelectionError> {
        let share = |found: f32| match found {
            0.0..=1.0 => Ok(()),
            _ => Err(SelectionError { found, expected: "a share from 0 to 1" }),
        };
        match selection {
            Selection::All | Selection::TopK(_) => {}
            Selection::Share(found) | Selection::Bytes(found) => share(found)?,
            Selection::Lanes(shares) => {
                shares.into_iter().try_for_each(share)?;
                let found = shares[0] + shares[1] + shares[2];
                if found > 1.0 + 1e-6 {
                    return Err(SelectionError { found, expected: "shares of at most 1 in all" });
                }
            }
            Selection::Threshold(found) if !(found >= 0.0 && found.is_finite()) => {
                return Err(SelectionError { found, expected: "a finite threshold of at least 0" });
            }
            Selection::Threshold(_) => {}
        }
        Ok(Self { selection })
    }

    /// Every neuron.
    pub const ALL: Self = Self { selection: Selection::All };

    /// The `k` most active neurons.
    pub const fn with_top_k(k: usize) -> Self {
        Self { selection: Selection::TopK(k) }
    }

    /// The neurons whose predicted contribution is at least `threshold`.
    ///
    /// # Errors
    /// [`SelectionError`] for a threshold that is negative or not finite.
    pub fn with_threshold(threshold: f32) -> Result<Self, SelectionError> {
        Self::new(Selection::Threshold(threshold))
    }

    /// All but this share of the neurons, from 0 to 1.
    ///
    /// # Errors
    /// [`SelectionError`] for a share outside 0..=1.
    pub fn with_target_sparsity(sparsity: f32) -> Result<Self, SelectionError> {
        match sparsity {
            0.0..=1.0 => Self::new(Selection::Share(1.0 - sparsity)),
            found => Err(SelectionError { found, expected: "a sparsity from 0 to 1" }),
        }
    }

    /// What is selected.
    pub const fn selection(self) -> Selection {
        self.selection
    }
}

/// A selection with a number outside its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectionError {
    /// The number found.
    pub found: f32,
    /// What it has to be.
    pub expected: &'static str,
}

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "selection of neurons: expected {}, found {}", self.expected, self.found)
    }
}

impl core::error::Error for SelectionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused() {
        for selection in [
            Selection::Share(-0.1),
            Selection::Bytes(1.5),
            Selection::Share(f32::NAN),
            Selection::Threshold(-1.0),
            Selection::Threshold(f32::INFINITY),
            Selection::Lanes([0.5, 0.5, 0.5]),
        ] {
            assert!(SparsityConfig::new(selection).is_err(), "{selection:?}");
        }
        assert!(SparsityConfig::with_target_sparsity(1.0).is_ok());
        assert!(SparsityConfig::with_threshold(0.0).is_ok());
    }
}
