//! The plain one-phase sketch: bind and bundle.

use super::sign_hash::{BLOCK, SignHash, for_each_block};
use super::{Codec, Exchange, MOST_PARAMETERS, budget, check_count, check_decode, check_encode};
use crate::error::ArgumentError;

/// How a sketch is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// `x̂[i] = ±b[h(i)]`: the mean over seeds is x, the error large.
    Unbiased,
    /// `x̂[i] = ±b[h(i)] / load`: the orthogonal projection on what a message can tell, the
    /// least-squares answer; what is left out is never longer than x, as error feedback needs.
    Projection,
}

/// `b[h(i)] += σ(i)·x[i]`: n values in m signed sums, hash and signs new in every step.
///
/// On a vector without structure no reading of m numbers can do better than a cosine of √(m/n)
/// (m of n dimensions); [`Reading::Projection`] reaches it. The other codecs here do better because
/// they find structure. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearSketch {
    parameters: usize,
    width: usize,
    seed: u64,
    step: u64,
    reading: Reading,
}

impl LinearSketch {
    /// n parameters in `width` sums.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for no parameters or more than [`MOST_PARAMETERS`], or a width that is
    /// not in 1..=n.
    pub fn new(
        parameters: usize,
        width: usize,
        seed: u64,
        reading: Reading,
    ) -> Result<Self, ArgumentError> {
        check_count("parameters", parameters, 1, MOST_PARAMETERS)?;
        check_count("sketch width", width, 1, parameters)?;
        Ok(Self { parameters, width, seed, step: 0, reading })
    }

    /// The largest sketch of at most `ratio · n` words, at least one.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] as for `new`, [`ArgumentError::Parameter`] for a ratio outside
    /// 2⁻²⁰..=1.
    pub fn with_ratio(
        parameters: usize,
        ratio: f32,
        seed: u64,
        reading: Reading,
    ) -> Result<Self, ArgumentError> {
        Self::new(parameters, budget(parameters, ratio)?.max(1), seed, reading)
    }

    /// How messages are read.
    pub const fn reading(&self) -> Reading {
        self.reading
    }

    /// What the hash of this step is drawn by: signs of block b from [`PiChaos::bits`] of
    /// `key + 2b + 1`, the turn of chunk j from those of `key + 2j`.
    ///
    /// [`PiChaos::bits`]: crate::pi::PiChaos::bits
    pub const fn key(&self) -> u64 {
        self.hash().key()
    }

    const fn hash(&self) -> SignHash {
        SignHash::new(self.seed, self.step, 0, self.width)
    }
}

impl Codec for LinearSketch {
    fn parameters(&self) -> usize {
        self.parameters
    }

    fn message_words(&self, round: usize) -> usize {
        if round == 0 { self.width } else { 0 }
    }

    fn exchange(&self) -> Exchange {
        Exchange::AllReduce
    }

    fn start(&mut self, step: u64) {
        self.step = step;
    }

    fn encode(&self, round: usize, x: &[f32], message: &mut [u32]) -> Result<(), ArgumentError> {
        check_encode(self, round, x, message)?;
        message.fill(0);
        self.hash().bundle(x, bytemuck::cast_slice_mut(message));
        Ok(())
    }

    fn add_decoded(
        &self,
        message: &[u32],
        factor: f32,
        x: &mut [f32],
    ) -> Result<(), ArgumentError> {
        check_decode(self, message, message.len(), factor, x)?;
        let (hash, loads) = (self.hash(), self.hash().loads(self.parameters));
        let (mut values, mut load) = ([0.0; BLOCK], [1; BLOCK]);
        for_each_block(x.len(), self.width, |block| {
            hash.read(block, bytemuck::cast_slice(message), &mut values);
            if self.reading == Reading::Projection {
                hash.read_loads(block, loads, &mut load);
            }
            let x = x.get_mut(block.first..block.first + block.len).unwrap_or_default();
            for ((x, value), load) in x.iter_mut().zip(&values).zip(&load) {
                *x += factor * (value / *load as f32);
            }
        });
        Ok(())
    }
}
