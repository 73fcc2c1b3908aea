//! Signs, zeros and a scale for each group.

use super::{Codec, Exchange, MOST_PARAMETERS, check_count, check_decode, check_encode};
use crate::error::ArgumentError;
use crate::math::reduce;

/// Values that share a scale.
pub const TERNARY_GROUP: usize = 320;
/// Words of a group: its scale and its trits.
pub const TERNARY_GROUP_WORDS: usize = 1 + TERNARY_GROUP / TRITS;
/// Trits of a word: 3²⁰ < 2³².
const TRITS: usize = 20;

/// x ≈ s·t with t ∈ {−1, 0, +1}, 1.7 bits a parameter (18.8 times smaller than f32).
///
/// ```text
/// threshold = ¾·mean|x|      zeros below; ¾ is close to the best for normal and for uniform values
/// t = sign(x) or 0           (Li and Liu 2016)
/// s = mean of |x| where t ≠ 0,  the least-squares scale
///
/// group of 320   ┌────────┬─────────┬─────────┬─ … ─┐
///                │ s, f32 │ trits   │ trits   │     │  Σ (t[j] + 1)·3ʲ, j < 20, in each word
///                └────────┴─────────┴─────────┴─ … ─┘  the last group has as many as it needs
/// ```
///
/// For vectors without structure; with error feedback. Not mergeable: sums of trits are no trits.
/// Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ternary {
    parameters: usize,
}

impl Ternary {
    /// For n parameters.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for none or more than [`MOST_PARAMETERS`].
    pub fn new(parameters: usize) -> Result<Self, ArgumentError> {
        check_count("parameters", parameters, 1, MOST_PARAMETERS)?;
        Ok(Self { parameters })
    }
}

impl Codec for Ternary {
    fn parameters(&self) -> usize {
        self.parameters
    }

    fn message_words(&self, round: usize) -> usize {
        let rest = self.parameters % TERNARY_GROUP;
        let last = if rest == 0 { 0 } else { 1 + rest.div_ceil(TRITS) };
        if round == 0 { self.parameters / TERNARY_GROUP * TERNARY_GROUP_WORDS + last } else { 0 }
    }

    fn exchange(&self) -> Exchange {
        Exchange::AllGather
    }

    fn encode(&self, round: usize, x: &[f32], message: &mut [u32]) -> Result<(), ArgumentError> {
        check_encode(self, round, x, message)?;
        for (x, words) in x.chunks(TERNARY_GROUP).zip(message.chunks_mut(TERNARY_GROUP_WORDS)) {
            let threshold = 0.75 * (sum_where(x, 0.0).0 / x.len() as f32);
            let (sum, count) = sum_where(x, threshold);
            if let Some((scale, words)) = words.split_first_mut() {
                *scale = (if count == 0 { 0.0 } else { sum / count as f32 }).to_bits();
                for (x, word) in x.chunks(TRITS).zip(words) {
                    *word = x.iter().rev().fold(0, |word, &x| 3 * word + code(x, threshold));
                }
            }
        }
        Ok(())
    }

    fn add_decoded(
        &self,
        message: &[u32],
        factor: f32,
        x: &mut [f32],
    ) -> Result<(), ArgumentError> {
        check_decode(self, message, 0, factor, x)?;
        for (group, words) in message.chunks(TERNARY_GROUP_WORDS).enumerate() {
            let finite = words.first().is_some_and(|s| f32::from_bits(*s).is_finite());
            if !finite {
                return Err(ArgumentError::NotFinite { index: group * TERNARY_GROUP_WORDS });
            }
        }
        for (x, words) in x.chunks_mut(TERNARY_GROUP).zip(message.chunks(TERNARY_GROUP_WORDS)) {
            if let Some((scale, words)) = words.split_first() {
                let step = factor * f32::from_bits(*scale);
                // −step, 0, step by code, so that the sum below has no branch.
                let values = [-step, 0.0, step];
                for (x, word) in x.chunks_mut(TRITS).zip(words) {
                    let mut word = *word;
                    for x in x {
                        *x += values[(word % 3) as usize];
                        word /= 3;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The trit of a value, plus 1.
#[inline(always)]
fn code(x: f32, threshold: f32) -> u32 {
    1 + u32::from(x > threshold) - u32::from(x < -threshold)
}

/// The sum of the magnitudes above a threshold over sixteen lanes, and how many there are.
fn sum_where(x: &[f32], threshold: f32) -> (f32, u32) {
    let (mut lanes, mut counts) = ([0.0f32; reduce::LANES], [0u32; reduce::LANES]);
    for row in x.chunks(reduce::LANES) {
        for ((lane, count), x) in lanes.iter_mut().zip(&mut counts).zip(row) {
            let above = x.abs() > threshold;
            *lane += if above { x.abs() } else { 0.0 };
            *count += u32::from(above);
        }
    }
    (reduce::add_lanes(lanes), counts.iter().sum())
}
