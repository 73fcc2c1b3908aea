//! Products on the emulated device against the scalar backend, with fresh random weights.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trilane_core::digits::Group;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{Input, Linear};
use trilane_core::quant::{ActivationsBuf, activation_lens};
use trilane_cuda::activations::{Activations, Status};
use trilane_cuda::{Buffer, Matrix};
use trilane_cuda_tests::{Order, Packed, bits, device, float};

fn expected(linear: &Linear<'_>, lane: PrecisionLane, x: &[f32]) -> Vec<f32> {
    let (q, multipliers, sums) = activation_lens(x.len());
    let (mut q, mut multipliers, mut sums) = (vec![0; q], vec![0; multipliers], vec![0; sums]);
    let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
    let input = Input::new(Scalar, x, &mut buf, &[linear]).unwrap();
    let mut y = vec![0.0; linear.rows()];
    linear.matvec(Scalar, &Serial, lane, &input, &mut y).unwrap();
    y
}

fn found(linear: &Linear<'_>, lane: PrecisionLane, x: &[f32], order: Order) -> Vec<f32> {
    let stream = device(order).stream().unwrap();
    let batch = x.len() / linear.cols();
    let matrix = Matrix::upload(&stream, linear).unwrap();
    let x = Buffer::from_host(&stream, x).unwrap();
    let mut integers = Activations::new(&stream, batch, linear.cols()).unwrap();
    let mut status = Status::new(&stream, batch).unwrap();
    integers.quantize(&stream, &x, linear.cols(), &mut status, 0).unwrap();
    status.take(&stream).unwrap();
    let mut y = Buffer::zeros(&stream, batch * linear.rows()).unwrap();
    matrix.multiply(&stream, lane, &x, &integers, &mut y).unwrap();
    y.to_vec(&stream).unwrap()
}

fn check(linear: &Linear<'_>, lane: PrecisionLane, x: &[f32], order: Order) {
    let expected: Vec<f32> =
        x.chunks(linear.cols()).flat_map(|x| expected(linear, lane, x)).collect();
    assert_eq!(bits(&found(linear, lane, x, order)), bits(&expected), "{lane}");
}

/// The lanes that weights have.
fn linear_lanes(ternary: bool) -> &'static [PrecisionLane] {
    if ternary { &PrecisionLane::ALL[..1] } else { &PrecisionLane::ALL[1..4] }
}

fn groups() -> impl Strategy<Value = Group> {
    prop_oneof![Just(Group::Row), Just(Group::G32), Just(Group::G64)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn digit_planes(
        rows in 1usize..40,
        cols in prop_oneof![1usize..700, 4000usize..4400],
        batch in 1usize..3,
        many: bool,
        group in groups(),
        ternary: bool,
        descending: bool,
        mut seed: u64,
    ) {
        let (batch, rows) = if many { (64 * batch - 57, 8 * rows) } else { (batch, rows) };
        let cols = if many { cols % 700 + 1 } else { cols };
        let order = if descending { Order::Descending } else { Order::Ascending };
        let packed = Packed::new(rows, cols, group, ternary, &mut seed);
        let x: Vec<f32> = (0..batch * cols).map(|_| float(&mut seed)).collect();
        for &lane in linear_lanes(ternary) {
            check(&packed.linear(), lane, &x, order);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_tables(
        rows in 1usize..20,
        cols in 1usize..600,
        group in groups(),
        ternary: bool,
        mut seed: u64,
    ) {
        let packed = Packed::new(rows, cols, group, ternary, &mut seed);
        let linear = packed.linear();
        let stream = device(Order::Ascending).stream().unwrap();
        let matrix = Matrix::upload(&stream, &linear).unwrap();
        // The last is not in the table.
        let tokens: Vec<u32> = (0..=u32::try_from(rows).unwrap()).rev().collect();
        let ids = Buffer::from_host(&stream, &tokens).unwrap();
        for lane in linear_lanes(ternary) {
            let mut found = Buffer::zeros(&stream, tokens.len() * cols).unwrap();
            matrix.gather(&stream, *lane, &ids, &mut found).unwrap();
            let mut expected = vec![0.0; cols];
            let mut row = vec![0.0; cols];
            for token in (0..rows).rev() {
                linear.row(*lane, token, &mut row).unwrap();
                expected.extend_from_slice(&row);
            }
            prop_assert_eq!(bits(&found.to_vec(&stream).unwrap()), bits(&expected));
        }
    }
}
