//! Short convolutions over a sequence, gated on both sides.

use super::same_len;
use crate::error::ShapeError;

/// A depthwise causal convolution with a gate before and one after it (the short convolution of
/// LFM2, Liquid AI 2025):
///
/// ```text
/// u_t = B_t ⊙ x_t
/// y_t = C_t ⊙ Σ_k w[:, k] ⊙ u_{t − taps + 1 + k}        k = 0 … taps − 1,  u before the start 0
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ShortConv<'w> {
    weights: &'w [f32],
    dim: usize,
    taps: usize,
}

impl<'w> ShortConv<'w> {
    /// The convolution of `dim` channels, each with the weights of one of `dim` rows of `taps`; the
    /// last is that of the newest token.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when there are not dim · taps weights, or none.
    pub fn new(weights: &'w [f32], dim: usize, taps: usize) -> Result<Self, ShapeError> {
        let expected = dim.max(1).saturating_mul(taps.max(1));
        same_len(expected, dim.saturating_mul(taps))?;
        same_len(expected, weights.len())?;
        Ok(Self { weights, dim, taps })
    }

    /// The weights: dim rows of taps.
    pub const fn weights(&self) -> &'w [f32] {
        self.weights
    }

    /// Takes the token at `position` and writes its output.
    ///
    /// Shapes: `projected` 3 · dim values, B, C and x one after the other; `history` dim values for
    /// each token, of which those before `position` are from earlier calls and that at `position` is
    /// written; `y` dim. Ordered: one multiplication each for u and C; the sum from 0, the oldest
    /// token first, with those before the start left out.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when a slice has another length; of `history`, when it has no room for
    /// the token.
    pub fn forward(
        &self,
        projected: &[f32],
        position: usize,
        history: &mut [f32],
        y: &mut [f32],
    ) -> Result<(), ShapeError> {
        let Self { weights, dim, taps } = *self;
        same_len(dim.saturating_mul(3), projected.len())?;
        same_len(dim, y.len())?;
        let (b, rest) = projected.split_at(dim);
        let (c, x) = rest.split_at(dim);
        let end = position.saturating_add(1).saturating_mul(dim);
        let seen = taps.min(position.saturating_add(1));
        let actual = history.len();
        let window = history
            .get_mut(end - seen * dim..end)
            .ok_or(ShapeError::Length { expected: end, actual })?;
        let newest = window.chunks_exact_mut(dim).next_back().unwrap_or_default();
        for ((u, b), x) in newest.iter_mut().zip(b).zip(x) {
            *u = b * x;
        }
        y.fill(0.0);
        for (k, u) in (taps - seen..).zip(window.chunks_exact(dim)) {
            for ((y, row), u) in y.iter_mut().zip(weights.chunks_exact(taps)).zip(u) {
                *y += row.get(k).unwrap_or(&0.0) * u;
            }
        }
        y.iter_mut().zip(c).for_each(|(y, c)| *y *= c);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Values of one sign change in five, none of them alike nearby.
    fn values(len: usize, seed: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 37 + seed * 11) % 101) as f32 / 25.0 - 1.0;
        (0..len).map(value).collect()
    }

    #[test]
    fn every_token_is_the_formula_over_those_before_it() {
        for (dim, taps) in [(1, 1), (4, 3), (5, 2), (3, 7)] {
            let weights = values(dim * taps, 1);
            let conv = ShortConv::new(&weights, dim, taps).unwrap();
            let tokens: Vec<Vec<f32>> = (0..6).map(|t| values(3 * dim, t + 2)).collect();
            let u = |t: usize, i: usize| tokens[t][i] * tokens[t][2 * dim + i];
            let mut history = vec![f32::NAN; 6 * dim];
            let mut y = vec![f32::NAN; dim];
            for (t, token) in tokens.iter().enumerate() {
                conv.forward(token, t, &mut history, &mut y).unwrap();
                for (i, found) in y.iter().enumerate() {
                    let term = |k: usize| match (t + 1 + k).checked_sub(taps) {
                        Some(t) => f64::from(weights[i * taps + k]) * f64::from(u(t, i)),
                        None => 0.0,
                    };
                    let expected = f64::from(token[dim + i]) * (0..taps).map(term).sum::<f64>();
                    assert!((f64::from(*found) - expected).abs() < 1e-5, "{dim} {taps} {t} {i}");
                }
            }
            // Going back overwrites: the history after a position means nothing.
            let last = y.clone();
            conv.forward(&tokens[0], 3, &mut history, &mut y).unwrap();
            for (t, token) in tokens.iter().enumerate().skip(3) {
                conv.forward(token, t, &mut history, &mut y).unwrap();
            }
            assert_eq!(y, last);
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let length = |expected, actual| Err(ShapeError::Length { expected, actual });
        let weights = [0.5; 6];
        for (dim, taps, expected) in [(2, 2, 4), (usize::MAX, 2, usize::MAX)] {
            assert_eq!(ShortConv::new(&weights, dim, taps).map(|_| ()), length(expected, 6));
        }
        for (dim, taps, expected) in [(0, 3, 3), (2, 0, 2), (0, 0, 1)] {
            let weights = &weights[..expected];
            assert_eq!(ShortConv::new(weights, dim, taps).map(|_| ()), length(expected, 0));
        }
        let conv = ShortConv::new(&weights, 2, 3).unwrap();
        let run = |projected: &[f32], position, history: usize, y: usize| {
            conv.forward(projected, position, &mut vec![0.0; history], &mut vec![0.0; y])
        };
        assert_eq!(run(&[0.0; 5], 0, 8, 2), length(6, 5));
        assert_eq!(run(&[0.0; 6], 0, 8, 3), length(2, 3));
        assert_eq!(run(&[0.0; 6], 4, 8, 2), length(10, 8));
        assert_eq!(run(&[0.0; 6], usize::MAX, 8, 2), length(usize::MAX, 8));
        assert_eq!(run(&[0.0; 6], 3, 8, 2), Ok(()));
    }
}
