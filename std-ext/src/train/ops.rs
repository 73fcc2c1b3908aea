//! Fused candle operations, each with its gradient.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Error, Layout, Result, Shape, Tensor};
use std::fmt;
use std::str::FromStr;

/// The contiguous f32 elements of a storage.
pub(super) fn view<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let data = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => Err(Error::Msg("a fused operation needs contiguous rows".into())),
    }
}

/// A tensor's elements in row order.
///
/// # Errors
/// Those of candle: the elements are not f32.
pub fn from_rows(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// `e^x` to a relative error below 1e-6 for `|x| ≤ 87`, clamped beyond; free of
/// branches and calls, so that loops over it vectorise.
///
/// `x = n·ln 2 + f` with `|f| ≤ ln 2 / 2`; the series of `e^f` up to `f^6`, times `2^n`.
pub fn exp(x: f32) -> f32 {
    /// Adding it to a small number leaves that number, rounded, in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let f = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut series = 1.0 / 720.0;
    for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * f + c;
    }
    let power = shifted.to_bits().wrapping_add(127) << 23;
    series * f32::from_bits(power)
}

/// `y = x / √(mean(x²) + eps) · w`, for each row of `x`.
#[derive(Clone, Copy, Debug)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub eps: f32,
}

impl RmsNorm {
    fn inverse(&self, x: &[f32]) -> f32 {
        let square: f32 = x.iter().map(|v| v * v).sum();
        (square / x.len() as f32 + self.eps).sqrt().recip()
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (view(x, x_layout)?, view(w, w_layout)?);
        let mut y = vec![0.0; x.len()];
        for (x, y) in x.chunks_exact(w.len()).zip(y.chunks_exact_mut(w.len())) {
            let inverse = self.inverse(x);
            for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                *y = x * inverse * w;
            }
        }
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (xs, ws, grad) = (from_rows(x)?, from_rows(w)?, from_rows(grad)?);
        let n = ws.len();
        let mut dx = vec![0.0; xs.len()];
        let mut dw = vec![0.0; n];
        for ((x, g), dx) in xs.chunks_exact(n).zip(grad.chunks_exact(n)).zip(dx.chunks_exact_mut(n))
        {
            let r = self.inverse(x);
            let mut dot = 0.0;
            for i in 0..n {
                dot += g[i] * ws[i] * x[i];
                dw[i] += g[i] * x[i] * r;
            }
            let along = dot * r * r * r / n as f32;
            for i in 0..n {
                dx[i] = r * g[i] * ws[i] - along * x[i];
            }
        }
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(Tensor::from_vec(dw, w.shape(), w.device())?)))
    }
}

/// The function of the gate in a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `x·σ(x)`.
    Silu,
    /// `max(x, 0)²`.
    Relu2,
}

impl Activation {
    /// The name in options and in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::Relu2 => "relu2",
        }
    }

    /// The function and its slope at `x`.
    fn at(self, x: f32) -> (f32, f32) {
        match self {
            Self::Silu => {
                let s = sigmoid(x);
                (x * s, s * (1.0 + x * (1.0 - s)))
            }
            Self::Relu2 => {
                let x = x.max(0.0);
                (x * x, 2.0 * x)
            }
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let known = [Self::Silu, Self::Relu2].into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| format!("expected silu or relu2, found {name}"))
    }
}

fn sigmoid(x: f32) -> f32 {
    (1.0 + exp(-x)).recip()
}

/// `y = f(gate) · up`. Shapes: all alike.
#[derive(Clone, Copy, Debug)]
pub struct Gated(pub Activation);

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (view(gate, gate_layout)?, view(up, up_layout)?);
        let y = gate.iter().zip(up).map(|(g, u)| self.0.at(*g).0 * u).collect();
        Ok((CpuStorage::F32(y), gate_layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (g, u, d) = (from_rows(gate)?, from_rows(up)?, from_rows(grad)?);
        let mut dg = d.clone();
        let mut du = d;
        for (((dg, du), g), u) in dg.iter_mut().zip(&mut du).zip(&g).zip(&u) {
            let (value, slope) = self.0.at(*g);
            *dg *= u * slope;
            *du *= value;
        }
        let tensor = |data| Tensor::from_vec(data, gate.shape(), gate.device());
        Ok((Some(tensor(dg)?), Some(tensor(du)?)))
    }
}

/// The share of the elements that are above zero.
///
/// Its own slope is zero wherever there is one, so the gradient is that of a smooth
/// step in its place, the mean of `σ(x / width)` with half the root mean square of
/// the elements for a fixed width. It also moves those just below zero, which leaves
/// a margin: coarser weights then seldom change a sign.
#[derive(Clone, Copy, Debug)]
pub struct ActiveShare;

impl ActiveShare {
    fn width(x: &[f32]) -> f32 {
        let square: f32 = x.iter().map(|v| v * v).sum();
        0.5 * (square / x.len() as f32).sqrt().max(1e-6)
    }
}

impl CustomOp1 for ActiveShare {
    fn name(&self) -> &'static str {
        "active-share"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = view(x, layout)?;
        let active = x.iter().filter(|v| **v > 0.0).count();
        Ok((CpuStorage::F32(vec![active as f32 / x.len() as f32]), Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut d = from_rows(x)?;
        let width = Self::width(&d);
        let scale = grad.to_scalar::<f32>()? / (width * d.len() as f32);
        for v in &mut d {
            let s = sigmoid(*v / width);
            *v = scale * s * (1.0 - s);
        }
        Ok(Some(Tensor::from_vec(d, x.shape(), x.device())?))
    }
}

/// `−log softmax(logits)[target]` of every row, in nats.
///
/// Shapes: logits rows×classes, the output rows. The mean of it is the usual loss; other weights for
/// the rows are a product before the sum.
#[derive(Clone, Debug)]
pub struct CrossEntropy {
    /// The class that is right, for each row.
    pub targets: Vec<u32>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = view(logits, layout)?;
        let rows = self.targets.len();
        let width = logits.len() / rows.max(1);
        let fits = |target: &u32| (*target as usize) < width;
        if width * rows != logits.len() || !self.targets.iter().all(fits) {
            let len = logits.len();
            return Err(Error::Msg(format!("cross entropy: {rows} targets for {len} logits")));
        }
        let pairs = logits.chunks_exact(width.max(1)).zip(&self.targets);
        let losses = pairs.map(|(row, &target)| log_sum_exp(row) - row[target as usize]);
        Ok((CpuStorage::F32(losses.collect()), Shape::from(rows)))
    }

    fn bwd(&self, logits: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.gradient(logits, &from_rows(grad)?)?))
    }
}

impl CrossEntropy {
    /// `scales[i]·(softmax(logits[i]) − e[targets[i]])` for every row i: the gradient by the logits of
    /// the losses so weighted.
    ///
    /// # Errors
    /// Those of candle, when the logits cannot be read.
    pub(super) fn gradient(&self, logits: &Tensor, scales: &[f32]) -> Result<Tensor> {
        let mut d = from_rows(logits)?;
        let width = (d.len() / self.targets.len().max(1)).max(1);
        let rows = d.chunks_exact_mut(width).zip(&self.targets).zip(scales);
        rows.for_each(|((row, &target), scale)| {
            let total = log_sum_exp(row);
            row.iter_mut().for_each(|v| *v = exp(*v - total) * scale);
            row[target as usize] -= scale;
        });
        Tensor::from_vec(d, logits.shape(), logits.device())
    }
}

fn log_sum_exp(row: &[f32]) -> f32 {
    let max = row.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
    max + row.iter().map(|v| exp(v - max)).sum::<f32>().ln()
}
