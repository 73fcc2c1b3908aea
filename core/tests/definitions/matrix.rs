//! What `DigitMatrix` refuses, and what its views say.

use crate::planes::{GROUPS, Planes};
use trilane_core::digits::{DigitMatrix, DigitPlanes, Group, MAX_COLS, MatrixError, Part};
use trilane_core::lane::PrecisionLane;

type Refusal = Result<(), MatrixError>;

/// Makes a matrix of the planes after `spoil` has changed them, with as many tiers and row scales
/// as given.
fn make(planes: &Planes, tiers: usize, scales: usize, spoil: impl FnOnce(&mut Planes)) -> Refusal {
    let mut planes = planes.clone();
    spoil(&mut planes);
    let Planes { high, digits, row_scales, .. } = &planes;
    let parts = if planes.ternary {
        DigitPlanes::Ternary { digits: &digits[0], row_scales: &row_scales[0] }
    } else {
        DigitPlanes::Nested {
            high,
            digits: core::array::from_fn(|tier| (tier < tiers).then_some(&digits[tier][..])),
            row_scales: core::array::from_fn(|i| (i < scales).then_some(&row_scales[i][..])),
        }
    };
    let (rows, cols, group) = (planes.rows, planes.cols, planes.group);
    DigitMatrix::new(rows, cols, group, &planes.group_scales, parts).map(|_| ())
}

fn nested(group: Group) -> Planes {
    Planes::new(false, (3, 100), group, 0, |r, c| (r * 40 + c) as u8 % 128)
}

fn ternary(group: Group) -> Planes {
    Planes::new(true, (3, 100), group, 0, |r, c| ((r + c) % 3) as u8)
}

fn length(part: Part, expected: usize, actual: usize) -> Refusal {
    Err(MatrixError::Length { part, expected, actual })
}

#[test]
fn a_matrix_without_rows_or_columns_or_too_large_for_memory() {
    let planes = DigitPlanes::Ternary { digits: &[], row_scales: &[] };
    for (rows, cols) in [
        (0, 1),
        (1, 0),
        (0, 0),
        (usize::MAX, 1),
        (1, usize::MAX),
        (usize::MAX, usize::MAX),
        (usize::MAX / 64 + 1, 64),
        (1, MAX_COLS + 1),
    ] {
        let found = DigitMatrix::new(rows, cols, Group::G32, &[], planes).map(|_| ());
        assert_eq!(found, Err(MatrixError::Size { rows, cols }));
    }
    let found = DigitMatrix::new(1 << 20, 1 << 20, Group::Row, &[], planes).map(|_| ());
    assert_eq!(found, length(Part::Digit(0), 1 << 38, 0));
    let found = DigitMatrix::new(1, MAX_COLS, Group::Row, &[], planes).map(|_| ());
    assert_eq!(found, length(Part::Digit(0), 1 << 22, 0));
}

#[test]
fn every_part_of_another_length() {
    for group in GROUPS {
        let scales = 6 * group.scales_per_unit();
        for planes in [nested(group), ternary(group)] {
            let found = make(&planes, 3, 3, |p| p.group_scales.push(1));
            assert_eq!(found, length(Part::GroupScales, scales, scales + 1));
            let found = make(&planes, 3, 3, |p| p.digits[0].truncate(95));
            assert_eq!(found, length(Part::Digit(0), 96, 95));
            let found = make(&planes, 3, 3, |p| p.row_scales[0].truncate(2));
            assert_eq!(found, length(Part::RowScales, 3, 2));
            assert_eq!(make(&planes, 3, 3, |_| ()), Ok(()));
        }
        let planes = nested(group);
        let found = make(&planes, 3, 3, |p| p.high.push(0));
        assert_eq!(found, length(Part::High, 48, 49));
        for tier in 0..3 {
            let found = make(&planes, 3, 3, |p| p.digits[tier].push(0));
            assert_eq!(found, length(Part::Digit(tier), 96, 97));
            let found = make(&planes, 3, 3, |p| p.row_scales[tier].push(1.0));
            assert_eq!(found, length(Part::RowScales, 3, 4));
        }
    }
}

#[test]
fn a_ternary_code_of_three() {
    for (offset, digit) in [(0, 0), (17, 1), (40, 2), (95, 3)] {
        let found = make(&ternary(Group::G64), 1, 1, |p| p.digits[0][offset] |= 3 << (2 * digit));
        assert_eq!(found, Err(MatrixError::TernaryCode { offset }));
    }
}

