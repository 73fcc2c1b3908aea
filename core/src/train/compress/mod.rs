//! Gradients as short messages between workers, with error feedback.
//!
//! | codec | what travels | exchange | words for n parameters |
//! |---|---|---|---|
//! | [`Dense`] | everything | all-reduce | n |
//! | [`LinearSketch`] | signed sums of random groups | all-reduce | m |
//! | [`TwoPhase`] | a count sketch, then the exact values of the largest found in it | all-reduce | rows·width + k |
//! | [`LowRank`] | two factors of a matrix | all-reduce | (rows + cols)·rank |
//! | [`RoundRobin`] | exact values, every parameter in its turn | all-reduce | n/period |
//! | [`TopK`] | the k largest values and their positions | all-gather | k + about k·(2 + log₂(n/k))/32 |
//! | [`Ternary`] | signs, zeros and a scale for each 320 | all-gather | 17·n/320 |
//!
//! **A step.** Each worker adds its gradient to its residual ([`feed`]), then, round by round,
//! encodes the residual into a message, exchanges it, and [absorbs](Codec::absorb) what all workers
//! said. After the last round it takes its own share off the residual ([`settle`]) and adds the
//! mean of all shares to its update ([`Codec::add_decoded`]). What is not sent is not lost: residuals
//! plus everything decoded is the sum of all gradients (Seide et al. 2014, Karimireddy et al. 2019). Nor
//! does what waits grow stale, when workers compute their gradients where it would take them
//! ([`step_ahead`]): training with a fiftieth of the words depends on it (`docs/compression.md`).
//!
//! Messages are 32-bit words, every one counted, positions and scales too. Codecs are seeded by a
//! seed and the number of the step, take O(n) time, store no matrix of random numbers, and own no
//! memory: state lies in a slice or an owned buffer of the caller's. Everything is Ordered: the same
//! bits everywhere.
//!
//! ```
//! use trilane_core::train::compress::{Codec, TopK, feed, settle};
//! let (gradient, mut residual) = ([0.1, -4.0, 0.2, 3.0, 0.0, 0.0, 0.0, 0.0], [0.0; 8]);
//! let codec = TopK::new(8, 2)?;
//! let mut message = [0; 4];
//! let message = &mut message[..codec.message_words(0)];
//! feed(&gradient, &mut residual)?;
//! codec.encode(0, &residual, message)?;
//! settle(&codec, message, &mut residual)?;
//! let mut update = [0.0; 8];
//! codec.add_decoded(message, 1.0, &mut update)?;
//! assert_eq!(update, [0.0, -4.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0]);
//! assert_eq!(residual, [0.1, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0]);
//! # Ok::<(), trilane_core::error::ArgumentError>(())
//! ```

mod dense;
mod feedback;
mod linear_sketch;
mod low_rank;
mod orthonormal;
mod positions;
mod round_robin;
mod select;
mod sign_hash;
mod ternary;
#[cfg(test)]
mod tests;
mod top_k;
mod two_phase;

pub use dense::Dense;
pub use feedback::{feed, merge, settle, step_ahead};
pub use linear_sketch::{LinearSketch, Reading};
pub use low_rank::LowRank;
pub use round_robin::RoundRobin;
pub use ternary::{TERNARY_GROUP, TERNARY_GROUP_WORDS, Ternary};
pub use top_k::TopK;
pub use two_phase::{SketchShape, TwoPhase};

use crate::error::{ArgumentError, check_lengths, check_parameter, wide};
use crate::quant::max_magnitude_bits;

/// Largest magnitude of a value: sums of 2³¹ of them stay finite.
pub const LARGEST: f32 = (1u128 << 96) as f32;
/// Most parameters of a codec.
pub const MOST_PARAMETERS: usize = 1 << 30;

/// How the messages of several workers come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Messages are f32 words; their sum ([`merge`]) is the message of the summed gradients, so
    /// every worker receives as much as one worker sends.
    AllReduce,
    /// Every worker receives every message and decodes each.
    AllGather,
}

/// Turns vectors into messages and back. Object-safe; see the [module](self) for a step.
pub trait Codec {
    /// Values in a vector, n.
    fn parameters(&self) -> usize;

    /// Rounds of messages in a step: where there are two, what is sent in the second depends on what
    /// all workers said in the first.
    fn rounds(&self) -> usize {
        1
    }

    /// Words that a worker sends in a round; 0 for a round that there is not.
    fn message_words(&self, round: usize) -> usize;

    /// How messages come together.
    fn exchange(&self) -> Exchange;

    /// Begins a step: what is chosen by chance depends on its number. All workers give the same.
    fn start(&mut self, _step: u64) {}

