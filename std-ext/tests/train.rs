//! The gradients of the candle operations that training uses.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{Device, Error, Result, Tensor, Var};
use trilane_std::train::attention::Attention;
use trilane_std::train::decoder::{self, Batch, Config, Precision};
use trilane_std::train::ops::{
    Activation, ActiveShare, CrossEntropy, Gated, RmsNorm, exp, from_rows,
};

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
            assert!((slope - grad[at]).abs() < 0.01 + 0.01 * slope.abs(), "{slope} {}", grad[at]);
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
    let vars = [input(14, 4 * 32, 6)?, input(14, 2 * 32, 7)?, input(14, 2 * 32, 8)?];
    check(&vars, |v| v[0].apply_op3(&v[1], &v[2], Attention::<32>::new(4, 2, 7, 10000.0)?))?;
    let vars = [input(6, 2 * 16, 6)?, input(6, 16, 7)?, input(6, 16, 8)?];
    check(&vars, |v| v[0].apply_op3(&v[1], &v[2], Attention::<16>::new(2, 1, 3, 10000.0)?))
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
    let square: f32 = values.iter().map(|v| v * v).sum();
    let width = 0.5 * f64::from(square / values.len() as f32).sqrt();
    let step = |x: f64| (1.0 + (-x / width).exp()).recip() / 5.0;
    for (x, grad) in values.iter().map(|x| f64::from(*x)).zip(grad) {
        let slope = (step(x + 1e-4) - step(x - 1e-4)) / 2e-4;
        assert!((slope - f64::from(grad)).abs() < 1e-5, "{x}: {slope} {grad}");
    }
    Ok(())
}

fn small() -> Config {
    Config {
        vocab: 11,
        dim: 32,
        hidden: 48,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        context: 8,
        norm_eps: 1e-5,
        rope_base: 10_000.0,
        activation: Activation::Silu,
    }
}

fn weights(config: &Config) -> Result<Vec<Var>> {
    let params = decoder::params(config).into_iter().zip(0..);
    params.map(|(p, i)| Var::from_vec(p.init(i), p.shape.as_slice(), &Device::Cpu)).collect()
}

fn losses(config: &Config, weights: &[Var], tokens: &[u32], window: usize) -> Result<Vec<f32>> {
    let weights: Vec<Tensor> = weights.iter().map(|w| w.as_tensor().clone()).collect();
    let targets = tokens.iter().map(|t| (t + 1) % 11).collect();
    let batch = Batch { window, inputs: tokens.to_vec(), targets };
    let outcome = decoder::outcome(config, &weights, batch, Precision::Float)?;
    let windows = from_rows(&outcome.window_losses()?)?;
    let mean = outcome.loss()?.to_scalar::<f32>()?;
    assert!((windows.iter().sum::<f32>() / windows.len() as f32 - mean).abs() < 1e-5);
    Ok(windows)
}

/// Windows do not see each other, and a window's loss is that of its own batch.
#[test]
fn a_window_has_a_loss_of_its_own() -> Result<()> {
    let config = small();
    let weights = weights(&config)?;
    let tokens: Vec<u32> = (0..12).map(|i| i * i % 11).collect();
    let together = losses(&config, &weights, &tokens, 4)?;
    for (i, window) in tokens.chunks(4).enumerate() {
        let alone = losses(&config, &weights, window, 4)?;
        assert!((together[i] - alone[0]).abs() < 1e-5, "{together:?} {alone:?}");
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let config = small();
    let weights = weights(&config)?;
    let message = |error: Error| error.to_string();
    let refused =
        |config: &Config, tokens: &[u32]| losses(config, &weights, tokens, 4).map_err(message);
    assert!(refused(&config, &[0, 1, 2, 3]).is_ok());
    let odd = Config { dim: 30, heads: 3, ..config.clone() };
    assert_eq!(refused(&odd, &[0; 4]).unwrap_err(), "heads of 8, 16, 32 or 64, found 10");
    let deep = Config { layers: 3, ..config.clone() };
    assert_eq!(refused(&deep, &[0; 4]).unwrap_err(), "a decoder of 29 parameters, found 20");
    assert!(refused(&config, &[0; 5]).unwrap_err().starts_with("attention: "));
    assert!(refused(&config, &[0, 1, 2, 11]).is_err());
    Ok(())
}
