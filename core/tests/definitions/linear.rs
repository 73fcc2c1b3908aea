//! Linear layers: products, rows, lanes, and what they refuse.

use crate::planes::{Planes, Vector};
use crate::random::Random;
use trilane_core::digits::{Group, MatrixError};
use trilane_core::error::ShapeError;
use trilane_core::gguf::TensorType;
use trilane_core::gguf::blocks::is_supported;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::{PrecisionLane, dequantize_row};
use trilane_core::nn::{Input, Linear, LinearError};
use trilane_core::quant::{ActivationsBuf, QuantError};

fn length<T>(expected: usize, actual: usize) -> Result<T, LinearError> {
    Err(LinearError::Shape(ShapeError::Length { expected, actual }))
}

/// Runs `each` with `x` prepared for `layers`.
fn with_input<R>(
    x: &[f32],
    layers: &[&Linear<'_>],
    each: impl FnOnce(Result<Input<'_>, LinearError>) -> R,
) -> R {
    let mut vector = Vector::new(x.to_vec());
    let (m, s) = (&mut vector.multipliers, &mut vector.sums);
    let mut buf = ActivationsBuf::new(&mut vector.q, m, s);
    each(Input::new(Scalar, &vector.x, &mut buf, layers))
}

/// `W x` of a layer.
fn product(layer: &Linear<'_>, lane: PrecisionLane, x: &[f32]) -> Result<Vec<f32>, LinearError> {
    let mut y = vec![9.0; layer.rows()];
    with_input(x, &[layer], |input| layer.matvec(Scalar, &Serial, lane, &input.unwrap(), &mut y))?;
    Ok(y)
}

fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Sums of products in double precision; ε for each of the d/16 + 6 roundings of a term.
#[test]
fn a_float_product_is_the_sum_of_products_wherever_the_floats_lie() {
    let mut random = Random(1);
    for cols in [1, 5, 16, 33, 256, 300] {
        let (w, x) = (random.floats(4 * cols), random.floats(cols));
        let mut aligned: Option<Vec<f32>> = None;
        for start in 0..4 {
            // The same floats at addresses of every remainder.
            let mut padded = vec![0; start];
            padded.extend(float_bytes(&w));
            let layer = Linear::blocks(TensorType::F32, 4, cols, &padded[start..]).unwrap();
            assert_eq!((layer.rows(), layer.cols()), (4, cols));
            let y = product(&layer, PrecisionLane::Float32, &x).unwrap();
            for (y, w) in y.iter().zip(w.chunks(cols)) {
                let terms = w.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x));
                let size: f64 = terms.clone().map(f64::abs).sum();
                let most = (cols as f64 / 16.0 + 6.0) * crate::ROUNDING * size;
                assert!((f64::from(*y) - terms.sum::<f64>()).abs() <= most);
            }
            assert_eq!(aligned.get_or_insert(y.clone()), &y);
        }
    }
}

/// A product with digit planes is the product with the dequantised row, up to the roundings of its
/// weights and the quantised vector: 1/254 of the largest value in each term.
#[test]
fn a_digit_product_is_near_the_product_with_the_dequantized_rows() {
    let mut random = Random(2);
    let planes = Planes::new(false, (3, 200), Group::G32, 0, |_, _| random.below(128) as u8)
        .with_group_scales(|| random.bits() as u8)
        .with_row_scales(|_| random.signed());
    let layer = Linear::Digits { matrix: planes.matrix(), floor: PrecisionLane::Bit3 };
    let x = random.floats(200);
    for lane in PrecisionLane::NESTED {
        let y = product(&layer, lane, &x).unwrap();
        for (row, y) in y.into_iter().enumerate() {
            let mut w = [0.0; 200];
            layer.row(lane, row, &mut w).unwrap();
            let exact: f64 = w.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            let size: f64 = w.iter().map(|w| f64::from(w.abs())).sum();
            assert!((f64::from(y) - exact).abs() <= size / 253.0, "{lane}: {y}, not {exact}");
        }
    }
}

#[test]
fn a_layer_is_read_between_its_floor_and_the_highest_lane_stored() {
    let planes = Planes::new(false, (2, 70), Group::G64, 0, |r, c| (9 * r + c) as u8 % 128)
        .with_row_scales(|_| 0.5);
    let matrix = planes.matrix();
    let layer = Linear::Digits { matrix, floor: PrecisionLane::Bit5 };
    assert!(layer.takes_integers());
    for (lane, read) in [
        (PrecisionLane::Ternary, PrecisionLane::Bit5),
        (PrecisionLane::Bit3, PrecisionLane::Bit5),
        (PrecisionLane::Bit5, PrecisionLane::Bit5),
        (PrecisionLane::Bit7, PrecisionLane::Bit7),
        (PrecisionLane::Float32, PrecisionLane::Bit7),
    ] {
        assert_eq!(layer.lane(lane), read);
        let view = matrix.lane(read).unwrap();
        assert_eq!(layer.bytes(lane), Ok(view.bytes()));
        let (mut expected, mut found) = ([0.0; 70], [0.0; 70]);
        dequantize_row(&view, 1, &mut expected);
        layer.row(lane, 1, &mut found).unwrap();
        assert_eq!(found, expected);
        let exact = Linear::Digits { matrix, floor: read };
        let x = Random(1).floats(70);
        assert_eq!(product(&layer, lane, &x), product(&exact, read, &x));
    }
}

