//! Feed-forward blocks against their formulas in double precision.

use crate::random::Random;
use trilane_core::error::ShapeError;
use trilane_core::gguf::TensorType;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{Activation, FeedForward, Linear, LinearError};
use trilane_core::quant::ActivationsBuf;

const DIM: usize = 5;
const HIDDEN: usize = 20;

/// Bytes at a multiple of four, as in a file.
fn bytes(values: &[f32]) -> &[u8] {
    // Floats have no padding, and any bytes are valid.
    bytemuck::cast_slice(values)
}

fn forward(block: &FeedForward<'_>, x: &[f32]) -> Result<Vec<f32>, LinearError> {
    let (mut first, mut second, mut y) = ([9.0; HIDDEN], [9.0; HIDDEN], vec![9.0; DIM]);
    let mut buf = ActivationsBuf::new(&mut [], &mut [], &mut []);
    let lane = PrecisionLane::Float32;
    let hidden = [&mut first[..], &mut second[..]];
    block.forward(Scalar, &Serial, lane, x, &mut buf, hidden, &mut y)?;
    Ok(y)
}

fn product(w: &[f32], x: &[f64]) -> Vec<f64> {
    w.chunks(x.len()).map(|w| w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()).collect()
}

fn function(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu2 => x.max(0.0).powi(2),
        Activation::Gelu => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::GeluErf => 0.5 * x * libm::erfc(-x / 2.0f64.sqrt()),
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// Weights and inputs are at most 1 in magnitude, so hidden values are at most 36 and results at
/// most 721: 10⁻³ is many times the roundings of some thirty operations on such numbers.
#[test]
fn a_plain_block_is_its_formula() {
    let mut random = Random(7);
    let (w1, w2) = (random.floats(HIDDEN * DIM), random.floats(DIM * HIDDEN));
    let (b1, b2, x) = (random.floats(HIDDEN), random.floats(DIM), random.floats(DIM));
    let up = Linear::blocks(TensorType::F32, HIDDEN, DIM, bytes(&w1)).unwrap();
    let down = Linear::blocks(TensorType::F32, DIM, HIDDEN, bytes(&w2)).unwrap();
    for activation in Activation::ALL {
        for biases in [true, false] {
            let block = FeedForward::Plain {
                up: &up,
                up_bias: biases.then_some(&b1),
                activation,
                down: &down,
                down_bias: biases.then_some(&b2),
            };
            let bias = |b: &[f32], i: usize| if biases { f64::from(b[i]) } else { 0.0 };
            let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let hidden = product(&w1, &wide).into_iter().enumerate();
            let hidden: Vec<f64> =
                hidden.map(|(i, h)| function(activation, h + bias(&b1, i))).collect();
            let y = forward(&block, &x).unwrap();
            for (i, (y, expected)) in y.iter().zip(product(&w2, &hidden)).enumerate() {
                let expected = expected + bias(&b2, i);
                assert!((f64::from(*y) - expected).abs() < 1e-3, "{activation:?} {biases}");
            }
        }
    }
    let short = FeedForward::Plain {
        up: &up,
        up_bias: Some(&b1[1..]),
        activation: Activation::Relu,
        down: &down,
        down_bias: None,
    };
    let error = ShapeError::Length { expected: HIDDEN, actual: HIDDEN - 1 };
    assert_eq!(forward(&short, &x), Err(LinearError::Shape(error)));
}

/// Hidden values are at most 25·5, results at most 2500: 10⁻³ is many times their roundings.
#[test]
fn a_gated_block_is_its_formula() {
    let mut random = Random(8);
    let (w1, w2) = (random.floats(HIDDEN * DIM), random.floats(HIDDEN * DIM));
    let (w3, x) = (random.floats(DIM * HIDDEN), random.floats(DIM));
    let gate = Linear::blocks(TensorType::F32, HIDDEN, DIM, bytes(&w1)).unwrap();
    let up = Linear::blocks(TensorType::F32, HIDDEN, DIM, bytes(&w2)).unwrap();
    let down = Linear::blocks(TensorType::F32, DIM, HIDDEN, bytes(&w3)).unwrap();
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    for activation in Activation::ALL {
        let block = FeedForward::Gated { activation, gate: &gate, up: &up, down: &down };
        let pairs = product(&w1, &wide).into_iter().zip(product(&w2, &wide));
        let hidden: Vec<f64> = pairs.map(|(g, u)| function(activation, g) * u).collect();
        for (y, expected) in forward(&block, &x).unwrap().iter().zip(product(&w3, &hidden)) {
            assert!((f64::from(*y) - expected).abs() < 1e-3, "{activation:?}");
        }
    }
}

#[test]
fn relu_gives_plus_zero_for_what_is_not_positive() {
    let mut x = [1.5, -0.0, -2.0, f32::NAN, f32::INFINITY];
    Activation::Relu.apply(Scalar, &mut x);
    assert_eq!(x.map(f32::to_bits), [1.5, 0.0, 0.0, 0.0, f32::INFINITY].map(f32::to_bits));
    let mut x = [1.5, -0.0, -2.0, f32::NAN, f32::INFINITY];
    Activation::Relu2.apply(Scalar, &mut x);
    assert_eq!(x.map(f32::to_bits), [2.25, 0.0, 0.0, 0.0, f32::INFINITY].map(f32::to_bits));
}
