//! Maps of low rank in place of larger ones, for the inputs that are seen.

use crate::rows::for_each_row;
use nalgebra::{Cholesky, DMatrix, SymmetricEigen};
use std::convert::Infallible;

/// Ridge, as a share of the mean variance of the inputs.
const RIDGE: f64 = 1e-3;

/// A map `z = rows · x + bias`, and how much an error of each of its values matters.
#[derive(Clone, Copy, Debug)]
pub struct LinearMap<'a> {
    /// outputs × dim.
    pub rows: &'a [f32],
    /// outputs.
    pub bias: &'a [f32],
    /// outputs.
    pub weights: &'a [f32],
}

/// A map of low rank: `z ≈ up · (down · x) + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankFit {
    /// Ranks.
    pub rank: usize,
    /// Values of an input.
    pub dim: usize,
    /// rank × dim.
    pub down: Vec<f32>,
    /// outputs × rank.
    pub up: Vec<f32>,
    /// outputs.
    pub bias: Vec<f32>,
    /// `down · x` of the mean input.
    pub inner_mean: Vec<f32>,
    /// Share of the weighted variance of the map's values that the fit explains on its inputs.
    pub explained: f64,
}

/// The map of that rank with the smallest weighted squared error on the inputs (samples × dim).
///
/// What is predicted is linear in the input, so that a regression on recorded values would give the
/// map W itself back; reduced-rank regression (Izenman 1975) is then the truncated singular value
/// decomposition of `D·W·L`, where D are the weights and `LLᵀ` is the covariance of the inputs with
/// a ridge: `up = W·L·U`, `down = Uᵀ·L⁻¹`, with U the leading eigenvectors of `(D·W·L)ᵀ(D·W·L)`, and
/// a bias with which the map is exact at the mean input. The first ranks of a fit are the best fit
/// of so many, see [`LowRankFit::truncated`].
///
/// f64, in order: the same fit on every machine and with any number of threads. `None` for no
/// samples, lengths that do not fit each other, or values that are not finite.
pub fn fit(inputs: &[f32], map: LinearMap<'_>, dim: usize, rank: usize) -> Option<LowRankFit> {
    let LinearMap { rows, bias, weights } = map;
    let (samples, outputs) = (inputs.len().checked_div(dim)?, rows.len().checked_div(dim)?);
    if bias.len() != outputs || weights.len() != outputs {
        return None;
    }
    let rank = rank.min(dim).min(outputs);
    let n = samples as f64;
    let column = |c: usize| inputs.iter().skip(c).step_by(dim).map(|&v| f64::from(v));
    let mean: Vec<f64> = (0..dim).map(|c| column(c).sum::<f64>() / n).collect();
    let x: Vec<Vec<f64>> =
        mean.iter().enumerate().map(|(c, mean)| column(c).map(|v| v - mean).collect()).collect();
    let mean: Vec<f32> = mean.into_iter().map(|v| v as f32).collect();
    let mut gram = products(&x) / n;
    let ridge = RIDGE * gram.trace() / dim as f64;
    gram += DMatrix::identity(dim, dim) * ridge.max(f64::MIN_POSITIVE);
    let lower = Cholesky::new(gram)?.l();
    // W·L by row; column c of L begins at its c-th value.
    let columns: Vec<Vec<f64>> =
        (0..dim).map(|c| (c..dim).map(|k| lower[(k, c)]).collect()).collect();
    let spread = each(outputs, |o| {
        let row: Vec<f64> = rows[o * dim..][..dim].iter().map(|&w| f64::from(w)).collect();
        columns.iter().enumerate().map(|(c, l)| dot(&row[c..], l)).collect::<Vec<f64>>()
    });
    let weighted: Vec<Vec<f64>> = (0..dim)
        .map(|c| spread.iter().zip(weights).map(|(row, &d)| row[c] * f64::from(d)).collect())
        .collect();
    let eigen = SymmetricEigen::new(products(&weighted));
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]).then(a.cmp(&b)));
    order.truncate(rank);
    let upper = lower.transpose();
    let vectors: Vec<Vec<f64>> =
        order.iter().map(|&k| eigen.eigenvectors.column(k).iter().copied().collect()).collect();
    let mut down = Vec::with_capacity(rank * dim);
    for &k in &order {
        let row = upper.solve_upper_triangular(&eigen.eigenvectors.column(k).into_owned())?;
        down.extend(row.iter().map(|&v| v as f32));
    }
    let up: Vec<f32> =
        spread.iter().flat_map(|row| vectors.iter().map(|u| dot(row, u) as f32)).collect();
    let inner_mean: Vec<f32> = down.chunks_exact(dim).map(|w| dot_f32(w, &mean)).collect();
    let at_mean = rows.chunks_exact(dim).zip(up.chunks_exact(rank.max(1)));
    let bias = at_mean
        .zip(bias)
        .map(|((w, up), bias)| bias + dot_f32(w, &mean) - dot_f32(up, &inner_mean))
        .collect();
    let variance: f64 = eigen.eigenvalues.iter().sum();
    let kept: f64 = order.iter().map(|&k| eigen.eigenvalues[k]).sum();
    let explained = if variance > 0.0 { kept / variance } else { 0.0 };
    let fit = LowRankFit { rank, dim, down, up, bias, inner_mean, explained };
    let finite = [&fit.down, &fit.up, &fit.bias].into_iter().flatten().all(|v| v.is_finite());
    (finite && rank > 0).then_some(fit)
}

