//! Fitting a low-rank predictor: reduced-rank ridge regression (Izenman 1975).

use crate::rows::for_each_row;
use nalgebra::{Cholesky, DMatrix, SymmetricEigen};

/// Ridge, as a share of the mean variance of the inputs.
const RIDGE: f64 = 1e-3;

/// A predictor of one layer: `t ≈ up · (down · x) + bias`.
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
    /// Share of the variance of the targets that the fit explains on its own data.
    pub explained: f64,
}

/// Fits `targets` (samples × outputs) to `inputs` (samples × dim) by the map of that rank with the
/// smallest squared error, the inputs' own ridge added.
///
/// With centred inputs X and targets T, `G = XᵀX/n + ridge = LLᵀ` and `M = L⁻¹XᵀT/n`, the best map
/// is `L⁻ᵀ U Uᵀ M`, where U are the leading eigenvectors of `MMᵀ`. f64, in order: the same fit on
/// every machine and with any number of threads. `None` for no samples, or values that are not
/// finite.
pub fn fit(inputs: &[f32], targets: &[f32], dim: usize, rank: usize) -> Option<LowRankFit> {
    let samples = inputs.len().checked_div(dim)?;
    let outputs = targets.len().checked_div(samples)?;
    let rank = rank.min(dim).min(outputs);
    let n = samples as f64;
    let mean = |values: &[f32], width: usize| -> Vec<f64> {
        let mut mean = vec![0.0; width];
        for row in values.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
        }
        mean.into_iter().map(|sum| sum / n).collect()
    };
    let (mean_x, mean_t) = (mean(inputs, dim), mean(targets, outputs));
    // Column by column, so that a product is two runs of memory.
    let columns = |values: &[f32], mean: &[f64]| -> Vec<Vec<f64>> {
        let width = mean.len();
        let column = |c: usize| {
            values.iter().skip(c).step_by(width).map(|&v| f64::from(v) - mean[c]).collect()
        };
        (0..width).map(column).collect()
    };
    let (x, t) = (columns(inputs, &mean_x), columns(targets, &mean_t));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / n;
    let rows = |left: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let rows: Result<_, std::convert::Infallible> =
            for_each_row(left.len(), |i| Ok(x.iter().map(|x| product(&left[i], x)).collect()));
        rows.unwrap_or_default()
    };
    let (gram, cross) = (rows(&x), rows(&t));
    let mut gram = DMatrix::from_fn(dim, dim, |r, c| gram[r][c]);
    let ridge = RIDGE * gram.trace() / dim as f64;
    gram += DMatrix::identity(dim, dim) * ridge.max(f64::MIN_POSITIVE);
    let lower = Cholesky::new(gram)?.l();
    // Mᵀ row by row: L⁻¹ applied to the cross products of each target.
    let solved: Result<Vec<Vec<f64>>, std::convert::Infallible> =
        for_each_row(outputs, |o| Ok(forward_substitution(&lower, &cross[o])));
    let m = solved.unwrap_or_default();
    let spread: Result<Vec<Vec<f64>>, std::convert::Infallible> = for_each_row(dim, |r| {
        Ok((0..dim).map(|c| m.iter().map(|row| row[r] * row[c]).sum()).collect())
    });
    let spread = spread.unwrap_or_default();
    let eigen = SymmetricEigen::new(DMatrix::from_fn(dim, dim, |r, c| spread[r][c]));
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]).then(a.cmp(&b)));
    order.truncate(rank);
    let upper = lower.transpose();
    let mut down = Vec::with_capacity(rank * dim);
    for &k in &order {
        let column = eigen.eigenvectors.column(k).into_owned();
        let row = upper.solve_upper_triangular(&column)?;
        down.extend(row.iter().map(|&v| v as f32));
    }
    let mut up = Vec::with_capacity(outputs * rank);
    for row in &m {
        for &k in &order {
            let column = eigen.eigenvectors.column(k);
            up.push(row.iter().zip(column.iter()).map(|(a, b)| a * b).sum::<f64>() as f32);
        }
    }
    let inner: Vec<f64> = down
        .chunks_exact(dim)
        .map(|row| row.iter().zip(&mean_x).map(|(&w, m)| f64::from(w) * m).sum())
        .collect();
    let bias = up
        .chunks_exact(rank.max(1))
        .zip(&mean_t)
        .map(|(row, mean)| {
            (mean - row.iter().zip(&inner).map(|(&w, x)| f64::from(w) * x).sum::<f64>()) as f32
        })
        .collect();
    let variance: f64 = t.iter().map(|t| product(t, t)).sum();
    let kept: f64 = order.iter().map(|&k| eigen.eigenvalues[k]).sum();
    let explained = if variance > 0.0 { kept / variance } else { 0.0 };
    let fit = LowRankFit { rank, dim, down, up, bias, explained };
    let finite = [&fit.down, &fit.up, &fit.bias].into_iter().flatten().all(|v| v.is_finite());
    finite.then_some(fit)
}

/// `L⁻¹ b` for a lower triangle.
fn forward_substitution(lower: &DMatrix<f64>, b: &[f64]) -> Vec<f64> {
    let mut y: Vec<f64> = Vec::with_capacity(b.len());
    for (r, b) in b.iter().enumerate() {
        let known: f64 = y.iter().enumerate().map(|(c, y)| lower[(r, c)] * y).sum();
        y.push((b - known) / lower[(r, r)]);
    }
    y
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn noise(seed: &mut u64) -> f32 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Targets that are a map of rank 2 of the inputs, and a constant, are found.
    #[test]
    fn a_map_of_that_rank_is_found() {
        let (dim, outputs, samples, mut seed) = (6, 9, 400, 1);
        let mut random = |n: usize| (0..n).map(|_| noise(&mut seed)).collect::<Vec<f32>>();
        let (a, b, x) = (random(2 * dim), random(outputs * 2), random(samples * dim));
        let target = |x: &[f32]| -> Vec<f32> {
            let dot = |w: &[f32]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
            let inner: Vec<f32> = a.chunks(dim).map(dot).collect();
            b.chunks(2).map(|b| b[0] * inner[0] + b[1] * inner[1] + 0.5).collect()
        };
        let targets: Vec<f32> = x.chunks(dim).flat_map(target).collect();
        let found = fit(&x, &targets, dim, 2).unwrap();
        assert!(found.explained > 0.99, "{}", found.explained);
        for (x, t) in x.chunks(dim).zip(targets.chunks(outputs)) {
            let dot = |w: &[f32], x: &[f32]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
            let inner: Vec<f32> = found.down.chunks(dim).map(|w| dot(w, x)).collect();
            for ((w, bias), t) in found.up.chunks(2).zip(&found.bias).zip(t) {
                assert!((dot(w, &inner) + bias - t).abs() < 0.02);
            }
        }
        // Of rank 1 it explains less, of a higher rank no more.
        assert!(fit(&x, &targets, dim, 1).unwrap().explained < found.explained - 0.01);
        assert!((fit(&x, &targets, dim, 6).unwrap().explained - found.explained).abs() < 1e-6);
    }

    #[test]
    fn nothing_to_fit() {
        assert_eq!(fit(&[], &[], 4, 2), None);
        assert_eq!(fit(&[f32::NAN; 8], &[1.0; 2], 4, 2), None);
    }
}
