//! Products of a vector with a 4096×4096 matrix at every level of this processor, on one thread:
//! what `wasm/bench/matvec.mjs` prints its own figures beside.
//!
//! `cargo run --release -p trilane-std --example matvec [SIZE]` prints, tabs between: level, kernel,
//! GMAC/s (the median of 15), GB/s of weights, and a hash of the answer's bits, which has to be the
//! same at every level. Quantising the vector is part of the time.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, LaneView, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, pack_nested_row,
    pack_ternary_row, units,
};
use trilane_core::kernel::{Backend, Level};
use trilane_core::lane::{PrecisionLane, quantize_nested_row};
use trilane_core::quant::{ActivationsBuf, activation_lens, quantize_ternary_row};
use trilane_std::level::levels;

/// Weights and a vector that any engine would find alike: a linear congruential sequence.
fn sequence(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state) / f64::from(1u32 << 31) - 1.0) as f32
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A 32-bit FNV-1a hash of the bits.
fn hash(y: &[f32]) -> u32 {
    let bytes = y.iter().flat_map(|y| y.to_le_bytes());
    bytes.fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Planes and scales of a square matrix.
struct Planes {
    size: usize,
    group: Group,
    high: Vec<u8>,
    digits: [Vec<u8>; 3],
    group_scales: Vec<u8>,
    row_scales: [Vec<f32>; 3],
}

impl Planes {
    fn new(size: usize, group: Group, ternary: bool) -> Result<Self, Box<dyn Error>> {
        let n = units(size);
        let plane = |bytes: usize| vec![0; size * n * bytes];
        let mut planes = Self {
            size,
            group,
            high: plane(UNIT_HIGH_BYTES),
            digits: [(); 3].map(|()| plane(UNIT_DIGIT_BYTES)),
            group_scales: plane(group.scales_per_unit()),
            row_scales: [(); 3].map(|()| vec![0.0; size]),
        };
        let mut codes = vec![0; size];
        for (r, w) in sequence(size * size, 1).chunks(size).enumerate() {
            let at = |bytes: usize| r * n * bytes..(r + 1) * n * bytes;
            let scales = &mut planes.group_scales[at(group.scales_per_unit())];
            let digits = planes.digits.each_mut().map(|plane| &mut plane[at(UNIT_DIGIT_BYTES)]);
            if ternary {
                planes.row_scales[0][r] = quantize_ternary_row(w, group, &mut codes, scales)?;
                let [first, ..] = digits;
                pack_ternary_row(&codes, first)?;
            } else {
                let rows = quantize_nested_row(w, None, group, &mut codes, scales)?;
                (0..3).for_each(|tier| planes.row_scales[tier][r] = rows[tier]);
                pack_nested_row(&codes, &mut planes.high[at(UNIT_HIGH_BYTES)], digits)?;
            }
        }
        Ok(planes)
    }

    fn lane(&self, lane: PrecisionLane) -> Result<LaneView<'_>, Box<dyn Error>> {
        let digits = self.digits.each_ref().map(Vec::as_slice);
        let row_scales = self.row_scales.each_ref().map(Vec::as_slice);
        let planes = if lane == PrecisionLane::Ternary {
            DigitPlanes::Ternary { digits: digits[0], row_scales: row_scales[0] }
        } else {
            let (digits, row_scales) = (digits.map(Some), row_scales.map(Some));
            DigitPlanes::Nested { high: &self.high, digits, row_scales }
        };
        let matrix =
            DigitMatrix::new(self.size, self.size, self.group, &self.group_scales, planes)?;
        Ok(matrix.lane(lane)?)
    }
}

/// Median seconds of a product, and the hash of its answer.
fn measure(level: Level, w: &LaneView<'_>, x: &[f32]) -> Result<(f64, u32), Box<dyn Error>> {
    let (q, multipliers, sums) = activation_lens(x.len());
    let (mut q, mut multipliers, mut sums) = (vec![0; q], vec![0; multipliers], vec![0; sums]);
    let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
    let mut y = vec![0.0; x.len()];
    let mut timed = |calls: u32| -> Result<f64, Box<dyn Error>> {
        let start = Instant::now();
        for _ in 0..calls {
            let x = level.quantize(black_box(x), &mut buf)?;
            level.lane_matvec(w, &x, 0, &mut y);
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(calls))
    };
    // Samples of at least 50 ms.
    let calls = (0.05 / timed(1)?).ceil() as u32;
    let mut seconds = (0..15).map(|_| timed(calls)).collect::<Result<Vec<_>, _>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok((seconds[7], hash(&y)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let size: usize = std::env::args().nth(1).map_or(Ok(4096), |size| size.parse())?;
    let x = sequence(size, 2);
    for (group, lanes) in [
        (Group::Row, &[PrecisionLane::Ternary][..]),
        (Group::G32, &[PrecisionLane::Ternary]),
        (Group::G32, &PrecisionLane::NESTED),
        (Group::G64, &PrecisionLane::NESTED),
    ] {
        let planes = Planes::new(size, group, lanes[0] == PrecisionLane::Ternary)?;
        for &lane in lanes {
            let w = planes.lane(lane)?;
            let mut expected = None;
            for level in levels() {
                let (seconds, bits) = measure(level, &w, &x)?;
                if *expected.get_or_insert(bits) != bits {
                    return Err(
                        format!("{lane} on {level}: other bits than the specification").into()
                    );
                }
                let groups = group.weights().map_or("a row".into(), |weights| weights.to_string());
                let macs = (size * size) as f64 / seconds / 1e9;
                let bytes = w.bytes() as f64 / seconds / 1e9;
                println!("{level}\t{lane}, groups of {groups}\t{macs:.2}\t{bytes:.2}\t{bits:08x}");
            }
        }
    }
    Ok(())
}
