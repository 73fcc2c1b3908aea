//! Speed of every GGUF type that expands, on one thread: expansion alone, and products of 4096
//! columns, which expand on the way.
//!
//! `cargo run --release -p trilane-std --example expand [ROWS]` prints, tabs between: type, MB/s of
//! stored bytes and millions of weights a second of the expansion, GMAC/s of the product at the
//! best level; each the best of 50 samples, so that other work on the machine does not count.
//! Before it is timed, every product is compared with that of the expanded floats, bit for bit.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use trilane_core::gguf::TensorType;
use trilane_core::gguf::blocks::{Stored, is_supported};
use trilane_core::kernel::Backend;
use trilane_std::level::detect;

const COLS: usize = 4096;

/// Bytes that any engine would find alike: a linear congruential sequence. Scales, which all stand
/// at even places, come out finite.
fn sequence(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = |at: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let byte = (state >> 24) as u8;
        if at % 2 == 1 { byte & 0xBF } else { byte }
    };
    (0..len).map(next).collect()
}

/// Seconds of `work` in the fastest of 50 samples of at least 2 ms.
fn fastest(mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut timed = |calls: u32| -> Result<f64, Box<dyn Error>> {
        let start = Instant::now();
        (0..calls).try_for_each(|_| work())?;
        Ok(start.elapsed().as_secs_f64() / f64::from(calls))
    };
    let calls = (0.002 / timed(1)?).ceil() as u32;
    (0..50).try_fold(f64::INFINITY, |fastest, _| Ok(timed(calls)?.min(fastest)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let rows: usize = std::env::args().nth(1).map_or(Ok(64), |rows| rows.parse())?;
    let x: Vec<f32> = sequence(COLS).iter().map(|&byte| f32::from(byte) / 64.0 - 2.0).collect();
    let level = detect();
    for &kind in TensorType::ALL.iter().filter(|&&kind| is_supported(kind)) {
        let blocks = rows * COLS / kind.block_len() * kind.block_bytes();
        let data = sequence(blocks + kind.trailer_bytes());
        let stored = Stored::new(kind, &data)?;
        let mut floats = vec![0.0; rows * COLS];
        stored.expand(0, &mut floats)?;
        let (mut y, mut expected) = (vec![0.0; rows], vec![0.0; rows]);
        level.float_matvec(&floats, &x, &mut expected);
        level.block_matvec(kind, &data, &x, &mut y);
        let same = y.iter().zip(&expected).all(|(y, expected)| y.to_bits() == expected.to_bits());
        if !same {
            return Err(format!("{kind}: other bits than the expanded floats").into());
        }
        let mut row = vec![0.0; COLS];
        let expanding = fastest(|| {
            for r in 0..rows {
                stored.expand(r * COLS, black_box(&mut row))?;
            }
            Ok(())
        })?;
        let product = fastest(|| {
            level.block_matvec(kind, black_box(&data), &x, &mut y);
            Ok(())
        })?;
        let weights = (rows * COLS) as f64;
        println!(
            "{kind}\t{:.0}\t{:.0}\t{:.2}",
            blocks as f64 / expanding / 1e6,
            weights / expanding / 1e6,
            weights / product / 1e9
        );
    }
    Ok(())
}
