//! Backward passes for the samples that together are like all of them.

use crate::error::{ArgumentError, check_count, check_lengths, check_values};
use crate::math::reduce::{dot, sum_of_squares};

/// Takes k of M candidates whose feature vectors add up to what k of their mean would, and what that
/// leaves over is made up for by the next choices.
///
/// With features `f[i]` of length d and what is *owed* so far, `o ← o + k·mean(f)`; then k times the
/// candidate nearest to it is taken, `i = argmin |o − f[i]|²` among those not taken yet, and
/// `o ← o − f[i]`. So the sum of all that was ever taken stays as close to the sum of the means as `o` is
/// small, while the error of a random choice grows with the square root of the choices (herding, Welling
/// 2009; as an order of training samples, Lu et al. 2022). Ties go to the first candidate.
///
/// Good features are cheap and tell the gradients of samples apart: the gradient of the last layer,
/// `(p − y)⊗h` with the probabilities p, the right answer y and the inputs h of that layer, comes with the
/// forward pass that the loss needs (Katharopoulos and Fleuret 2018). `docs/training.md` has what it is
/// worth.
///
/// d floats of memory, O(k·M·d) time. Ordered: sums and products are the 16-lane reductions of
/// [`math`](crate::math).
///
/// ```
/// use trilane_core::train::herding::Herding;
/// let mut owed = [0.0; 2];
/// let mut herding = Herding::new(&mut owed)?;
/// // Four candidates of two features, of which two are to be taken.
/// let features = [1.0, 0.0, 3.0, 1.0, -1.0, 0.0, 1.0, 3.0];
/// let mut taken = [0; 2];
/// herding.take(&features, &mut taken)?;
/// assert_eq!(taken, [1, 2]); // their sum is (2, 1), twice the mean of all (2, 2)
/// assert_eq!(herding.owed(), [0.0, 1.0]);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Debug)]
pub struct Herding<'a> {
    owed: &'a mut [f32],
}

impl<'a> Herding<'a> {
    /// Nothing is owed yet; what the slice holds does not matter, its length is that of the features.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`].
    pub fn new(owed: &'a mut [f32]) -> Result<Self, ArgumentError> {
        if owed.is_empty() {
            return Err(ArgumentError::Empty);
        }
        owed.fill(0.0);
        Ok(Self { owed })
    }

    /// Takes as many candidates as `taken` has room for, and writes their numbers in the order of the
    /// choice; `features` has one row for each candidate.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] when `features` is no whole rows, [`ArgumentError::Empty`] when there are
    /// none, [`ArgumentError::NotFinite`], [`ArgumentError::Count`] when more are to be taken than there
    /// are. Nothing is changed then.
    pub fn take(&mut self, features: &[f32], taken: &mut [usize]) -> Result<(), ArgumentError> {
        let width = self.owed.len();
        let candidates = features.len() / width;
        check_lengths(candidates * width, features.len())?;
        check_values(features)?;
        check_count("candidates to take", taken.len() as i64, 0, candidates as i64)?;
        let share = taken.len() as f32 / candidates as f32;
        for row in features.chunks_exact(width) {
            self.owed.iter_mut().zip(row).for_each(|(o, f)| *o += share * f);
        }
        for at in 0..taken.len() {
            let (before, rest) = taken.split_at_mut(at);
            let free = (0..candidates).find(|i| !before.contains(i));
            let (mut best, mut least) = (free.unwrap_or(0), f32::INFINITY);
            for (i, row) in features.chunks_exact(width).enumerate() {
                // |o − f|² less |o|², which is the same for all.
                let distance = sum_of_squares(row) - 2.0 * dot(row, self.owed).unwrap_or(0.0);
                if !before.contains(&i) && distance < least {
                    (best, least) = (i, distance);
                }
            }
            rest[0] = best;
            let row = &features[best * width..][..width];
            self.owed.iter_mut().zip(row).for_each(|(o, f)| *o -= f);
        }
        Ok(())
    }

