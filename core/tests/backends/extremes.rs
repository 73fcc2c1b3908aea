//! `lane_matvec` where its integers are largest: every code and every activation at its limit, the
//! largest scales and multipliers, and rows so long that 32-bit sums have to be widened on the way.

use crate::lanes::{lanes, same};
use crate::planes::{GROUPS, Planes, Vector};
use trilane_core::digits::{Group, LaneView, MAX_COLS};
use trilane_core::kernel::{Backend, Level};
use trilane_core::lane::PrecisionLane;
use trilane_core::quant::Activations;

/// The largest and the smallest code, and both in turn.
fn codes(ternary: bool, pattern: usize, column: usize) -> u8 {
    let max = if ternary { 2 } else { 127 };
    [max, 0, max * (column % 2) as u8][pattern]
}

/// Values that quantise to ±127: all plus, all minus, and both in turn. The last unit is smaller by
/// 2^−`exponent`, so all the others have the multiplier 2^`exponent`.
fn limits(len: usize, pattern: usize, exponent: i32) -> Vector {
    let last = (len - 1) / 64 * 64;
    Vector::new(
        (0..len)
            .map(|i| {
                let sign = [1.0, -1.0, if i % 2 == 0 { 1.0 } else { -1.0 }][pattern];
                if i >= last { sign * (-exponent as f32).exp2() } else { sign }
            })
            .collect(),
    )
}

fn check(level: Level, ternary: bool, shape: (usize, usize), group: Group, exponent: i32) {
    for pattern in 0..9 {
        let (code, sign) = (pattern / 3, pattern % 3);
        let planes = Planes::new(ternary, shape, group, 0, |_, c| codes(ternary, code, c));
        let planes = planes.with_group_scales(|| 255).with_row_scales(|_| 0.7);
        limits(shape.1, sign, exponent).quantized(|x| {
            assert_eq!(x.integer(0).abs(), 127 << exponent);
            assert_eq!(x.integer(shape.1 - 1).abs(), 127);
            assert_eq!(x.max_multiplier(), 1 << exponent);
            same(level, &planes, x);
        });
    }
}

fn every_code_and_activation_at_its_limit(level: Level) {
    for len in [65, 128, 130, 255, 256, 257, 320, 512, 1000] {
        for group in GROUPS {
            for ternary in [false, true] {
                check(level, ternary, (1, len), group, 0);
                check(level, ternary, (1, len), group, 15);
            }
        }
    }
}

/// With multiplier 2^15 a 32-bit sum of ternary products is full after 16 blocks of 256.
fn sums_that_outgrow_32_bits(level: Level) {
    for (exponent, len) in [(15, 65536 + 192), (15, 16 * 256), (15, 17 * 256), (13, 40_000)] {
        check(level, true, (1, len), Group::Row, exponent);
    }
}

fn long_rows_with_the_largest_scales(level: Level) {
    let len = 65536 + 192;
    for (ternary, group) in [(true, Group::G32), (false, Group::Row), (false, Group::G64)] {
        let planes = Planes::new(ternary, (1, len), group, 3, |_, c| codes(ternary, 0, c));
        let planes = planes.with_group_scales(|| 255);
        limits(len, 0, 15).quantized(|x| same(level, &planes, x));
    }
}

/// The sum of a row in 128 bits, where nothing can overflow, and the product from it.
fn in_128_bits(view: &LaneView<'_>, x: &Activations<'_>) -> (i128, f32) {
    let row = view.row(0);
    let value = |code: u8| match (view.above(), view.lane()) {
        (None, PrecisionLane::Ternary) => i128::from(code) - 1,
        (None, PrecisionLane::Bit3) => 32 * i128::from(code) - 113,
        (None, PrecisionLane::Bit5) => 8 * i128::from(code) - 125,
        (None, _) => 2 * i128::from(code) - 128,
        (Some(PrecisionLane::Bit5), _) => 2 * i128::from(code) - 3,
        (Some(_), PrecisionLane::Bit5) => 8 * i128::from(code) - 12,
        (Some(_), _) => 2 * i128::from(code) - 15,
    };
    let term =
        |i: usize| i128::from(row.group_scale(i)) * value(row.code(i)) * i128::from(x.integer(i));
    let sum = (0..view.cols()).map(term).sum();
    (sum, sum as f32 * (view.row_scale(0) * x.step()))
}

/// The largest sums of each lane and group, either sign, are what they are in 128 bits. They grow
/// with the columns alone, so what a row of the most columns comes to follows from one of these.
fn the_largest_sums_are_exact(level: Level) {
    let mut largest = 0;
    let len = (1 << 16) + 64;
    for (ternary, group) in GROUPS.map(|g| [(true, g), (false, g)]).into_iter().flatten() {
        for (code, sign) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let planes = Planes::new(ternary, (1, len), group, 1, |_, c| codes(ternary, code, c));
            let planes = planes.with_group_scales(|| 255);
            limits(len, sign, 15).quantized(|x| {
                for view in lanes(&planes.matrix()) {
                    let (sum, expected) = in_128_bits(&view, x);
                    let (mut y, mut integer) = ([0.0], [0]);
                    level.lane_matvec(&view, x, 0, &mut y);
                    level.lane_sums(&view, x, 0, &mut integer);
                    assert_eq!(i128::from(integer[0]), sum, "{} {group:?}", view.lane());
                    assert_eq!(y[0].to_bits(), expected.to_bits(), "{} {group:?}", view.lane());
                    largest = sum.abs().max(largest);
                }
            });
        }
    }
    // −128 · 255 · 2^15 · 127 in every column but those of the last unit, which are 2^−15 of that.
    assert_eq!(largest, 128 * 255 * 127 * ((1 << 31) + 64));
    assert!(largest * (MAX_COLS / (1 << 16)) as i128 <= i128::from(i64::MAX));
}

/// Row scales over the whole range of floats, where products overflow and become subnormal.
fn row_scales_of_every_magnitude(level: Level) {
    let scales = [0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1), -1.5e-30];
    let planes = Planes::new(false, (scales.len(), 150), Group::Row, 1, |r, c| (r * c % 128) as u8)
        .with_row_scales(|r| scales[r] / 4.0);
    for magnitude in [1.0, 1e30, 1e-25, 1e-38] {
        let x = (0..150).map(|i| magnitude * (i as f32 - 70.0)).collect();
        Vector::new(x).quantized(|x| same(level, &planes, x));
    }
    Vector::new(vec![0.0; 150]).quantized(|x| same(level, &planes, x));
    Vector::new(vec![-0.0; 150]).quantized(|x| same(level, &planes, x));
}

every_backend!(
    every_code_and_activation_at_its_limit,
    sums_that_outgrow_32_bits,
    long_rows_with_the_largest_scales,
    the_largest_sums_are_exact,
    row_scales_of_every_magnitude
);
