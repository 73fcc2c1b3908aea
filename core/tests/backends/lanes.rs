//! `lane_matvec` and `lane_sums`: digit planes times quantised activations.

use crate::planes::{GROUPS, Planes, Vector};
use crate::random::Random;
use crate::{bits, lengths};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use trilane_core::digits::{DigitMatrix, Group, LaneView};
use trilane_core::kernel::{Backend, Level, Scalar};
use trilane_core::lane::PrecisionLane;
use trilane_core::quant::Activations;

/// What outputs hold before, and guard elements after, a product.
const UNTOUCHED: f32 = -1234.5;

/// The lanes that a matrix holds, and what each has beyond the lower ones.
pub(crate) fn lanes<'a>(matrix: &DigitMatrix<'a>) -> Vec<LaneView<'a>> {
    let all = PrecisionLane::ALL;
    let refinements = all.into_iter().flat_map(|from| all.map(|to| matrix.refinement(from, to)));
    let lanes = all.into_iter().map(|lane| matrix.lane(lane));
    let views: Vec<_> = lanes.chain(refinements).filter_map(Result::ok).collect();
    let ternary = matrix.top_lane() == PrecisionLane::Ternary;
    assert_eq!(views.len(), if ternary { 1 } else { 6 });
    views
}

/// What view and matrix a comparison that failed was of.
pub(crate) fn named(view: &LaneView<'_>) -> String {
    let above = view.above().map_or(String::new(), |above| format!(" above {above}"));
    format!("{}{above} {:?} {}×{}", view.lane(), view.group(), view.rows(), view.cols())
}

/// `rows` outputs from row `first` on, with a guard on either side.
fn product(
    b: impl Backend,
    w: &LaneView<'_>,
    x: &Activations<'_>,
    first: usize,
    rows: usize,
) -> Vec<f32> {
    let mut y = vec![UNTOUCHED; rows + 2];
    b.lane_matvec(w, x, first, &mut y[1..=rows]);
    assert_eq!((y[0], y[rows + 1]), (UNTOUCHED, UNTOUCHED), "a guard was written");
    y
}

/// As [`product`], the integers.
fn sums(
    b: impl Backend,
    w: &LaneView<'_>,
    x: &Activations<'_>,
    first: usize,
    rows: usize,
) -> Vec<i64> {
    let mut y = vec![i64::MIN; rows + 2];
    b.lane_sums(w, x, first, &mut y[1..=rows]);
    assert_eq!((y[0], y[rows + 1]), (i64::MIN, i64::MIN), "a guard was written");
    y
}

/// Asserts the specification's bits for every lane of a matrix, whole and from every row on.
pub(crate) fn same(level: Level, planes: &Planes, x: &Activations<'_>) {
    for view in lanes(&planes.matrix()) {
        let what = || named(&view);
        let all = product(Scalar, &view, x, 0, view.rows());
        assert!(all[1..=view.rows()].iter().all(|&v| v != UNTOUCHED), "{}", what());
        let integers = sums(Scalar, &view, x, 0, view.rows());
        assert_eq!(sums(level, &view, x, 0, view.rows()), integers, "{}", what());
        for first in 0..view.rows() {
            let y = product(level, &view, x, first, view.rows() - first);
            assert_eq!(bits(&y[1..]), bits(&all[1 + first..]), "{}, from row {first}", what());
        }
    }
}

/// A matrix of random codes and scales.
pub(crate) fn random(ternary: bool, shape: (usize, usize), group: Group, seed: u64) -> Planes {
    let mut random = Random(seed);
    let odd = random.below(8);
    let codes = if ternary { 3 } else { 128 };
    let planes = Planes::new(ternary, shape, group, odd, |_, _| random.below(codes) as u8);
    let planes = planes.with_group_scales(|| random.bits() as u8);
    planes.with_row_scales(|_| random.signed())
}

/// Values of very different magnitude from one unit of 64 to the next.
pub(crate) fn uneven(len: usize, seed: u64) -> Vector {
    let mut random = Random(seed);
    let mut x = random.floats(len);
    for unit in x.chunks_mut(64) {
        let factor = (-(random.below(18) as f32)).exp2();
        unit.iter_mut().for_each(|x| *x *= factor);
    }
    Vector::new(x)
}

fn check(level: Level, ternary: bool, shape: (usize, usize), group: Group, seed: u64) {
    let planes = random(ternary, shape, group, seed);
    uneven(shape.1, seed + 1).quantized(|x| same(level, &planes, x));
}

fn every_length(level: Level) {
    for len in lengths() {
        for group in GROUPS {
            for ternary in [false, true] {
                check(level, ternary, (3, len), group, 10 * len as u64);
            }
        }
    }
}

fn long_rows(level: Level) {
    for len in [4096, 16384 + 64] {
        for group in GROUPS {
            for ternary in [false, true] {
                check(level, ternary, (2, len), group, len as u64);
            }
        }
    }
}

fn random_matrices(level: Level) {
    let cases = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let group = proptest::sample::select(&GROUPS[..]);
    let shape = (1..=5usize, 1..=700usize);
    TestRunner::new(cases)
        .run(&(any::<bool>(), shape, group, 0..u64::MAX), |(ternary, shape, group, seed)| {
            check(level, ternary, shape, group, seed);
            Ok(())
        })
        .unwrap();
}

/// Rows past the end are rows of nothing, as in the specification; so is an empty output.
fn rows_past_the_end(level: Level) {
    for group in GROUPS {
        let planes = random(false, (3, 100), group, 5);
        uneven(100, 6).quantized(|x| {
            for view in lanes(&planes.matrix()) {
                for (first, rows) in [(0, 0), (1, 5), (3, 2), (usize::MAX - 9, 2)] {
                    let expected = product(Scalar, &view, x, first, rows);
                    assert_eq!(bits(&product(level, &view, x, first, rows)), bits(&expected));
                    let integers = sums(Scalar, &view, x, first, rows);
                    assert_eq!(sums(level, &view, x, first, rows), integers);
                }
            }
        });
    }
}

/// A vector that is shorter or longer than a row breaks the caller's promise. The numbers are
/// wrong then, but no backend may read outside the slices.
fn vectors_of_another_length(level: Level) {
    for cols in [1, 64, 256, 300, 1000, 5000] {
        for len in [0, 1, 64, 256, 257, 2000, 6000] {
            let planes = random(true, (2, cols), Group::G32, 3);
            uneven(len, 4).quantized(|x| same(level, &planes, x));
            let planes = random(false, (2, cols), Group::Row, 3);
            uneven(len, 4).quantized(|x| same(level, &planes, x));
        }
    }
}

every_backend!(
    every_length,
    long_rows,
    random_matrices,
    rows_past_the_end,
    vectors_of_another_length
);