    /// What the candidates taken so far lack to the means of all.
    pub fn owed(&self) -> &[f32] {
        self.owed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pi::{Weyl, WeylSequence};
    use std::vec::Vec;

    const WIDTH: usize = 20;

    fn features(candidates: usize, draws: &mut Weyl) -> Vec<f32> {
        (0..candidates * WIDTH).map(|_| draws.next_float() - 0.3).collect()
    }

    /// The square of the length of what is owed after so many choices of 4 of 32.
    fn owed(rounds: usize, choose: impl Fn(&mut Herding<'_>, &[f32])) -> f32 {
        let mut draws = Weyl::starting_at(WeylSequence::Quadratic, 1);
        let mut owed = [0.0; WIDTH];
        let mut herding = Herding::new(&mut owed).unwrap();
        (0..rounds).for_each(|_| choose(&mut herding, &features(32, &mut draws)));
        sum_of_squares(herding.owed())
    }

    #[test]
    fn what_is_owed_stays_small_where_that_of_the_first_ones_grows() {
        let herded = |rounds| {
            owed(rounds, |herding, features| {
                let mut taken = [0; 4];
                herding.take(features, &mut taken).unwrap();
                let mut sorted = taken;
                sorted.sort_unstable();
                assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]) && sorted[3] < 32);
            })
        };
        let first = |rounds| {
            owed(rounds, |herding, features| {
                for row in features.chunks_exact(WIDTH) {
                    herding.owed.iter_mut().zip(row).for_each(|(o, f)| *o += f / 8.0);
                }
                for row in features[..4 * WIDTH].chunks_exact(WIDTH) {
                    herding.owed.iter_mut().zip(row).for_each(|(o, f)| *o -= f);
                }
            })
        };
        assert!(herded(10) < 0.5 * first(10), "{} {}", herded(10), first(10));
        assert!(herded(1000) < 0.02 * first(1000), "{} {}", herded(1000), first(1000));
        assert!(herded(1000) < 4.0 * herded(10), "{} {}", herded(1000), herded(10));
    }

    #[test]
    fn the_first_choice_is_the_candidate_nearest_to_what_is_owed() {
        let mut draws = Weyl::starting_at(WeylSequence::Quadratic, 1);
        for _ in 0..20 {
            let (features, mut owed, mut taken) =
                (features(9, &mut draws), [0.0; WIDTH], [usize::MAX]);
            Herding::new(&mut owed).unwrap().take(&features, &mut taken).unwrap();
            let mean: Vec<f64> = (0..WIDTH)
                .map(|j| (0..9).map(|i| f64::from(features[i * WIDTH + j])).sum::<f64>() / 9.0)
                .collect();
            let distance = |i: usize| -> f64 {
                let row = features[i * WIDTH..][..WIDTH].iter().zip(&mean);
                row.map(|(f, m)| (f64::from(*f) - m) * (f64::from(*f) - m)).sum()
            };
            assert!((0..9).all(|i| distance(taken[0]) <= distance(i) + 1e-5));
        }
    }

    #[test]
    fn equal_candidates_are_taken_in_their_order_and_all_of_them_owe_nothing() {
        let mut owed = [7.0; 2];
        let mut herding = Herding::new(&mut owed).unwrap();
        let mut taken = [9; 3];
        herding.take(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0], &mut taken).unwrap();
        assert_eq!(taken, [0, 1, 2]);
        assert!(herding.owed().iter().all(|o| o.abs() < 1e-6), "{:?}", herding.owed());
        herding.take(&[5.0, 5.0], &mut []).unwrap();
        assert!(herding.owed().iter().all(|o| o.abs() < 1e-6), "{:?}", herding.owed());
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        assert_eq!(Herding::new(&mut []).unwrap_err(), ArgumentError::Empty);
        let mut owed = [0.0; 2];
        let mut herding = Herding::new(&mut owed).unwrap();
        let mut taken = [7];
        let odd = herding.take(&[1.0; 3], &mut taken);
        assert_eq!(odd, Err(ArgumentError::Length { expected: 2, actual: 3 }));
        assert_eq!(herding.take(&[], &mut taken), Err(ArgumentError::Empty));
        let nan = herding.take(&[1.0, 2.0, 3.0, f32::NAN], &mut taken);
        assert_eq!(nan, Err(ArgumentError::NotFinite { index: 3 }));
        let more = herding.take(&[1.0, 2.0], &mut [0; 2]);
        assert!(matches!(more, Err(ArgumentError::Count { greatest: 1, actual: 2, .. })));
        assert_eq!((herding.owed(), taken), (&[0.0; 2][..], [7]));
        // Squares that are too large for any order leave that of the candidates.
        let mut taken = [7; 2];
        herding.take(&[f32::MAX; 6], &mut taken).unwrap();
        assert_eq!(taken, [0, 1]);
    }
}
