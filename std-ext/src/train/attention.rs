//! Causal grouped-query attention with rotary positions as one candle operation.
//!
//! Fused, because the composed form spends its time copying strided views. Scores
//! are recomputed in the backward pass instead of being kept: a sequence of 256
//! needs 64 Ki of them per head and layer.
//!
//! Rows are tokens, sequences follow each other; a row holds its heads side by
//! side. Rotary position `t` turns the pair `(2i, 2i+1)` of every query and key
//! head of width D by `t · base^(−2i/D)`.

use super::ops::{exp, from_rows, view};
use candle_core::{CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor};

/// Causal grouped-query attention: `out = softmax(q·kᵀ / √D, j ≤ i) · v` for each head, queries and
/// keys rotated first.
///
/// Shapes: q rows×(heads·D), k and v rows×(kv_heads·D), the output as q; rows a multiple of the window.
/// D, the width of a head, is a constant, so that one head row is a few vector registers; a multiple
/// of 4.
#[derive(Clone, Debug)]
pub struct Attention<const D: usize> {
    heads: usize,
    kv_heads: usize,
    window: usize,
    /// `(cos, sin)` for each position and pair, D/2 pairs a position.
    rotations: Vec<(f32, f32)>,
}

impl<const D: usize> Attention<D> {
    /// Attention over sequences of `window` tokens.
    ///
    /// # Errors
    /// When D is no multiple of 4, there are no heads, no tokens, or heads that `kv_heads` does not
    /// divide.
    pub fn new(heads: usize, kv_heads: usize, window: usize, rope_base: f32) -> Result<Self> {
        let divides = kv_heads > 0 && heads > 0 && heads.is_multiple_of(kv_heads);
        if D == 0 || !D.is_multiple_of(4) || window == 0 || !divides {
            return Err(Error::Msg(format!(
                "attention of {heads} heads of {D} over {kv_heads} key heads, {window} tokens"
            )));
        }
        let angle = |t: usize, i: usize| {
            let exponent = -2.0 * i as f64 / D as f64;
            let (sin, cos) = (t as f64 * f64::from(rope_base).powf(exponent)).sin_cos();
            (cos as f32, sin as f32)
        };
        let rotations = (0..window).flat_map(|t| (0..D / 2).map(move |i| angle(t, i)));
        Ok(Self { heads, kv_heads, window, rotations: rotations.collect() })
    }

    /// Elements of one sequence in the queries, and in the keys or values.
    fn lens(&self) -> (usize, usize) {
        let row = self.window * D;
        (row * self.heads, row * self.kv_heads)
    }

    /// Refuses what is not whole sequences.
    fn check(&self, q: usize, k: usize, v: usize) -> Result<()> {
        let (q_len, kv_len) = self.lens();
        if q.is_multiple_of(q_len) && k == v && k == q / q_len * kv_len {
            return Ok(());
        }
        Err(Error::Msg(format!(
            "attention: {q}, {k} and {v} elements are no sequences of {q_len}, {kv_len} and {kv_len}"
        )))
    }

    fn queries(&self, x: &[f32], head: usize) -> Vec<[f32; D]> {
        let mut rows = gather(x, self.heads, head);
        self.rotate(&mut rows, 1.0);
        let scale = scale(D);
        rows.iter_mut().flatten().for_each(|v| *v *= scale);
        rows
    }

    fn keys(&self, x: &[f32], head: usize) -> Vec<[f32; D]> {
        let mut rows = gather(x, self.kv_heads, head);
        self.rotate(&mut rows, 1.0);
        rows
    }

    /// Turns every row by its position, backwards when `direction` is −1.
    fn rotate(&self, rows: &mut [[f32; D]], direction: f32) {
        for (row, turn) in rows.iter_mut().zip(self.rotations.chunks_exact(D / 2)) {
            for (pair, &(cos, sin)) in row.as_chunks_mut::<2>().0.iter_mut().zip(turn) {
                let sin = sin * direction;
                *pair = [pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos];
            }
        }
    }

    fn forward(&self, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
        let mut p = vec![0.0; self.window];
        for kv in 0..self.kv_heads {
            let keys = transpose(&self.keys(k, kv));
            let values = gather::<D>(v, self.kv_heads, kv);
            for head in self.heads_of(kv) {
                let mut rows = self.queries(q, head);
                for (i, row) in rows.iter_mut().enumerate() {
                    let p = &mut p[..=i];
                    dots(row, &keys, p);
                    softmax(p);
                    *row = weighted_sum(p, &values);
                }
                scatter(&rows, out, self.heads, head);
            }
        }
    }

