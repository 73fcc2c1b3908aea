//! Products of listed rows, and refinements: what a sparse layer takes of a matrix.

use crate::bits;
use crate::lanes::{lanes, named, random, uneven};
use crate::planes::GROUPS;
use crate::random::Random;
use trilane_core::kernel::{Backend, Level, Scalar};
use trilane_core::lane::PrecisionLane;

/// Lists of rows of a matrix that has `rows`: none, one, all, in no order, repeated, past the end.
fn lists(rows: usize, random: &mut Random) -> Vec<Vec<u32>> {
    let last = rows as u32 - 1;
    let mut shuffled: Vec<u32> = (0..=last).collect();
    shuffled.sort_by_cached_key(|_| random.bits());
    let some = (0..11).map(|_| random.below(rows) as u32).collect();
    vec![
        vec![],
        vec![last],
        (0..=last).collect(),
        shuffled,
        vec![0; 9],
        some,
        vec![rows as u32, last, u32::MAX, 0, 1 << 31, last, last, rows as u32 + 7, 0, 0],
    ]
}

/// The product of row `rows[i]` is what that row gives alone, in every view.
fn listed_rows(level: Level) {
    let mut state = Random(21);
    for (rows, cols) in [(1, 1), (2, 65), (3, 300), (17, 64), (9, 255), (5, 1100), (40, 256)] {
        for (ternary, group) in GROUPS.into_iter().flat_map(|g| [(true, g), (false, g)]) {
            let planes = random(ternary, (rows, cols), group, state.bits());
            uneven(cols, state.bits()).quantized(|x| {
                for view in lanes(&planes.matrix()) {
                    let (mut sums, mut floats) = (vec![0; rows], vec![0.0; rows]);
                    Scalar.lane_sums(&view, x, 0, &mut sums);
                    Scalar.lane_matvec(&view, x, 0, &mut floats);
                    for list in lists(rows, &mut state) {
                        let of = |r: &u32| sums.get(*r as usize).copied().unwrap_or(0);
                        let expected: Vec<i64> = list.iter().map(of).collect();
                        // Past the end of the list, outputs are zero.
                        let mut y = vec![i64::MIN; list.len() + 3];
                        level.lane_sums_of(&view, x, &list, &mut y);
                        assert_eq!(y[..list.len()], expected, "{}, {list:?}", named(&view));
                        assert_eq!(y[list.len()..], [0; 3]);
                        let of = |r: &u32| floats.get(*r as usize).copied().unwrap_or(0.0);
                        let expected: Vec<f32> = list.iter().map(of).collect();
                        let mut y = vec![f32::NAN; list.len()];
                        level.lane_matvec_of(&view, x, &list, &mut y);
                        assert_eq!(bits(&y), bits(&expected), "{}, {list:?}", named(&view));
                        // An output shorter than the list.
                        let mut y = [i64::MIN; 2];
                        level.lane_sums_of(&view, x, &list, &mut y[..1]);
                        assert_eq!(y[0], list.first().map_or(0, |r| of_sum(&sums, *r)));
                        assert_eq!(y[1], i64::MIN);
                    }
                }
            });
        }
    }
}

fn of_sum(sums: &[i64], row: u32) -> i64 {
    sums.get(row as usize).copied().unwrap_or(0)
}

/// A lane and what another has beyond it add up to the other, exactly.
fn refinements_add_up(level: Level) {
    for (shape, seed) in [((3, 64), 1), ((5, 200), 2), ((2, 321), 3), ((4, 1000), 4)] {
        for group in GROUPS {
            let planes = random(false, shape, group, seed);
            let matrix = planes.matrix();
            uneven(shape.1, seed + 9).quantized(|x| {
                for (f, from) in PrecisionLane::NESTED.into_iter().enumerate() {
                    for to in PrecisionLane::NESTED.into_iter().skip(f + 1) {
                        let low = matrix.lane(from).unwrap();
                        let high = matrix.lane(to).unwrap();
                        let rest = matrix.refinement(from, to).unwrap();
                        let sums = [low, high, rest].map(|view| {
                            let mut y = vec![0; shape.0];
                            level.lane_sums(&view, x, 0, &mut y);
                            y
                        });
                        for (r, high) in sums[1].iter().enumerate() {
                            assert_eq!(*high, sums[0][r] + sums[2][r], "{}", named(&rest));
                        }
                    }
                }
            });
        }
    }
}

every_backend!(listed_rows, refinements_add_up);
