//! The bits of the digit planes, as the diagram in the documentation of `digits` draws them.

use crate::planes::{GROUPS, Planes};
use crate::random::Random;
use trilane_core::digits::{
    Group, PackError, pack_nested_row, pack_ternary_row, units, unpack_row,
};
use trilane_core::lane::PrecisionLane;

/// Lowest bit of the digit of position p in a plane byte, for rotations 0, 1 and 2.
const DIAGRAM: [[u32; 4]; 3] = [[0, 2, 4, 6], [2, 4, 6, 0], [4, 6, 0, 2]];

/// High plane and three digit planes of one row.
type Planed = (Vec<u8>, [Vec<u8>; 3]);

fn nested(codes: &[u8]) -> Planed {
    let n = units(codes.len());
    let (mut high, mut digits) = (vec![0xAA; 8 * n], [(); 3].map(|()| vec![0xAA; 16 * n]));
    pack_nested_row(codes, &mut high, digits.each_mut().map(|plane| &mut plane[..])).unwrap();
    (high, digits)
}

/// The only bit that is set, as byte and bit.
fn only_bit(plane: &[u8]) -> Option<(usize, u32)> {
    let ones: u32 = plane.iter().map(|b| b.count_ones()).sum();
    assert!(ones <= 1);
    plane.iter().position(|&b| b != 0).map(|at| (at, plane[at].trailing_zeros()))
}

/// Each bit of each code is one bit of one plane, for rows that end with a block of any size.
#[test]
fn each_bit_of_a_nested_code_is_where_the_diagram_has_it() {
    for n in 1..=6usize {
        for i in 0..64 * n {
            let (u, p, j) = (i / 64, i % 64 / 16, i % 16);
            for bit in 0..7u32 {
                let mut codes = vec![0; 64 * n];
                codes[i] = 1 << bit;
                let (high, digits) = nested(&codes);
                // Digits from the top: c5c4, c3c2, c1c0 with rotations 2, 1, 0.
                for (tier, plane) in digits.iter().enumerate() {
                    let low = 4 - 2 * tier as u32;
                    let inside = (low..low + 2).contains(&bit);
                    let at = inside.then(|| (16 * u + j, DIAGRAM[2 - tier][p] + bit - low));
                    assert_eq!(only_bit(plane), at, "bit {bit} of weight {i}, tier {tier}");
                }
                let block = u / 4;
                let in_block = (n - 4 * block).min(4);
                let in_mask = 16 * (u % 4) + j;
                let byte = 32 * block + 2 * in_block * p + in_mask / 8;
                let at = (bit == 6).then_some((byte, (in_mask % 8) as u32));
                assert_eq!(only_bit(&high), at, "bit {bit} of weight {i}");
            }
        }
    }
}

#[test]
fn each_ternary_digit_is_where_the_diagram_has_it() {
    for i in 0..256 {
        for bit in 0..2 {
            let mut codes = [0; 256];
            codes[i] = 1 << bit;
            let mut plane = [0xAA; 64];
            pack_ternary_row(&codes, &mut plane).unwrap();
            let at = (16 * (i / 64) + i % 16, DIAGRAM[0][i % 64 / 16] + bit);
            assert_eq!(only_bit(&plane), Some(at));
        }
    }
}

/// The example that the diagram leads to: for p = 0 the digits lie side by side.
#[test]
fn the_digits_of_position_zero_are_the_code() {
    for code in 0..128u8 {
        let mut codes = [0; 64];
        codes[5] = code;
        let (_, [d0, d1, d2]) = nested(&codes);
        assert_eq!(d0[5] & 0x30 | d1[5] & 0x0C | d2[5] & 0x03, code & 0x3F);
    }
}

#[test]
fn padding_is_the_code_of_zero() {
    for cols in [1, 15, 16, 17, 63, 65, 200, 257] {
        let mut padded = vec![127; cols];
        padded.resize(64 * units(cols), 64);
        assert_eq!(nested(&vec![127; cols]), nested(&padded));
        let mut padded = vec![2; cols];
        padded.resize(64 * units(cols), 1);
        let mut planes = [vec![0; 16 * units(cols)], vec![0; 16 * units(cols)]];
        pack_ternary_row(&vec![2; cols], &mut planes[0]).unwrap();
        pack_ternary_row(&padded, &mut planes[1]).unwrap();
        assert_eq!(planes[0], planes[1]);
    }
}

