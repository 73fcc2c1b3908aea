//! The other fused candle operations, each with its gradient.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Error, Layout, Result, Shape, Tensor};

/// The contiguous f32 elements of a storage.
pub(crate) fn view<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let data = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => Err(Error::Msg("a fused operation needs contiguous rows".into())),
    }
}

/// A tensor's elements in row order.
pub(crate) fn from_rows(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// `e^x` to a relative error below 1e-6 for `|x| ≤ 87`, clamped beyond; free of
/// branches and calls, so that loops over it vectorise.
///
/// `x = n·ln 2 + f` with `|f| ≤ ln 2 / 2`; the series of `e^f` up to `f^6`, times `2^n`.
pub(crate) fn exp(x: f32) -> f32 {
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
pub(crate) struct RmsNorm {
    pub(crate) eps: f32,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Activation {
    /// `x·σ(x)`.
    Silu,
    /// `max(x, 0)²`.
    Relu2,
}

impl Activation {
    /// The name in options and in the file.
    pub(crate) fn name(self) -> &'static str {
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

fn sigmoid(x: f32) -> f32 {
    (1.0 + exp(-x)).recip()
}

/// `y = f(gate) · up`.
pub(crate) struct Gated(pub(crate) Activation);

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
pub(crate) struct ActiveShare;

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

/// Mean over the rows of `−log softmax(logits)[target]`, in nats.
pub(crate) struct CrossEntropy {
    pub(crate) targets: Vec<u32>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = view(logits, layout)?;
        let rows = self.targets.len();
        let losses: Vec<f64> = logits
            .chunks_exact(logits.len() / rows)
            .zip(&self.targets)
            .map(|(row, &target)| f64::from(log_sum_exp(row) - row[target as usize]))
            .collect();
        let mean = losses.iter().sum::<f64>() / rows as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = grad.to_scalar::<f32>()? / self.targets.len() as f32;
        let mut d = from_rows(logits)?;
        let width = d.len() / self.targets.len();
        d.chunks_exact_mut(width).zip(&self.targets).for_each(|(row, &target)| {
            let total = log_sum_exp(row);
            row.iter_mut().for_each(|v| *v = exp(*v - total) * scale);
            row[target as usize] -= scale;
        });
        Ok(Some(Tensor::from_vec(d, logits.shape(), logits.device())?))
    }
}

fn log_sum_exp(row: &[f32]) -> f32 {
    let max = row.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
    max + row.iter().map(|v| exp(v - max)).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::{Attention, HEAD_DIM};
    use candle_core::{Device, Var};

    fn input(rows: usize, cols: usize, seed: usize) -> Result<Var> {
        let data = (0..rows * cols)
            .map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0)
            .collect::<Vec<f32>>();
        Var::from_vec(data, (rows, cols), &Device::Cpu)
    }

    /// Compares the gradient of `Σ f·weights` with central differences at some elements.
    fn check(vars: &[Var], f: impl Fn(&[Var]) -> Result<Tensor>) -> Result<()> {
        let probe = |y: &Tensor| -> Result<Tensor> {
            let cosines = (0..y.elem_count()).map(|i| (i as f32).cos()).collect();
            (y * Tensor::from_vec(cosines, y.shape(), y.device())?)?.sum_all()
        };
        let grads = probe(&f(vars)?)?.backward()?;
        for var in vars {
            let values = from_rows(var)?;
            let grad = from_rows(grads.get(var).ok_or(Error::Msg("no gradient".into()))?)?;
            for at in (0..values.len()).step_by(values.len().div_ceil(9)) {
                let shifted = |h: f32| -> Result<f32> {
                    let mut moved = values.clone();
                    moved[at] += h;
                    var.set(&Tensor::from_vec(moved, var.shape(), var.device())?)?;
                    probe(&f(vars)?)?.to_scalar::<f32>()
                };
                let slope = (shifted(0.01)? - shifted(-0.01)?) / 0.02;
                shifted(0.0)?;
                assert!(
                    (slope - grad[at]).abs() < 0.01 + 0.01 * slope.abs(),
                    "{slope} {}",
                    grad[at]
                );
            }
        }
        Ok(())
    }

    #[test]
    fn exp_is_close_to_the_true_function() {
        for i in -86_000..86_000 {
            let x = i as f32 / 1000.0;
            let truth = f64::from(x).exp();
            let error = (f64::from(exp(x)) / truth - 1.0).abs();
            assert!(error < 1e-6, "{x}: {error}");
        }
    }

    #[test]
    fn gradients_agree_with_differences() -> Result<()> {
        let vars = [input(6, 32, 1)?, input(1, 32, 2)?];
        check(&vars, |v| v[0].apply_op2(&v[1], RmsNorm { eps: 1e-5 }))?;
        let vars = [input(6, 32, 3)?, input(6, 32, 4)?];
        for activation in [Activation::Silu, Activation::Relu2] {
            check(&vars, |v| v[0].apply_op2(&v[1], Gated(activation)))?;
        }
        check(&[input(3, 5, 5)?], |v| v[0].apply_op1(CrossEntropy { targets: vec![4, 0, 2] }))?;
        let vars =
            [input(14, 4 * HEAD_DIM, 6)?, input(14, 2 * HEAD_DIM, 7)?, input(14, 2 * HEAD_DIM, 8)?];
        check(&vars, |v| v[0].apply_op3(&v[1], &v[2], Attention::new(4, 2, 7, 10000.0)))
    }

    /// The differences are those of the smooth step, its width held.
    #[test]
    fn the_active_share_counts_and_has_the_slope_of_a_smooth_step() -> Result<()> {
        let x = Var::from_vec(vec![-3.0_f32, -0.1, 0.0, 0.2, 2.0], 5, &Device::Cpu)?;
        let share = x.apply_op1(ActiveShare)?;
        assert_eq!(share.to_scalar::<f32>()?, 0.4);
        let grads = share.backward()?;
        let grad = from_rows(grads.get(&x).ok_or(Error::Msg("no gradient".into()))?)?;
        let values = from_rows(&x)?;
        let width = f64::from(ActiveShare::width(&values));
        let step = |x: f64| (1.0 + (-x / width).exp()).recip() / 5.0;
        for (x, grad) in values.iter().map(|x| f64::from(*x)).zip(grad) {
            let slope = (step(x + 1e-4) - step(x - 1e-4)) / 2e-4;
            assert!((slope - f64::from(grad)).abs() < 1e-5, "{x}: {slope} {grad}");
        }
        Ok(())
    }
}
