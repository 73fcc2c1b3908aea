//! The thread pool: the same bits for any number of threads, on matrices that are worth spreading.
#![cfg(feature = "parallel")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use trilane_core::digits::{DigitMatrix, DigitPlanes, Group};
use trilane_core::kernel::{Pool, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{Input, Linear};
use trilane_core::quant::{ActivationsBuf, activation_lens};
use trilane_std::{level, threads::Threads};

const COLS: usize = 500;
const ROWS: usize = 2777;

fn product(layer: &Linear<'_>, pool: &dyn Pool) -> Vec<u32> {
    let x: Vec<f32> = (0..COLS).map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
    let (q, multipliers, sums) = activation_lens(COLS);
    let (mut q, mut multipliers, mut sums) = (vec![0; q], vec![0; multipliers], vec![0; sums]);
    let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
    let level = level::detect();
    let input = Input::new(level, &x, &mut buf, &[layer]).unwrap();
    let mut y = vec![f32::NAN; ROWS];
    layer.matvec(level, pool, PrecisionLane::Ternary, &input, &mut y).unwrap();
    y.iter().map(|y| y.to_bits()).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let units = COLS.div_ceil(64);
    // Any digits but 3; the padding is the code of zero.
    let mut trits: Vec<u8> = (0..ROWS * units * 16).map(|i| [0x24, 0x11, 0x86][i % 3]).collect();
    for row in trits.chunks_exact_mut(units * 16) {
        for (j, byte) in row[(units - 1) * 16..].iter_mut().enumerate() {
            // The last unit ends at position 3, byte 3.
            if j > 3 {
                *byte = *byte & 0x3F | 0x40;
            }
        }
    }
    let scales: Vec<f32> = (0..ROWS).map(|r| 1.0 / (r + 1) as f32).collect();
    let planes = DigitPlanes::Ternary { digits: &trits, row_scales: &scales };
    let matrix = DigitMatrix::new(ROWS, COLS, Group::Row, &[], planes).unwrap();
    let layer = Linear::Digits { matrix, floor: PrecisionLane::Ternary };
    let expected = product(&layer, &Serial);
    assert!(expected.windows(2).any(|pair| pair[0] != pair[1]));
    for threads in 1..=5 {
        let pool = Threads::new(threads).unwrap();
        assert_eq!(pool.count(), threads);
        assert_eq!(product(&layer, &pool), expected, "{threads} threads");
    }
}
