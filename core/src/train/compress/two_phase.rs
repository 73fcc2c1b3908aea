//! The mergeable sketch that stays accurate: first where, then what.

use super::select::{Magnitudes, Precision, largest};
use super::sign_hash::{BLOCK, SignHash, for_each_block};
use super::{
    Codec, Exchange, MOST_PARAMETERS, budget, check_absorb, check_count, check_decode, check_encode,
};
use crate::error::{ArgumentError, check_lengths, check_parameter};
use crate::pi::PiChaos;

/// Most rows of a count sketch.
const MOST_ROWS: usize = 5;

/// A count sketch and how many candidates are taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchShape {
    /// Hashes, an odd number up to 5; an estimate is the median of their buckets.
    pub rows: usize,
    /// Buckets of each hash.
    pub width: usize,
    /// Values sent exactly.
    pub candidates: usize,
}

/// Two all-reduces: a small count sketch (Charikar, Chen and Farach-Colton 2002), then the exact
/// values of the k parameters whose estimates in the *merged* sketch are largest.
///
/// ```text
/// round 0   b[r, h_r(i)] += σ_r(i)·x[i]                rows·width words, added over workers
/// absorb    x̂[i] = median_r σ_r(i)·b[r, h_r(i)]        the same on every worker, so they agree on
///           candidates = k largest |x̂|                 the candidates without sending positions
/// round 1   x[candidates]                              k words, added over workers
/// ```
///
/// The values are exact, so what a sketch gets wrong costs time, not truth: a parameter that was
/// passed over stays in the residual and grows. Hashes are new in every step. Estimates are compared
/// by 15 bits; of equal ones those come first that follow an index new in every step. `S`: the
/// candidates, k words.
/// Ordered; mergeable exactly where the sums are exact.
#[derive(Clone, Debug)]
pub struct TwoPhase<S> {
    parameters: usize,
    shape: SketchShape,
    seed: u64,
    step: u64,
    candidates: S,
}

impl SketchShape {
    /// A shape of at most `ratio · n` words in both rounds, at least one row of one bucket and one
    /// candidate: `share` of the words are buckets, in one row.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for no parameters or too many, [`ArgumentError::Parameter`] for a ratio
    /// outside 2⁻²⁰..=1 or a share outside 0..=1.
    pub fn with_ratio(parameters: usize, ratio: f32, share: f32) -> Result<Self, ArgumentError> {
        check_parameter("share", share, 0.0, 1.0)?;
        let words = budget(parameters, ratio)?;
        let width = ((f64::from(share) * words as f64) as usize).max(1);
        let candidates = words.saturating_sub(width).max(1);
        Ok(Self { rows: 1, width, candidates })
    }
}

impl<S: AsRef<[u32]> + AsMut<[u32]>> TwoPhase<S> {
    /// For n parameters. Shapes: `candidates` as many words as the shape says.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for no parameters or more than [`MOST_PARAMETERS`], rows that are not
    /// 1, 3 or 5, and a width or candidates not in 1..=n; [`ArgumentError::Length`].
    pub fn new(
        parameters: usize,
        shape: SketchShape,
        seed: u64,
        mut candidates: S,
    ) -> Result<Self, ArgumentError> {
        check_count("parameters", parameters, 1, MOST_PARAMETERS)?;
        let rows = if shape.rows % 2 == 1 { shape.rows } else { 0 };
        check_count("sketch rows", rows, 1, MOST_ROWS)?;
        check_count("sketch width", shape.width, 1, parameters)?;
        check_count("candidates", shape.candidates, 1, parameters)?;
        let indices = candidates.as_mut();
        check_lengths(shape.candidates, indices.len())?;
        // Before the first merged sketch: the first parameters.
        (0..).zip(indices).for_each(|(i, candidate)| *candidate = i);
        Ok(Self { parameters, shape, seed, step: 0, candidates })
    }

    /// The candidates, ascending.
    pub fn candidates(&self) -> &[u32] {
        self.candidates.as_ref()
    }

    /// Rows, buckets and candidates.
    pub const fn shape(&self) -> SketchShape {
        self.shape
    }

    /// What the hash of a row is drawn by in this step, as [`LinearSketch::key`] says.
    ///
    /// [`LinearSketch::key`]: super::LinearSketch::key
    pub const fn key(&self, row: u64) -> u64 {
        SignHash::new(self.seed, self.step, row, self.shape.width).key()
    }