impl LowRankFit {
    /// What the map predicts of an input.
    pub fn predict(&self, x: &[f32]) -> Vec<f32> {
        let inner: Vec<f32> = self.down.chunks_exact(self.dim).map(|w| dot_f32(w, x)).collect();
        let rows = self.up.chunks_exact(self.rank).zip(&self.bias);
        rows.map(|(w, bias)| dot_f32(w, &inner) + bias).collect()
    }

    /// The first ranks, which are the best of so many. What the others add at the mean input goes
    /// into the bias; `explained` stays that of all.
    pub fn truncated(&self, rank: usize) -> Self {
        let rank = rank.min(self.rank);
        let rows = self.up.chunks_exact(self.rank);
        let left = |row: &[f32]| dot_f32(&row[rank..], &self.inner_mean[rank..]);
        Self {
            rank,
            down: self.down[..rank * self.dim].to_vec(),
            up: rows.clone().flat_map(|row| &row[..rank]).copied().collect(),
            bias: rows.zip(&self.bias).map(|(row, bias)| bias + left(row)).collect(),
            inner_mean: self.inner_mean[..rank].to_vec(),
            ..*self
        }
    }
}

/// Root mean square of the error of each prediction; pairs of values and predictions.
pub(crate) fn deviations<'s>(pairs: impl Iterator<Item = (&'s [f32], &'s [f32])>) -> Vec<f32> {
    let (mut squares, mut n) = (Vec::new(), 0.0f64);
    for (z, predicted) in pairs {
        squares.resize(z.len(), 0.0f64);
        for ((sum, z), p) in squares.iter_mut().zip(z).zip(predicted) {
            *sum += f64::from(z - p) * f64::from(z - p);
        }
        n += 1.0;
    }
    squares.into_iter().map(|sum| libm::sqrt(sum / n.max(1.0)) as f32).collect()
}

/// Products of all pairs of vectors.
fn products(vectors: &[Vec<f64>]) -> DMatrix<f64> {
    let rows = each(vectors.len(), |r| {
        vectors[..=r].iter().map(|other| dot(&vectors[r], other)).collect::<Vec<f64>>()
    });
    DMatrix::from_fn(vectors.len(), vectors.len(), |r, c| rows[r.max(c)][r.min(c)])
}

fn each<T: Send>(rows: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    let results: Result<_, Infallible> = for_each_row(rows, |row| Ok(work(row)));
    results.unwrap_or_else(|never| match never {})
}

