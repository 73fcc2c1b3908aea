//! The specification, `Scalar::lane_matvec` and `lane_sums`, against the formula in integers of any size.

use crate::planes::{GROUPS, Planes, Vector};
use crate::random::Random;
use trilane_core::digits::LaneView;
use trilane_core::kernel::{Backend, Scalar};
use trilane_core::lane::{PrecisionLane, dequantize_row};
use trilane_core::quant::Activations;

/// What a code is worth, as the table of [`PrecisionLane`] says.
fn value(lane: PrecisionLane, code: u8) -> i128 {
    let code = i128::from(code);
    match lane {
        PrecisionLane::Ternary => code - 1,
        PrecisionLane::Bit3 => 32 * code - 113,
        PrecisionLane::Bit5 => 8 * code - 125,
        PrecisionLane::Bit7 => 2 * code - 128,
        PrecisionLane::Float32 => panic!("floats have no codes"),
    }
}

/// `Σ_c group_scale · value(code) · integer` of a row.
fn sum(w: &LaneView<'_>, x: &Activations<'_>, row: usize) -> i128 {
    let planes = w.row(row);
    (0..w.cols())
        .map(|c| {
            let scaled = i128::from(planes.group_scale(c)) * value(w.lane(), planes.code(c));
            scaled * i128::from(x.integer(c))
        })
        .sum()
}

fn check(planes: &Planes, vector: &mut Vector) {
    let matrix = planes.matrix();
    vector.quantized(|x| {
        for view in PrecisionLane::ALL.into_iter().filter_map(|lane| matrix.lane(lane).ok()) {
            let mut y = vec![0.0; view.rows()];
            let mut integers = vec![0; view.rows()];
            Scalar.lane_matvec(&view, x, 0, &mut y);
            Scalar.lane_sums(&view, x, 0, &mut integers);
            for (row, (y, integer)) in y.into_iter().zip(integers).enumerate() {
                let sum = sum(&view, x, row);
                assert_eq!(i128::from(integer), sum, "{}, row {row}", view.lane());
                // One rounding of the integer, one of the scale, one of their product.
                let expected = sum as f32 * (view.row_scale(row) * x.step());
                assert_eq!(y.to_bits(), expected.to_bits(), "{}, row {row}", view.lane());
            }
        }
    });
}

#[test]
fn random_matrices_and_vectors() {
    let mut random = Random(11);
    for cols in (1..=70).chain([127, 128, 129, 255, 256, 257, 319, 320, 321, 512, 1000, 4096]) {
        for group in GROUPS {
            for ternary in [false, true] {
                let max = if ternary { 3 } else { 128 };
                let planes =
                    Planes::new(ternary, (2, cols), group, 0, |_, _| random.below(max) as u8)
                        .with_group_scales(|| random.bits() as u8)
                        .with_row_scales(|_| random.signed());
                let mut x = random.floats(cols);
                for unit in x.chunks_mut(64) {
                    let factor = (-(random.below(20) as f32)).exp2();
                    unit.iter_mut().for_each(|x| *x *= factor);
                }
                check(&planes, &mut Vector::new(x));
            }
        }
    }
}

/// Sums beyond 32 bits, which the conversion to f32 has to round.
#[test]
fn sums_at_their_limit() {
    for group in GROUPS {
        for (ternary, code) in [(false, 0), (false, 127), (true, 0), (true, 2)] {
            let planes = Planes::new(ternary, (1, 40_000), group, 0, |_, _| code);
            let planes = planes.with_group_scales(|| 255);
            let mut x = vec![1.0; 40_000];
            x[39_990..].fill(-1.0);
            x[64..128].fill(1.0 / 32768.0);
            check(&planes, &mut Vector::new(x));
        }
    }
}

/// A dequantised weight is the row scale times the exact integer in the formula.
#[test]
fn dequantized_rows_are_the_weights_of_the_formula() {
    let mut random = Random(5);
    for group in GROUPS {
        for ternary in [false, true] {
            let max = if ternary { 3 } else { 128 };
            let planes = Planes::new(ternary, (3, 130), group, 0, |_, _| random.below(max) as u8)
                .with_group_scales(|| random.bits() as u8)
                .with_row_scales(|_| random.signed());
            let matrix = planes.matrix();
            for view in PrecisionLane::ALL.into_iter().filter_map(|lane| matrix.lane(lane).ok()) {
                for row in 0..3 {
                    let mut y = [0.0; 130];
                    dequantize_row(&view, row, &mut y);
                    let planes = view.row(row);
                    for (c, y) in y.into_iter().enumerate() {
                        let integer =
                            i128::from(planes.group_scale(c)) * value(view.lane(), planes.code(c));
                        assert_eq!(y, view.row_scale(row) * integer as f32);
                    }
                }
            }
        }
    }
}