/// All 128 codes at all 256 positions of a block, and what the lower lanes make of them.
#[test]
fn every_code_at_every_position_comes_back_at_every_lane() {
    let code = |row: usize, column: usize| ((row + column) % 128) as u8;
    let planes = Planes::new(false, (128, 256), Group::Row, 1, code);
    let matrix = planes.matrix();
    for (lane, shift) in
        [(PrecisionLane::Bit7, 0), (PrecisionLane::Bit5, 2), (PrecisionLane::Bit3, 4)]
    {
        let view = matrix.lane(lane).unwrap();
        for row in 0..128 {
            let mut codes = [255; 256];
            unpack_row(view.row(row), &mut codes);
            for (column, found) in codes.into_iter().enumerate() {
                assert_eq!(found, code(row, column) >> shift, "{lane}, {row}, {column}");
            }
        }
    }
}

#[test]
fn packing_and_unpacking_is_a_round_trip() {
    let mut random = Random(1);
    for cols in (1..=67).chain([127, 128, 129, 255, 256, 257, 319, 320, 321, 1000]) {
        for ternary in [false, true] {
            let max = if ternary { 3 } else { 128 };
            let codes: Vec<u8> = (0..2 * cols).map(|_| random.below(max) as u8).collect();
            let planes = Planes::new(ternary, (2, cols), Group::Row, 0, |r, c| codes[r * cols + c]);
            let matrix = planes.matrix();
            let view = matrix.lane(matrix.top_lane()).unwrap();
            for (row, codes) in codes.chunks(cols).enumerate() {
                let mut found = vec![255; cols];
                unpack_row(view.row(row), &mut found);
                assert_eq!(found, codes);
            }
        }
    }
}

/// Group `g` of a row has the scale that stands at place `g` of the row's scales.
#[test]
fn group_scales_are_in_the_order_of_the_weights() {
    for group in GROUPS {
        let mut next = 0;
        let planes = Planes::new(false, (2, 300), group, 1, |_, _| 64);
        let planes = planes.with_group_scales(|| {
            next += 1;
            next
        });
        let view = planes.matrix().lane(PrecisionLane::Bit3).unwrap();
        let weights = group.weights().unwrap_or(usize::MAX);
        let per_row = 5 * group.scales_per_unit();
        for row in 0..2 {
            for i in 0..300 {
                let expected =
                    if group == Group::Row { 1 } else { row * per_row + i / weights + 1 };
                assert_eq!(usize::from(view.row(row).group_scale(i)), expected, "{group:?}, {i}");
            }
        }
    }
}

#[test]
fn slices_and_codes_that_do_not_fit_are_named() {
    let length = |expected, actual| Err(PackError::Length { expected, actual });
    assert_eq!(pack_ternary_row(&[1; 65], &mut [0; 16]), length(32, 16));
    assert_eq!(pack_ternary_row(&[1; 64], &mut [0; 17]), length(16, 17));
    let code = |index, code, max| Err(PackError::Code { index, code, max });
    let mut codes = [1; 64];
    codes[17] = 3;
    assert_eq!(pack_ternary_row(&codes, &mut [0; 16]), code(17, 3, 2));
    let pack = |codes: &[u8], lens: [usize; 4]| {
        let [mut high, mut a, mut b, mut c] = lens.map(|len| vec![0; len]);
        pack_nested_row(codes, &mut high, [&mut a, &mut b, &mut c])
    };
    assert_eq!(pack(&codes, [7, 16, 16, 16]), length(8, 7));
    for tier in 0..3 {
        let mut lens = [8, 16, 16, 16];
        lens[tier + 1] = 15;
        assert_eq!(pack(&codes, lens), length(16, 15));
    }
    codes[63] = 128;
    assert_eq!(pack(&codes, [8, 16, 16, 16]), code(63, 128, 127));
}
