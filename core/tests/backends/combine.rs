//! `combine`: sums of rows, each times an integer.

use crate::lanes::{lanes, named, random};
use crate::planes::{GROUPS, Planes};
use crate::random::Random;
use trilane_core::digits::{Group, LaneView};
use trilane_core::kernel::{Backend, Level, Scalar, Terms};

/// Columns from `first` on, with a guard on either side.
fn combined(b: impl Backend, parts: &[Terms<'_>], first: usize, len: usize) -> Vec<i32> {
    let mut y = vec![i32::MIN; len + 2];
    b.combine(parts, first, &mut y[1..=len]);
    assert_eq!((y[0], y[len + 1]), (i32::MIN, i32::MIN), "a guard was written");
    y[1..=len].to_vec()
}

/// Asserts the specification's integers, whole and for pieces of the columns.
fn same(level: Level, parts: &[Terms<'_>], cols: usize) {
    let what = || {
        let part = |t: &Terms<'_>| format!("{} rows {:?} q {:?}", named(&t.view), t.rows, t.q);
        parts.iter().map(part).collect::<Vec<_>>().join("; ")
    };
    let all = combined(Scalar, parts, 0, cols + 70);
    assert!(all[cols..].iter().all(|&y| y == 0), "columns past the end");
    assert!(combined(level, parts, 0, cols + 70) == all, "{}", what());
    for first in (0..cols + 70).step_by(64) {
        for len in [0, 1, 63, 64, 65, 200, 257, 320] {
            let len = len.min(all.len() - first);
            let y = combined(level, parts, first, len);
            assert!(y == all[first..first + len], "from {first}, {len} columns: {}", what());
        }
    }
}

/// Rows, perhaps past the end of the matrix, and factors of any size.
fn terms(rows: usize, count: usize, random: &mut Random) -> (Vec<u32>, Vec<i16>) {
    let row = |r: &mut Random| r.below(rows + rows.div_ceil(9)) as u32;
    let q = |r: &mut Random| [r.bits() as i16, (r.below(255) as i16) - 127][r.below(2)];
    (0..count).map(|_| (row(random), q(random))).unzip()
}

fn every_view(level: Level) {
    let mut state = Random(31);
    let columns = [1, 63, 64, 65, 128, 191, 200, 255, 256, 257, 400, 576, 1000];
    for (cols, ternary) in columns.into_iter().flat_map(|cols| [(cols, true), (cols, false)]) {
        for group in GROUPS {
            let planes = random(ternary, (7, cols), group, state.bits());
            for view in lanes(&planes.matrix()) {
                for count in [0, 1, 2, 3, 8, 13] {
                    let (rows, q) = terms(7, count, &mut state);
                    same(level, &[Terms { view, rows: &rows, q: &q }], cols);
                }
            }
        }
    }
}

/// Parts of different lanes add into the same integers.
fn several_parts(level: Level) {
    let mut state = Random(32);
    for cols in [64, 300, 512, 700] {
        for group in GROUPS {
            let planes = [false, true].map(|t| random(t, (20, cols), group, state.bits()));
            let matrices = planes.each_ref().map(|planes| planes.matrix());
            let views: Vec<LaneView<'_>> = matrices.iter().flat_map(lanes).collect();
            let listed: Vec<_> =
                views.iter().map(|_| terms(20, state.below(9), &mut state)).collect();
            let parts = views.iter().zip(&listed);
            let parts = parts.map(|(&view, (rows, q))| Terms { view, rows, q });
            let mut parts: Vec<Terms<'_>> = parts.collect();
            same(level, &parts, cols);
            // Lists of different lengths end with the shorter one.
            parts.iter_mut().for_each(|part| part.q = &part.q[part.q.len().min(1)..]);
            same(level, &parts, cols);
            parts.iter_mut().for_each(|part| part.rows = &part.rows[part.rows.len().min(3)..]);
            same(level, &parts, cols);
        }
    }
}

/// A matrix adds nothing past its columns, where another may go on.
fn parts_of_other_columns(level: Level) {
    let mut state = Random(33);
    let short = random(false, (4, 100), Group::G32, 1);
    let long = random(false, (4, 600), Group::G64, 2);
    for (a, b) in [(&short, &long), (&long, &short)] {
        let (a, b) = (lanes(&a.matrix()), lanes(&b.matrix()));
        for (&a, &b) in a.iter().zip(&b) {
            let (rows, q) = terms(4, 5, &mut state);
            let parts = [a, b].map(|view| Terms { view, rows: &rows, q: &q });
            same(level, &parts, 600);
        }
    }
}

/// Codes, scales and factors at their limits; so many terms that sums pass 2³¹ and wrap.
fn limits(level: Level) {
    for (ternary, group) in GROUPS.into_iter().flat_map(|g| [(true, g), (false, g)]) {
        for (code, scale) in [(0, 255), (127, 255), (127, 0), (64, 128)] {
            let code = if ternary { code / 63 } else { code };
            let planes = Planes::new(ternary, (2, 330), group, 1, |_, c| code * (c % 7 > 0) as u8);
            let planes = planes.with_group_scales(|| scale);
            for view in lanes(&planes.matrix()) {
                for q in [i16::MIN, i16::MAX, -1, 1] {
                    let parts = [Terms { view, rows: &[0, 1, 0], q: &[q, q, q] }];
                    same(level, &parts, 330);
                    let parts = [Terms { view, rows: &[1; 1200], q: &[q; 1200] }];
                    let all = combined(Scalar, &parts, 0, 330);
                    assert!(combined(level, &parts, 0, 330) == all, "{}", named(&view));
                }
            }
        }
    }
}

/// No part, no columns.
fn nothing(level: Level) {
    assert_eq!(combined(level, &[], 0, 100), [0; 100]);
    let planes = random(false, (2, 100), Group::G64, 5);
    let view = lanes(&planes.matrix())[0];
    let parts = [Terms { view, rows: &[0, 1], q: &[5, 6] }];
    for first in [64, 128, 1 << 20, usize::MAX - 63] {
        let y = combined(level, &parts, first, 50);
        assert_eq!(y, combined(Scalar, &parts, first, 50));
        assert!(first == 64 || y == [0; 50]);
    }
}

/// One term and one column, from the formula.
fn the_value_of_a_term(level: Level) {
    let planes = Planes::new(false, (1, 64), Group::G32, 0, |_, c| 2 * c as u8);
    let mut scale = 0;
    let planes = planes.with_group_scales(|| {
        scale += 100;
        scale
    });
    for (view, values) in lanes(&planes.matrix()).iter().zip([
        // Columns 5 and 50 have the codes 10 and 100: 0b0001010 and 0b1100100.
        [-113, 32 * 6 - 113],
        [8 * 2 - 125, 8 * 25 - 125],
        [2 * 10 - 128, 2 * 100 - 128],
        [8 * 2 - 12, 8 - 12],
        [2 * 10 - 15, 2 * 4 - 15],
        [2 * 2 - 3, -3],
    ]) {
        let y = combined(level, &[Terms { view: *view, rows: &[0], q: &[1000] }], 0, 64);
        // ⌊1000 · 100 / 256 + ½⌋ and ⌊1000 · 200 / 256 + ½⌋
        assert_eq!([y[5], y[50]], [391 * values[0], 781 * values[1]], "{}", named(view));
    }
}

every_backend!(
    every_view,
    several_parts,
    parts_of_other_columns,
    limits,
    nothing,
    the_value_of_a_term
);
