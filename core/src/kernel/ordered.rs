//! Float kernels whose order of operations is their definition.
//!
//! Each body is compiled once for every instruction set. Separate multiplications and additions,
//! and reductions over sixteen partial sums, give every vector width the same bits.
//! Callers have checked the shapes.

use crate::gguf::TensorType;
use crate::gguf::blocks::Stored;
use crate::math::{self, reduce};
use crate::quant::{self, Activations, ActivationsBuf, QuantError};

/// Weights that are expanded at a time; a multiple of every block length.
const EXPANDED: usize = 256;

/// `Σ w[c] · x[c]`; both slices have the same length.
#[inline(always)]
fn dot(w: &[f32], x: &[f32]) -> f32 {
    reduce::dot(w, x).unwrap_or(f32::NAN)
}

/// `y[r] = Σ_c w[r,c] · x[c]`, row-major `w` of `y.len()` rows.
#[inline(always)]
pub(super) fn float_matvec(w: &[f32], x: &[f32], y: &mut [f32]) {
    let cols = x.len().max(1);
    let (several, rest) = y.as_chunks_mut::<TOGETHER>();
    // There may be more rows than are asked for.
    let (first, last) = w.split_at_checked(several.len() * TOGETHER * cols).unwrap_or((w, &[]));
    for (y, rows) in several.iter_mut().zip(first.chunks_exact(TOGETHER * cols)) {
        *y = dots(rows, x);
    }
    for (y, row) in rest.iter_mut().zip(last.chunks_exact(cols)) {
        *y = dot(row, x);
    }
}

/// Rows that are multiplied together: each waits for its own additions only.
const TOGETHER: usize = 4;

/// [`dot`] of each of the rows, with the same bits.
#[inline(always)]
fn dots(rows: &[f32], x: &[f32]) -> [f32; TOGETHER] {
    let mut rest = rows.chunks_exact(x.len().max(1));
    let rows: [&[f32]; TOGETHER] = core::array::from_fn(|_| rest.next().unwrap_or(&[]));
    let chunked = rows.map(|row| row.as_chunks::<{ reduce::LANES }>());
    let (whole, tail) = x.as_chunks::<{ reduce::LANES }>();
    let mut lanes = [[0.0f32; reduce::LANES]; TOGETHER];
    for (i, x) in whole.iter().enumerate() {
        for (lanes, (whole, _)) in lanes.iter_mut().zip(&chunked) {
            let Some(w) = whole.get(i) else { continue };
            for ((lane, w), x) in lanes.iter_mut().zip(w).zip(x) {
                *lane += w * x;
            }
        }
    }
    for (lanes, (_, w)) in lanes.iter_mut().zip(&chunked) {
        for ((lane, w), x) in lanes.iter_mut().zip(*w).zip(tail) {
            *lane += w * x;
        }
    }
    lanes.map(reduce::add_lanes)
}

/// As [`float_matvec`], for rows of a block type that expands exactly to f32, with the trailer of
/// the type behind the last row.
///
/// The sixteen partial sums go on from one piece of the row to the next, so that the result has
/// the bits of the product with the expanded row.
#[inline(always)]
pub(super) fn block_matvec(kind: TensorType, w: &[u8], x: &[f32], y: &mut [f32]) {
    let Ok(stored) = Stored::new(kind, w) else { return y.fill(f32::NAN) };
    let mut expanded = [0.0; EXPANDED];
    for (row, y) in y.iter_mut().enumerate() {
        let mut lanes = [0.0f32; reduce::LANES];
        let mut first = row * x.len();
        for x in x.chunks(EXPANDED) {
            let Some(w) = expanded.get_mut(..x.len()) else { continue };
            if stored.expand(first, w).is_err() {
                w.fill(f32::NAN);
            }
            first += x.len();
            for (w, x) in w.chunks(reduce::LANES).zip(x.chunks(reduce::LANES)) {
                for ((lane, w), x) in lanes.iter_mut().zip(w).zip(x) {
                    *lane += w * x;
                }
            }
        }
        *y = reduce::add_lanes(lanes);
    }
}

/// `y[i] = x[i] · r · gain[i]`, `r = 1/√(Σx²/n + eps)`; returns `Σx²/n`.
#[inline(always)]
pub(super) fn rms_norm(x: &[f32], gain: &[f32], eps: f32, y: &mut [f32]) -> f32 {
    let mean = reduce::sum_of_squares(x) / x.len() as f32;
    let r = math::rsqrt(mean + eps);
    for ((y, x), gain) in y.iter_mut().zip(x).zip(gain) {
        *y = x * r * gain;
    }
    mean
}

/// `y[i] = (x[i] − m) · r · gain[i] + bias[i]`, `m = Σx/n`, `r = 1/√(v + eps)`, `v = Σ(x − m)²/n`;
/// returns v. The differences are kept in `y` between the passes.
#[inline(always)]
pub(super) fn layer_norm(x: &[f32], gain: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) -> f32 {
    let mean = reduce::sum(x) / x.len() as f32;
    for (y, x) in y.iter_mut().zip(x) {
        *y = x - mean;
    }
    let variance = reduce::sum_of_squares(y) / x.len() as f32;
    let r = math::rsqrt(variance + eps);
    for ((y, gain), bias) in y.iter_mut().zip(gain).zip(bias) {
        *y = *y * r * gain + bias;
    }
    variance
}

/// `x[i] = e^(x[i] − max) / Σ e^(x[j] − max)`.
#[inline(always)]
pub(super) fn softmax(x: &mut [f32]) {
    let max = reduce::max(x);
    for x in x.iter_mut() {
        *x = math::exp(*x - max);
    }
    let sum = reduce::sum(x);
    for x in x.iter_mut() {
        *x /= sum;
    }
}

/// `gate[i] = silu(gate[i]) · up[i]`.
#[inline(always)]
pub(super) fn silu_product(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = math::silu(*gate) * up;
    }
}

/// `x[i] = gelu(x[i])`, tanh form.
#[inline(always)]
pub(super) fn gelu(x: &mut [f32]) {
    for x in x.iter_mut() {
        *x = math::gelu(*x);
    }
}

/// `x[i] = gelu(x[i])`, exact form.
#[inline(always)]
pub(super) fn gelu_erf(x: &mut [f32]) {
    for x in x.iter_mut() {
        *x = math::gelu_erf(*x);
    }
}

/// `x[i] = silu(x[i])`.
#[inline(always)]
pub(super) fn silu(x: &mut [f32]) {
    for x in x.iter_mut() {
        *x = math::silu(*x);
    }
}

/// One head over the first `scores.len()` cached tokens, which are `stride` floats apart:
/// `scores = softmax(scale · K q)`, `y = Vᵀ scores`, tokens in order.
#[inline(always)]
pub(super) fn attend(
    q: &[f32],
    keys: &[f32],
    values: &[f32],
    stride: usize,
    scale: f32,
    scores: &mut [f32],
    y: &mut [f32],
) {
    for (score, key) in scores.iter_mut().zip(keys.chunks(stride.max(1))) {
        *score = dot(q, key.get(..q.len()).unwrap_or(&[])) * scale;
    }
    softmax(scores);
    y.fill(0.0);
    for (score, value) in scores.iter().zip(values.chunks(stride.max(1))) {
        for (y, value) in y.iter_mut().zip(value) {
            *y += score * value;
        }
    }
}

/// See [`ActivationsBuf::quantize`].
#[inline(always)]
pub(super) fn quantize<'b>(
    x: &[f32],
    buf: &'b mut ActivationsBuf<'_>,
) -> Result<Activations<'b>, QuantError> {
    quant::quantize_into(x, buf)
}