    /// Writes the message of a round. Shapes: `x` n, `message` `message_words(round)`.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for a round that there is not, [`ArgumentError::Length`],
    /// [`ArgumentError::NotFinite`], or [`ArgumentError::Parameter`] for a magnitude above [`LARGEST`].
    fn encode(&self, round: usize, x: &[f32], message: &mut [u32]) -> Result<(), ArgumentError>;

    /// Takes in the sum of all messages of a round, which settles what the next round sends, and
    /// after the last round, where the next step begins. Codecs without such state ignore it.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] or [`ArgumentError::Length`] as for `encode`,
    /// [`ArgumentError::NotFinite`] for a message that holds no finite numbers.
    fn absorb(&mut self, _round: usize, _merged: &[u32]) -> Result<(), ArgumentError> {
        Ok(())
    }

    /// `x += factor · decode(message)`, a message of the last round, of one worker or merged.
    ///
    /// # Errors
    /// [`ArgumentError::Length`]; [`ArgumentError::NotFinite`] for a message with a number that is
    /// not finite; `x` then stays as it was.
    fn add_decoded(&self, message: &[u32], factor: f32, x: &mut [f32])
    -> Result<(), ArgumentError>;

    /// Words that a worker sends in a whole step.
    fn step_words(&self) -> usize {
        (0..self.rounds()).map(|round| self.message_words(round)).sum()
    }

    /// Bytes that the codec keeps from one call to the next, its own fields aside.
    fn state_bytes(&self) -> usize {
        0
    }
}

/// Refuses a vector or message of another length, a round that there is not, and values that are
/// not finite or too large.
fn check_encode(
    codec: &impl Codec,
    round: usize,
    x: &[f32],
    message: &[u32],
) -> Result<(), ArgumentError> {
    check_round(codec, round)?;
    check_lengths(codec.parameters(), x.len())?;
    check_lengths(codec.message_words(round), message.len())?;
    check_magnitudes(x)
}

/// The numbers of a merged message, refused for a round that there is not, another length, and values
/// that are not finite.
fn check_absorb<'m>(
    codec: &impl Codec,
    round: usize,
    merged: &'m [u32],
) -> Result<&'m [f32], ArgumentError> {
    check_round(codec, round)?;
    check_lengths(codec.message_words(round), merged.len())?;
    let merged = bytemuck::cast_slice(merged);
    check_finite(merged)?;
    Ok(merged)
}

fn check_round(codec: &impl Codec, round: usize) -> Result<(), ArgumentError> {
    check_count("round", round, 0, codec.rounds() - 1)
}

/// Refuses a message or vector of another length, and a factor or a float of the message that is
/// not finite.
fn check_decode(
    codec: &impl Codec,
    message: &[u32],
    floats: usize,
    factor: f32,
    x: &[f32],
) -> Result<(), ArgumentError> {
    check_lengths(codec.parameters(), x.len())?;
    check_lengths(codec.message_words(codec.rounds() - 1), message.len())?;
    check_parameter("factor", factor, -LARGEST, LARGEST)?;
    check_finite(bytemuck::cast_slice(message.get(..floats).unwrap_or(message)))
}

/// Refuses NaN and infinity. Empty slices pass.
fn check_finite(x: &[f32]) -> Result<(), ArgumentError> {
    if max_magnitude_bits(x) < f32::INFINITY.to_bits() {
        return Ok(());
    }
    let index = x.iter().position(|v| !v.is_finite()).unwrap_or(0);
    Err(ArgumentError::NotFinite { index })
}

/// Refuses NaN, infinity and magnitudes above [`LARGEST`].
pub(super) fn check_magnitudes(x: &[f32]) -> Result<(), ArgumentError> {
    let bits = max_magnitude_bits(x);
    if bits <= LARGEST.to_bits() {
        return Ok(());
    }
    check_finite(x)?;
    check_parameter("magnitude", f32::from_bits(bits), 0.0, LARGEST)
}

/// Refuses a count outside `least..=greatest`.
pub(super) fn check_count(
    name: &'static str,
    actual: usize,
    least: usize,
    greatest: usize,
) -> Result<(), ArgumentError> {
    crate::error::check_count(name, wide(actual), wide(least), wide(greatest))
}

/// Words of `ratio · n`, rounded down.
///
/// # Errors
/// [`ArgumentError::Count`] for no parameters or more than [`MOST_PARAMETERS`],
/// [`ArgumentError::Parameter`] for a ratio that is not in 2⁻²⁰..=1.
pub(super) fn budget(parameters: usize, ratio: f32) -> Result<usize, ArgumentError> {
    check_count("parameters", parameters, 1, MOST_PARAMETERS)?;
    check_parameter("compression ratio", ratio, 1.0 / 1_048_576.0, 1.0)?;
    Ok((f64::from(ratio) * parameters as f64) as usize)
}