#[test]
fn padding_that_is_not_the_code_of_zero() {
    // Weight 100 is unit 1, position 2, byte 4; weight 127 position 3, byte 15.
    for (index, byte, bit) in [(100, 16 + 4, 4), (127, 16 + 15, 6)] {
        for row in 0..3 {
            let found = make(&ternary(Group::Row), 1, 1, |p| {
                p.digits[0][32 * row + byte] ^= 3 << bit;
                // Zero has the code 1, which became 2.
                assert_eq!(p.digits[0][32 * row + byte] >> bit & 3, 2);
            });
            assert_eq!(found, Err(MatrixError::Padding { row, index }));
        }
    }
    // Weight 127 again: position 3 is at bits 3:2, 1:0 and 7:6 of the three rotations.
    for tiers in 1..=3 {
        for (tier, bit) in [0x08, 0x02, 0x80].into_iter().enumerate() {
            let found = make(&nested(Group::Row), tiers, tiers, |p| p.digits[tier][63] ^= bit);
            let error = Err(MatrixError::Padding { row: 1, index: 127 });
            assert_eq!(found, if tier < tiers { error } else { Ok(()) });
        }
    }
    // Weight 127 in the high plane of two units: mask 3, bit 31.
    let found = make(&nested(Group::Row), 3, 3, |p| p.high[2 * 16 + 15] ^= 0x80);
    assert_eq!(found, Err(MatrixError::Padding { row: 2, index: 127 }));
}

#[test]
fn a_scale_that_is_not_finite() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (i, lane) in PrecisionLane::NESTED.into_iter().enumerate() {
            let found = make(&nested(Group::Row), 3, 3, |p| p.row_scales[i][2] = bad);
            assert_eq!(found, Err(MatrixError::Scale { lane, row: 2 }));
        }
        let found = make(&ternary(Group::Row), 1, 1, |p| p.row_scales[0][1] = bad);
        assert_eq!(found, Err(MatrixError::Scale { lane: PrecisionLane::Ternary, row: 1 }));
    }
}

#[test]
fn tiers_and_row_scales_that_do_not_pair_up() {
    let planes = nested(Group::Row);
    for tiers in 0..=3 {
        for scales in 0..=3 {
            let both = usize::min(tiers, scales);
            let expected = match PrecisionLane::NESTED.get(both) {
                Some(&lane) if tiers != scales || both == 0 => Err(MatrixError::Lane { lane }),
                _ => Ok(()),
            };
            assert_eq!(make(&planes, tiers, scales, |_| ()), expected, "{tiers}, {scales}");
        }
    }
    // A tier above a missing one.
    let (d, s) = (&planes.digits, &planes.row_scales);
    let parts = DigitPlanes::Nested {
        high: &planes.high,
        digits: [Some(&d[0]), None, Some(&d[2])],
        row_scales: [Some(&s[0]), None, Some(&s[2])],
    };
    let found = DigitMatrix::new(3, 100, Group::Row, &[], parts).map(|_| ());
    assert_eq!(found, Err(MatrixError::Lane { lane: PrecisionLane::Bit7 }));
}

#[test]
fn a_matrix_has_the_lanes_of_its_tiers_and_their_bytes() {
    for group in GROUPS {
        let planes = nested(group);
        let scales = planes.group_scales.len() + 3 * size_of::<f32>();
        for tiers in 1..=3 {
            let parts = DigitPlanes::Nested {
                high: &planes.high,
                digits: [0, 1, 2].map(|t| (t < tiers).then_some(&planes.digits[t][..])),
                row_scales: [0, 1, 2].map(|t| (t < tiers).then_some(&planes.row_scales[t][..])),
            };
            let matrix = DigitMatrix::new(3, 100, group, &planes.group_scales, parts).unwrap();
            assert_eq!(matrix.top_lane(), PrecisionLane::NESTED[tiers - 1]);
            assert_eq!((matrix.rows(), matrix.cols(), matrix.group()), (3, 100, group));
            for lane in PrecisionLane::ALL {
                let view = matrix.lane(lane).map(|view| {
                    assert_eq!((view.rows(), view.cols(), view.group()), (3, 100, group));
                    assert_eq!(view.lane(), lane);
                    view.bytes()
                });
                let expected = match lane.tiers() {
                    // Two units a row: 16 bytes of high plane, 32 of each digit plane.
                    Some(read) if read <= tiers => Ok(3 * (16 + 32 * read) + scales),
                    _ => Err(MatrixError::Lane { lane }),
                };
                assert_eq!(view, expected);
            }
        }
        let planes = ternary(group);
        let matrix = planes.matrix();
        let view = matrix.lane(PrecisionLane::Ternary).unwrap();
        assert_eq!(view.bytes(), 3 * 32 + scales);
        for lane in PrecisionLane::NESTED {
            assert_eq!(matrix.lane(lane).map(|_| ()), Err(MatrixError::Lane { lane }));
        }
    }
}

#[test]
fn past_the_end_there_is_nothing() {
    let planes = nested(Group::G32).with_group_scales(|| 9).with_row_scales(|_| 2.0);
    let view = planes.matrix().lane(PrecisionLane::Bit7).unwrap();
    for row in [3, 4, usize::MAX] {
        assert_eq!(view.row_scale(row), 0.0);
        assert_eq!((view.row(row).code(0), view.row(row).group_scale(0)), (0, 0));
    }
    assert_eq!((view.row_scale(2), view.row(2).group_scale(127)), (6.0, 9));
    assert_eq!((view.row(2).code(127), view.row(2).code(128)), (64, 0));
    assert_eq!(view.row(2).group_scale(128), 0);
}