#[test]
fn blocks_are_checked_when_the_layer_is_made() {
    let blocks = |kind, rows, cols, bytes: usize| {
        Linear::blocks(kind, rows, cols, &vec![0; bytes]).map(|layer| layer.rows())
    };
    assert_eq!(blocks(TensorType::Q8_0, 3, 64, 3 * 2 * 34), Ok(3));
    assert_eq!(blocks(TensorType::Q8_0, 3, 64, 3 * 2 * 34 + 1), length(204, 205));
    assert_eq!(blocks(TensorType::Q8_0, 3, 63, 3 * 2 * 34), length(63, 64));
    assert_eq!(blocks(TensorType::F32, 3, 5, 59), length(60, 59));
    assert_eq!(blocks(TensorType::F32, usize::MAX, 5, 8), length(usize::MAX, 8));
    assert_eq!(blocks(TensorType::Q8_0, 1, usize::MAX - 1, 8), length(usize::MAX - 1, usize::MAX));
    for (rows, cols) in [(0, 0), (0, 5), (3, 0)] {
        let error = LinearError::Matrix(MatrixError::Size { rows, cols });
        assert_eq!(blocks(TensorType::F32, rows, cols, 0), Err(error));
    }
    for &kind in TensorType::ALL.iter().filter(|&&kind| !is_supported(kind)) {
        assert_eq!(blocks(kind, 1, 256, 0), Err(LinearError::Unsupported { kind }));
    }
}

#[test]
fn rows_of_blocks_are_the_expanded_weights() {
    let w = Random(3).floats(3 * 32);
    let bytes = float_bytes(&w);
    let layer = Linear::blocks(TensorType::F32, 3, 32, &bytes).unwrap();
    assert!(!layer.takes_integers());
    for lane in PrecisionLane::ALL {
        assert_eq!(layer.lane(lane), PrecisionLane::Float32);
        assert_eq!(layer.bytes(lane), Ok(3 * 32 * 4));
    }
    let mut y = [0.0; 32];
    for row in 0..3 {
        layer.row(PrecisionLane::Bit3, row, &mut y).unwrap();
        assert_eq!(y, w[32 * row..32 * (row + 1)]);
    }
    assert_eq!(layer.row(PrecisionLane::Bit3, 3, &mut y), length(3, 3));
    assert_eq!(layer.row(PrecisionLane::Bit3, 0, &mut y[..31]), length(32, 31));
}

#[test]
fn vectors_of_another_length_or_without_integers_are_refused() {
    let planes = Planes::new(true, (3, 40), Group::Row, 0, |_, _| 2);
    let digits = Linear::Digits { matrix: planes.matrix(), floor: PrecisionLane::Ternary };
    let bytes = vec![0; 3 * 40 * 4];
    let floats = Linear::blocks(TensorType::F32, 3, 40, &bytes).unwrap();
    let lane = PrecisionLane::Ternary;
    for layer in [&digits, &floats] {
        for (cols, rows, error) in [(39, 3, length(40, 39)), (40, 4, length(3, 4))] {
            let mut y = vec![9.0; rows];
            let x = vec![1.0; cols];
            let found = with_input(&x, &[layer], |input| {
                layer.matvec(Scalar, &Serial, lane, &input.unwrap(), &mut y)
            });
            assert_eq!(found, error);
            assert!(y.iter().all(|&y| y == 9.0));
        }
        assert_eq!(layer.row(lane, usize::MAX, &mut [0.0; 40]), length(3, usize::MAX));
    }
    // Prepared for a layer of floats only, so never quantised.
    let found = with_input(&[1.0; 40], &[&floats], |input| {
        digits.matvec(Scalar, &Serial, lane, &input.unwrap(), &mut [0.0; 3])
    });
    assert_eq!(found, length(40, 0));
    // For both it is, and each takes what it needs.
    let found = with_input(&[1.0; 40], &[&floats, &digits], |input| {
        digits.matvec(Scalar, &Serial, lane, &input.unwrap(), &mut [0.0; 3])
    });
    assert_eq!(found, Ok(()));
}

#[test]
fn inputs_that_cannot_be_quantised_are_refused_when_a_layer_needs_integers() {
    let planes = Planes::new(true, (3, 40), Group::Row, 0, |_, _| 2);
    let digits = Linear::Digits { matrix: planes.matrix(), floor: PrecisionLane::Ternary };
    let mut x = [1.0; 40];
    x[7] = f32::INFINITY;
    let error = LinearError::Quant(QuantError::NotFinite { index: 7 });
    with_input(&x, &[&digits], |input| assert_eq!(input.map(|_| ()), Err(error)));
    with_input(&x, &[], |input| assert_eq!(input.map(|_| ()), Ok(())));
    let (mut q, mut m, mut s) = ([0; 255], [0; 4], [0; 8]);
    let mut buf = ActivationsBuf::new(&mut q, &mut m, &mut s);
    let error = LinearError::Quant(QuantError::Length { expected: 256, actual: 255 });
    let input = Input::new(Scalar, &[1.0; 40], &mut buf, &[&digits]);
    assert_eq!(input.map(|_| ()), Err(error));
}