/// Four sums that do not wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

fn dot_f32(w: &[f32], x: &[f32]) -> f32 {
    w.iter().zip(x).map(|(w, x)| w * x).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn random(seed: u64, n: usize) -> Vec<f32> {
        let mut state = seed;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(next).collect()
    }

    /// Squared error of a fit on inputs, weighted.
    fn error(fit: &LowRankFit, x: &[f32], map: LinearMap<'_>) -> f64 {
        let exact = |x: &[f32]| -> Vec<f32> {
            let rows = map.rows.chunks(fit.dim).zip(map.bias);
            rows.map(|(w, bias)| dot_f32(w, x) + bias).collect()
        };
        let of = |x: &[f32]| -> f64 {
            let pairs = exact(x).into_iter().zip(fit.predict(x)).zip(map.weights);
            pairs.map(|((z, p), d)| f64::from((z - p) * d).powi(2)).sum()
        };
        x.chunks(fit.dim).map(of).sum()
    }

    /// Inputs with a mean and with directions of very different variance, and a map of full rank.
    fn problem() -> (Vec<f32>, Vec<f32>, Vec<f32>, Vec<f32>) {
        let (dim, outputs) = (6, 9);
        let mut x = random(1, 400 * dim);
        for row in x.chunks_mut(dim) {
            row.iter_mut().zip([3.0, 0.1, 1.0, 0.1, 2.0, 0.1]).for_each(|(x, s)| *x = *x * s + 0.5);
        }
        let weights = random(3, outputs).iter().map(|w| w.abs()).collect();
        (x, random(2, outputs * dim), random(4, outputs), weights)
    }

    fn mean(x: &[f32], dim: usize) -> Vec<f32> {
        let n = (x.len() / dim) as f32;
        (0..dim).map(|c| x.iter().skip(c).step_by(dim).sum::<f32>() / n).collect()
    }

    #[test]
    fn the_fit_is_the_best_of_its_rank() {
        let (x, rows, bias, weights) = problem();
        let map = LinearMap { rows: &rows, bias: &bias, weights: &weights };
        let full = fit(&x, map, 6, 6).unwrap();
        // Of rank 0 is the mean alone.
        let none = LowRankFit { up: vec![0.0; 9], ..full.truncated(1) };
        let mean = LowRankFit { bias: full.predict(&mean(&x, 6)), ..none };
        let all = error(&mean, &x, map);
        assert!(error(&full, &x, map) < 1e-6 * all);
        assert!((full.explained - 1.0).abs() < 1e-9);
        let mut last = all;
        for rank in 1..6 {
            let best = fit(&x, map, 6, rank).unwrap();
            let of = error(&best, &x, map);
            assert!(of < 0.9 * last, "{rank}: {of}, {last}");
            assert!((1.0 - best.explained - of / all).abs() < 2e-3, "{rank}");
            // The first ranks of the whole fit are the same map.
            let first = error(&full.truncated(rank), &x, map);
            assert!((first / of - 1.0).abs() < 1e-3, "{rank}: {first}, {of}");
            // Any other map is worse: one side moved a little.
            for (i, step) in [(0, 0.05), (7, -0.05), (11, 0.02)] {
                let mut other = best.clone();
                let at = i % other.down.len();
                other.down[at] += step;
                assert!(error(&other, &x, map) > of, "{rank}");
            }
            last = of;
        }
    }

    #[test]
    fn nothing_to_fit() {
        let map = |rows, n| LinearMap { rows, bias: &[0.0; 8][..n], weights: &[1.0; 8][..n] };
        assert_eq!(fit(&[], map(&[1.0; 8], 2), 4, 2), None);
        assert_eq!(fit(&[1.0; 8], map(&[1.0; 8], 3), 4, 2), None);
        assert_eq!(fit(&[f32::NAN; 8], map(&[1.0; 8], 2), 4, 2), None);
        assert_eq!(fit(&[1.0; 8], map(&[f32::INFINITY; 8], 2), 4, 2), None);
    }
}
