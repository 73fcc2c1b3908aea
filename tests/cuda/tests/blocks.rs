//! Block types of GGUF on the emulated device against the scalar backend, with fresh random blocks.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trilane_core::error::ShapeError;
use trilane_core::gguf::TensorType;
use trilane_core::gguf::blocks::{Stored, is_supported};
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{Input, Linear};
use trilane_core::quant::ActivationsBuf;
use trilane_cuda::activations::Activations;
use trilane_cuda::{Buffer, CudaError, Matrix, Stream};
use trilane_cuda_tests::{Order, bits, device, float, random};

const LANE: PrecisionLane = PrecisionLane::Float32;

fn kinds() -> impl Iterator<Item = TensorType> {
    TensorType::ALL.iter().copied().filter(|&kind| is_supported(kind))
}

/// Random bytes whose floats are finite: the highest bit of the exponent of each is 0.
fn tensor(kind: TensorType, blocks: usize, seed: &mut u64) -> Vec<u8> {
    let mut data: Vec<u8> = (0..blocks * kind.block_bytes() + kind.trailer_bytes())
        .map(|_| random(seed) as u8)
        .collect();
    let high_bytes: &[usize] = match kind {
        TensorType::F32 => &[3],
        TensorType::Q4_1 | TensorType::Q5_1 | TensorType::Q4_K | TensorType::Q5_K => &[1, 3],
        TensorType::Q2_K => &[81, 83],
        TensorType::Q3_K => &[109],
        TensorType::Q6_K => &[209],
        TensorType::TQ1_0 => &[53],
        TensorType::TQ2_0 => &[65],
        TensorType::I2_S => &[],
        _ => &[1],
    };
    for block in data.chunks_exact_mut(kind.block_bytes()).take(blocks) {
        high_bytes.iter().for_each(|&at| block[at] &= 0xBF);
    }
    let trailer = data.len() - kind.trailer_bytes();
    if let Some(scale) = data[trailer..].first_chunk_mut() {
        *scale = float(seed).to_le_bytes();
    }
    assert!(Stored::new(kind, &data).unwrap().is_finite(), "{kind}");
    data
}

fn multiplied(stream: &Stream, linear: &Linear<'_>, x: &[f32]) -> Vec<f32> {
    let batch = x.len() / linear.cols();
    let matrix = Matrix::upload(stream, linear).unwrap();
    assert!(!matrix.takes_integers());
    let x = Buffer::from_host(stream, x).unwrap();
    let none = Activations::new(stream, 0, 0).unwrap();
    let mut y = Buffer::zeros(stream, batch * linear.rows()).unwrap();
    matrix.multiply(stream, LANE, &x, &none, &mut y).unwrap();
    y.to_vec(stream).unwrap()
}

fn gathered(stream: &Stream, linear: &Linear<'_>, rows: &[u32]) -> Vec<f32> {
    let matrix = Matrix::upload(stream, linear).unwrap();
    let tokens = Buffer::from_host(stream, rows).unwrap();
    let mut x = Buffer::zeros(stream, rows.len() * linear.cols()).unwrap();
    matrix.gather(stream, LANE, &tokens, &mut x).unwrap();
    x.to_vec(stream).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn products_and_rows_of_every_type(
        rows in 1usize..36,
        len in 1usize..700,
        batch in 1usize..3,
        descending: bool,
        mut seed: u64,
    ) {
        let order = if descending { Order::Descending } else { Order::Ascending };
        let stream = device(order).stream().unwrap();
        for kind in kinds() {
            let cols = len.next_multiple_of(kind.block_len());
            let data = tensor(kind, rows * cols / kind.block_len(), &mut seed);
            let linear = Linear::blocks(kind, rows, cols, &data).unwrap();
            let x: Vec<f32> = (0..batch * cols).map(|_| float(&mut seed)).collect();
            let mut expected = vec![0.0; batch * rows];
            for (x, y) in x.chunks(cols).zip(expected.chunks_mut(rows)) {
                let mut buf = ActivationsBuf::new(&mut [], &mut [], &mut []);
                let input = Input::new(Scalar, x, &mut buf, &[&linear]).unwrap();
                linear.matvec(Scalar, &Serial, LANE, &input, y).unwrap();
            }
            prop_assert_eq!(bits(&multiplied(&stream, &linear, &x)), bits(&expected), "{}", kind);
            // The last, and one that is not there.
            let mut expected = vec![0.0; 2 * cols];
            linear.row(LANE, rows - 1, &mut expected[..cols]).unwrap();
            let found = gathered(&stream, &linear, &[rows as u32 - 1, rows as u32]);
            prop_assert_eq!(bits(&found), bits(&expected), "{}", kind);
        }
    }
}

/// Infinities, NaN and the numbers below the normal ones.
#[test]
fn every_half() {
    let data: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let stream = device(Order::Ascending).stream().unwrap();
    for kind in [TensorType::F16, TensorType::BF16] {
        let linear = Linear::blocks(kind, 1, 1 << 16, &data).unwrap();
        let mut expected = vec![0.0; 1 << 16];
        linear.row(LANE, 0, &mut expected).unwrap();
        assert_eq!(bits(&gathered(&stream, &linear, &[0])), bits(&expected), "{kind}");
    }
}

#[test]
fn sizes_are_checked() {
    let stream = device(Order::Ascending).stream().unwrap();
    let data = [0; 36];
    let length = |expected, actual| CudaError::Shape(ShapeError::Length { expected, actual });
    let kind = TensorType::Q4_0;
    let upload = |kind, rows, cols, data| {
        Matrix::upload(&stream, &Linear::Blocks { kind, rows, cols, data })
    };
    assert_eq!(upload(kind, 3, 32, &data).unwrap_err(), length(54, 36));
    assert_eq!(upload(kind, 1, 33, &data).unwrap_err(), length(33, 64));
    for wrong in [upload(TensorType::Q8_1, 1, 32, &data), upload(kind, 0, 32, &[])] {
        assert!(matches!(wrong.unwrap_err(), CudaError::Unsupported { .. }));
    }
    let matrix = upload(kind, 2, 32, &data).unwrap();
    let none = Activations::new(&stream, 0, 0).unwrap();
    let floats = |len| Buffer::<f32>::zeros(&stream, len).unwrap();
    let multiply = |x, y| matrix.multiply(&stream, LANE, &floats(x), &none, &mut floats(y));
    assert_eq!(multiply(31, 2).unwrap_err(), length(32, 31));
    assert_eq!(multiply(32, 3).unwrap_err(), length(2, 3));
    let tokens = Buffer::from_host(&stream, &[0u32]).unwrap();
    let gather = matrix.gather(&stream, LANE, &tokens, &mut floats(64));
    assert_eq!(gather.unwrap_err(), length(32, 64));
}