    /// The index from which on equal estimates are taken first in this step.
    pub const fn first(&self) -> usize {
        // Values that share their buckets are estimated alike: whose turn it is must change.
        (PiChaos::new().bits(self.seed ^ self.step) % self.parameters as u64) as usize
    }

    fn hashes(&self) -> [SignHash; MOST_ROWS] {
        core::array::from_fn(|row| {
            SignHash::new(self.seed, self.step, row as u64, self.shape.width)
        })
    }
}

impl<S: AsRef<[u32]> + AsMut<[u32]>> Codec for TwoPhase<S> {
    fn parameters(&self) -> usize {
        self.parameters
    }

    fn rounds(&self) -> usize {
        2
    }

    fn message_words(&self, round: usize) -> usize {
        match round {
            0 => self.shape.rows * self.shape.width,
            1 => self.shape.candidates,
            _ => 0,
        }
    }

    fn exchange(&self) -> Exchange {
        Exchange::AllReduce
    }

    fn start(&mut self, step: u64) {
        self.step = step;
    }

    fn encode(&self, round: usize, x: &[f32], message: &mut [u32]) -> Result<(), ArgumentError> {
        check_encode(self, round, x, message)?;
        if round == 0 {
            message.fill(0);
            let rows = message.chunks_exact_mut(self.shape.width);
            for (hash, row) in self.hashes().into_iter().zip(rows) {
                hash.bundle(x, bytemuck::cast_slice_mut(row));
            }
        } else {
            for (word, i) in message.iter_mut().zip(self.candidates()) {
                *word = x.get(*i as usize).copied().unwrap_or(0.0).to_bits();
            }
        }
        Ok(())
    }

    fn absorb(&mut self, round: usize, merged: &[u32]) -> Result<(), ArgumentError> {
        let merged = check_absorb(self, round, merged)?;
        if round == 0 {
            let estimates = Estimates {
                n: self.parameters,
                width: self.shape.width,
                hashes: self.hashes(),
                sketch: merged,
            };
            let (k, start) = (self.shape.candidates, self.first());
            let candidates = self.candidates.as_mut();
            largest(&estimates, k, Precision::Coarse, start, |place, i| {
                if let Some(candidate) = candidates.get_mut(place) {
                    *candidate = i as u32;
                }
            });
        }
        Ok(())
    }

    fn add_decoded(
        &self,
        message: &[u32],
        factor: f32,
        x: &mut [f32],
    ) -> Result<(), ArgumentError> {
        check_decode(self, message, message.len(), factor, x)?;
        for (word, i) in message.iter().zip(self.candidates()) {
            if let Some(x) = x.get_mut(*i as usize) {
                *x += factor * f32::from_bits(*word);
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        4 * self.shape.candidates
    }
}

/// What a merged sketch says about each parameter.
struct Estimates<'s> {
    n: usize,
    width: usize,
    hashes: [SignHash; MOST_ROWS],
    sketch: &'s [f32],
}

impl Magnitudes for Estimates<'_> {
    fn for_each(&self, mut visit: impl FnMut(usize, u32)) {
        let mut rows = [[0.0; BLOCK]; MOST_ROWS];
        let count = self.sketch.len() / self.width;
        for_each_block(self.n, self.width, |block| {
            let sketches = self.sketch.chunks_exact(self.width);
            for ((hash, sketch), values) in self.hashes.iter().zip(sketches).zip(&mut rows) {
                hash.read(block, sketch, values);
            }
            let [a, b, c, d, e] = &rows;
            for (j, i) in (block.first..block.first + block.len).enumerate() {
                let estimate = match count {
                    1 => a[j],
                    3 => median(a[j], b[j], c[j]),
                    // Of five: the extremes of four lie on either side of it.
                    _ => {
                        let ends = |x: f32, y: f32| (x.min(y), x.max(y));
                        let ((low, high), (less, more)) = (ends(a[j], b[j]), ends(d[j], e[j]));
                        median(low.max(less), high.min(more), c[j])
                    }
                };
                visit(i, estimate.to_bits() & 0x7FFF_FFFF);
            }
        });
    }
}

/// The middle one.
fn median(a: f32, b: f32, c: f32) -> f32 {
    a.min(b).max(a.max(b).min(c))
}