    fn backward(&self, input: [&[f32]; 3], grad: &[f32], output: [&mut [f32]; 3]) {
        let [q, k, v] = input;
        let [dq, dk, dv] = output;
        let n = self.window;
        let (mut p, mut dp) = (vec![0.0; n], vec![0.0; n]);
        for kv in 0..self.kv_heads {
            let keys = self.keys(k, kv);
            let keys_t = transpose(&keys);
            let values_t = transpose(&gather::<D>(v, self.kv_heads, kv));
            let mut key_grads = vec![0.0; n * D];
            let mut value_grads = vec![0.0; n * D];
            for head in self.heads_of(kv) {
                let mut rows = self.queries(q, head);
                let grads = gather::<D>(grad, self.heads, head);
                for (i, (row, g)) in rows.iter_mut().zip(&grads).enumerate() {
                    let (p, dp) = (&mut p[..=i], &mut dp[..=i]);
                    dots(row, &keys_t, p);
                    softmax(p);
                    dots(g, &values_t, dp);
                    let mean: f32 = p.iter().zip(&*dp).map(|(p, d)| p * d).sum();
                    dp.iter_mut().zip(&*p).for_each(|(d, p)| *d = p * (*d - mean));
                    add_outer(dp, row, &mut key_grads);
                    add_outer(p, g, &mut value_grads);
                    *row = weighted_sum(dp, &keys);
                }
                let scale = scale(D);
                rows.iter_mut().flatten().for_each(|v| *v *= scale);
                self.rotate(&mut rows, -1.0);
                scatter(&rows, dq, self.heads, head);
            }
            let mut key_grads = rows_of::<D>(&key_grads);
            self.rotate(&mut key_grads, -1.0);
            scatter(&key_grads, dk, self.kv_heads, kv);
            scatter(&rows_of::<D>(&value_grads), dv, self.kv_heads, kv);
        }
    }

    fn heads_of(&self, kv: usize) -> std::ops::Range<usize> {
        let group = self.heads / self.kv_heads;
        kv * group..(kv + 1) * group
    }
}

fn scale(width: usize) -> f32 {
    (width as f32).sqrt().recip()
}

fn gather<const D: usize>(x: &[f32], heads: usize, head: usize) -> Vec<[f32; D]> {
    let rows = x.as_chunks::<D>().0.iter();
    rows.skip(head).step_by(heads).copied().collect()
}

fn scatter<const D: usize>(rows: &[[f32; D]], x: &mut [f32], heads: usize, head: usize) {
    let places = x.as_chunks_mut::<D>().0.iter_mut();
    for (place, row) in places.skip(head).step_by(heads).zip(rows) {
        *place = *row;
    }
}

fn transpose<const D: usize>(rows: &[[f32; D]]) -> Vec<f32> {
    (0..D).flat_map(|d| rows.iter().map(move |row| row[d])).collect()
}

fn rows_of<const D: usize>(columns: &[f32]) -> Vec<[f32; D]> {
    let n = columns.len() / D;
    (0..n).map(|j| std::array::from_fn(|d| columns[d * n + j])).collect()
}

/// `out[j] = Σ_d x[d] · columns[d][j]`, four `d` at a time.
fn dots<const D: usize>(x: &[f32; D], columns: &[f32], out: &mut [f32]) {
    let n = out.len();
    let stride = columns.len() / D;
    out.fill(0.0);
    for (x, block) in x.as_chunks::<4>().0.iter().zip(columns.chunks_exact(4 * stride)) {
        let (a, block) = block.split_at(stride);
        let (b, block) = block.split_at(stride);
        let (c, d) = block.split_at(stride);
        let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
        for j in 0..n {
            out[j] += (x[0] * a[j] + x[1] * b[j]) + (x[2] * c[j] + x[3] * d[j]);
        }
    }
}

fn softmax(p: &mut [f32]) {
    let max = p.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
    p.iter_mut().for_each(|v| *v = exp(*v - max));
    let inverse = p.iter().sum::<f32>().recip();
    p.iter_mut().for_each(|v| *v *= inverse);
}

fn weighted_sum<const D: usize>(weights: &[f32], rows: &[[f32; D]]) -> [f32; D] {
    let mut sum = [0.0; D];
    for (w, row) in weights.iter().zip(rows) {
        for d in 0..D {
            sum[d] += w * row[d];
        }
    }
    sum
}

/// `columns[d][j] += x[d] · weights[j]`.
fn add_outer<const D: usize>(weights: &[f32], x: &[f32; D], columns: &mut [f32]) {
    let stride = columns.len() / D;
    for (x, column) in x.iter().zip(columns.chunks_exact_mut(stride)) {
        for (sum, w) in column.iter_mut().zip(weights) {
            *sum += x * w;
        }
    }
}

impl<const D: usize> CustomOp3 for Attention<D> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (view(q, q_layout)?, view(k, k_layout)?, view(v, v_layout)?);
        self.check(q.len(), k.len(), v.len())?;
        let (q_len, kv_len) = self.lens();
        let mut out = vec![0.0; q.len()];
        for (i, out) in out.chunks_exact_mut(q_len).enumerate() {
            let kv = i * kv_len..(i + 1) * kv_len;
            self.forward(&q[i * q_len..][..q_len], &k[kv.clone()], &v[kv], out);
        }
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let data = [from_rows(q)?, from_rows(k)?, from_rows(v)?];
        let grad = from_rows(grad)?;
        let (q_len, kv_len) = self.lens();
        let mut dq = vec![0.0; data[0].len()];
        let mut dk = vec![0.0; data[1].len()];
        let mut dv = vec![0.0; data[2].len()];
        for i in 0..dq.len() / q_len {
            let (a, b) = (i * q_len..(i + 1) * q_len, i * kv_len..(i + 1) * kv_len);
            let input = [&data[0][a.clone()], &data[1][b.clone()], &data[2][b.clone()]];
            let output = [&mut dq[a.clone()], &mut dk[b.clone()], &mut dv[b]];
            self.backward(input, &grad[a], output);
        }
        let tensor = |data, like: &Tensor| Tensor::from_vec(data, like.shape(), like.device());
        Ok((Some(tensor(dq, q)?), Some(tensor(dk, k)?), Some(tensor(dv, v)?)))
    }
}
