//! The largest values and where they are.

use super::positions::Positions;
use super::select::{Precision, largest};
use super::{Codec, Exchange, MOST_PARAMETERS, budget, check_count, check_decode, check_encode};
use crate::error::ArgumentError;

/// The k values of largest magnitude, exact, and their positions; of equal magnitudes those that
/// come first.
///
/// Message: k values in the order of their positions, then the positions as [Elias–Fano
/// codes](https://doi.org/10.1145/321812.321820), about 2 + log₂(n/k) bits each. Not mergeable:
/// workers find different positions. Exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK {
    parameters: usize,
    k: usize,
}

impl TopK {
    /// k of n parameters.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for no parameters or more than [`MOST_PARAMETERS`], or k not in 1..=n.
    pub fn new(parameters: usize, k: usize) -> Result<Self, ArgumentError> {
        check_count("parameters", parameters, 1, MOST_PARAMETERS)?;
        check_count("k", k, 1, parameters)?;
        Ok(Self { parameters, k })
    }

    /// The largest k whose message, positions counted, has at most `ratio · n` words; at least one.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] as for `new`, [`ArgumentError::Parameter`] for a ratio outside
    /// 2⁻²⁰..=1.
    pub fn with_ratio(parameters: usize, ratio: f32) -> Result<Self, ArgumentError> {
        let words = budget(parameters, ratio)?;
        let fits = |k: usize| Self { parameters, k }.message_words(0) <= words;
        // Messages grow with k: the largest that fits lies in least..=most.
        let (mut least, mut most) = (1, words.max(1));
        while least < most {
            let middle = (least + most).div_ceil(2);
            if fits(middle) {
                least = middle;
            } else {
                most = middle - 1;
            }
        }
        Self::new(parameters, least)
    }

    /// Values that are sent.
    pub const fn k(&self) -> usize {
        self.k
    }

    const fn positions(&self) -> Positions {
        Positions::new(self.parameters, self.k)
    }
}

impl Codec for TopK {
    fn parameters(&self) -> usize {
        self.parameters
    }

    fn message_words(&self, round: usize) -> usize {
        if round == 0 { self.k + self.positions().words() } else { 0 }
    }

    fn exchange(&self) -> Exchange {
        Exchange::AllGather
    }

    fn encode(&self, round: usize, x: &[f32], message: &mut [u32]) -> Result<(), ArgumentError> {
        check_encode(self, round, x, message)?;
        let (values, positions) = message.split_at_mut(self.k);
        positions.fill(0);
        let mut writer = self.positions().writer(positions);
        largest(x, self.k, Precision::Full, 0, |place, i| {
            if let (Some(word), Some(x)) = (values.get_mut(place), x.get(i)) {
                *word = x.to_bits();
            }
            writer.push(i);
        });
        Ok(())
    }

    fn add_decoded(
        &self,
        message: &[u32],
        factor: f32,
        x: &mut [f32],
    ) -> Result<(), ArgumentError> {
        check_decode(self, message, self.k, factor, x)?;
        let (values, positions) = message.split_at(self.k);
        // Once to see that the positions are positions, once to add.
        self.positions().read(positions, |_, _| ())?;
        self.positions().read(positions, |place, i| {
            if let (Some(word), Some(x)) = (values.get(place), x.get_mut(i)) {
                *x += factor * f32::from_bits(*word);
            }
        })
    }
}
