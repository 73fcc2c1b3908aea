//! Low-rank factors of matrices (PowerSGD: Vogels, Karimireddy and Jaggi 2019).

use super::orthonormal::orthonormalize;
use super::{
    Codec, Exchange, MOST_PARAMETERS, budget, check_absorb, check_count, check_decode, check_encode,
};
use crate::error::{ArgumentError, check_lengths};
use crate::math::reduce;
use crate::pi::PiChaos;

/// One step of subspace iteration a step of training, started from the last:
///
/// ```text
/// round 0   P = M·Q                rows × rank, added over workers, then made orthonormal
/// round 1   R = Mᵀ·P               cols × rank, added over workers
/// decode    P·Rᵀ = P·Pᵀ·M          the projection of M on the columns of P
/// absorb    Q = R made orthonormal for the next step
/// ```
///
/// Both rounds are linear in M, so they merge; P comes from the merged sum and is the same for all.
/// Matrices lie row by row, factors column by column. A vector without the shape of a matrix can be
/// [folded](Self::folded) into one: whatever the fold, residuals of what one projection leaves out grow
/// until they are what the next one sends. `S`: state, [`state_floats`](Self::state_floats)
/// values, P and Q: as much as is sent. Ordered; mergeable exactly where the sums are exact.
#[derive(Clone, Debug)]
pub struct LowRank<S> {
    parameters: usize,
    rows: usize,
    cols: usize,
    rank: usize,
    seed: u64,
    step: u64,
    state: S,
}

impl<S> LowRank<S> {
    /// Values of state: (rows + cols)·rank.
    pub const fn state_floats(rows: usize, cols: usize, rank: usize) -> usize {
        rows.saturating_add(cols).saturating_mul(rank)
    }

    /// The largest rank whose messages have at most `ratio · rows · cols` words; at least one, at most
    /// the smaller side.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for a matrix of no values or too many, [`ArgumentError::Parameter`] for
    /// a ratio outside 2⁻²⁰..=1.
    pub fn rank_for_ratio(rows: usize, cols: usize, ratio: f32) -> Result<usize, ArgumentError> {
        let words = budget(rows.saturating_mul(cols), ratio)?;
        Ok((words / (rows + cols)).clamp(1, rows.min(cols)))
    }

    /// Its rank.
    pub const fn rank(&self) -> usize {
        self.rank
    }
}

impl<S: AsRef<[f32]> + AsMut<[f32]>> LowRank<S> {
    /// For matrices of rows × cols.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for a matrix of no values or more than [`MOST_PARAMETERS`], or a rank
    /// not in 1..=min(rows, cols); [`ArgumentError::Length`] for state of another length.
    pub fn new(
        rows: usize,
        cols: usize,
        rank: usize,
        seed: u64,
        state: S,
    ) -> Result<Self, ArgumentError> {
        Self::folded(rows.saturating_mul(cols), cols, rank, seed, state)
    }

    /// For vectors of n values, laid out in rows of `cols`, the last perhaps short.
    ///
    /// # Errors
    /// Those of `new`, for ⌈n/cols⌉ rows.
    pub fn folded(
        parameters: usize,
        cols: usize,
        rank: usize,
        seed: u64,
        mut state: S,
    ) -> Result<Self, ArgumentError> {
        check_count("parameters", parameters, 1, MOST_PARAMETERS)?;
        check_count("columns", cols, 1, MOST_PARAMETERS)?;
        let rows = parameters.div_ceil(cols);
        check_count("rank", rank, 1, rows.min(cols))?;
        check_lengths(Self::state_floats(rows, cols, rank), state.as_ref().len())?;
        let (p, q) = state.as_mut().split_at_mut(rows * rank);
        p.fill(0.0);
        q.fill(0.0);
        for (j, column) in q.chunks_exact_mut(cols).enumerate() {
            by_chance(seed, 0, j, column);
        }
        Ok(Self { parameters, rows, cols, rank, seed, step: 0, state })
    }

    fn factors(&self) -> (&[f32], &[f32]) {
        self.state.as_ref().split_at(self.rows * self.rank)
    }
}

/// Fills a column with signs.
fn by_chance(seed: u64, step: u64, column: usize, values: &mut [f32]) {
    let chaos = PiChaos::new();
    let key = chaos.bits(chaos.bits(seed).wrapping_add(step)).wrapping_add(column as u64);
    let key = chaos.bits(key);
    for (i, v) in values.iter_mut().enumerate() {
        let bits = chaos.bits(key.wrapping_add(i as u64 / 64));
        *v = if (bits >> (i % 64)) & 1 == 0 { 1.0 } else { -1.0 };
    }
}

impl<S: AsRef<[f32]> + AsMut<[f32]>> Codec for LowRank<S> {
    fn parameters(&self) -> usize {
        self.parameters
    }

    fn rounds(&self) -> usize {
        2
    }

    fn message_words(&self, round: usize) -> usize {
        match round {
            0 => self.rows * self.rank,
            1 => self.cols * self.rank,
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
        let (p, q) = self.factors();
        let out: &mut [f32] = bytemuck::cast_slice_mut(message);
        if round == 0 {
            for (i, row) in x.chunks(self.cols).enumerate() {
                for (q, p) in q.chunks_exact(self.cols).zip(out.chunks_exact_mut(self.rows)) {
                    if let (Some(p), Some(q)) = (p.get_mut(i), q.get(..row.len())) {
                        *p = reduce::dot(row, q).unwrap_or(0.0);
                    }
                }
            }
        } else {
            out.fill(0.0);
            for (i, row) in x.chunks(self.cols).enumerate() {
                for (p, r) in p.chunks_exact(self.rows).zip(out.chunks_exact_mut(self.cols)) {
                    let weight = p.get(i).copied().unwrap_or(0.0);
                    for (r, x) in r.iter_mut().zip(row) {
                        *r += weight * x;
                    }
                }
            }
        }
        Ok(())
    }

    fn absorb(&mut self, round: usize, merged: &[u32]) -> Result<(), ArgumentError> {
        let merged = check_absorb(self, round, merged)?;
        let (seed, step) = (self.seed, self.step);
        let (p, q) = self.state.as_mut().split_at_mut(self.rows * self.rank);
        if round == 0 {
            p.copy_from_slice(merged);
            // A column that says nothing new stays zero and adds nothing.
            orthonormalize(p, self.rows, |_, _| ());
        } else {
            q.copy_from_slice(merged);
            orthonormalize(q, self.cols, |j, column| by_chance(seed, step + 1, j, column));
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
        let r: &[f32] = bytemuck::cast_slice(message);
        let (p, _) = self.factors();
        for (i, row) in x.chunks_mut(self.cols).enumerate() {
            for (p, r) in p.chunks_exact(self.rows).zip(r.chunks_exact(self.cols)) {
                let weight = factor * p.get(i).copied().unwrap_or(0.0);
                for (x, r) in row.iter_mut().zip(r) {
                    *x += weight * r;
                }
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        4 * self.state.as_ref().len()
    }
}
