//! What a sparse layer computes, beside the dense product: listed rows (`lane_sums_of`), what a lane
//! has beyond Bit3, and sums of rows (`combine`), at every level of this processor, on one thread.
//!
//! `cargo run --release -p trilane-std --example sparse [ROWS COLS [PERCENT]]` prints for each lane
//! and level GMAC/s of the dense product, of PERCENT of the rows, listed in no order, and of their
//! sum: the best of 500 samples. All levels have to agree. COLS is a multiple of 64.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, LaneView, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units,
};
use trilane_core::kernel::{Backend, Isa, Level, Terms};
use trilane_core::lane::PrecisionLane::{Bit3, Bit5, Bit7};
use trilane_core::quant::{Activations, ActivationsBuf, activation_lens};
use trilane_std::level::levels;

/// A linear congruential sequence.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 32) as u32
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Seconds of a call at best: on a machine that does other things too, the figure that stays.
fn fastest(mut call: impl FnMut()) -> f64 {
    let mut timed = |calls: u32| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed().as_secs_f64() / f64::from(calls)
    };
    // Short samples, many of which nothing else on the machine interrupts.
    let calls = (0.000_2 / timed(1)).ceil() as u32;
    (0..500).map(|_| timed(calls)).fold(f64::INFINITY, f64::min)
}

/// Dense product, listed rows and their sum: what they give, and seconds.
fn measure(
    level: Level,
    w: &LaneView<'_>,
    x: &Activations<'_>,
    rows: &[u32],
    q: &[i16],
) -> ([Vec<i64>; 3], [f64; 3]) {
    let (mut dense, mut listed) = (vec![0; w.rows()], vec![0; rows.len()]);
    let mut sum = vec![0; w.cols()];
    let parts = [Terms { view: *w, rows, q }];
    let seconds = [
        fastest(|| level.lane_sums(w, black_box(x), 0, &mut dense)),
        fastest(|| level.lane_sums_of(w, black_box(x), rows, &mut listed)),
        fastest(|| level.combine(black_box(&parts), 0, &mut sum)),
    ];
    ([dense, listed, sum.into_iter().map(i64::from).collect()], seconds)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = std::env::args().skip(1).map(|text| text.parse());
    let arguments = arguments.collect::<Result<Vec<usize>, _>>()?;
    let (rows, cols, percent) = match arguments[..] {
        [] => (4096, 11008, 10),
        [rows, cols] => (rows, cols, 10),
        [rows, cols, percent] => (rows, cols, percent),
        _ => return Err("expected ROWS COLS [PERCENT]".into()),
    };
    let mut random = Sequence(1);
    let all = rows * units(cols);
    let (high, group) = (random.bytes(all * UNIT_HIGH_BYTES), Group::G64);
    let digits = [(); 3].map(|()| random.bytes(all * UNIT_DIGIT_BYTES));
    let scales = random.bytes(all * group.scales_per_unit());
    let row_scales = vec![1.0; rows];
    let planes = DigitPlanes::Nested {
        high: &high,
        digits: digits.each_ref().map(|plane| Some(&plane[..])),
        row_scales: [Some(&row_scales); 3],
    };
    let matrix = DigitMatrix::new(rows, cols, group, &scales, planes)?;
    let (nq, nm, ns) = activation_lens(cols);
    let (mut ints, mut multipliers, mut sums) = (vec![0; nq], vec![0; nm], vec![0; ns]);
    let mut buf = ActivationsBuf::new(&mut ints, &mut multipliers, &mut sums);
    let values = random.bytes(cols);
    let x = buf.integers(cols, |i| values[i] as i8 / 2)?;
    let mut list: Vec<u32> = (0..rows as u32).collect();
    for i in (1..rows).rev() {
        list.swap(i, random.next() as usize % (i + 1));
    }
    list.truncate((rows * percent / 100).max(1));
    let q: Vec<i16> = list.iter().map(|_| random.next() as i16 >> 4).collect();
    println!("{rows}×{cols}, groups of 64, {} rows; GMAC/s and, of the dense product,", list.len());
    println!(
        "{:<12} {:<10} {:>7} {:>14} {:>14}",
        "lane", "level", "dense", "listed", "sum of rows"
    );
    for view in [
        matrix.lane(Bit3)?,
        matrix.lane(Bit5)?,
        matrix.lane(Bit7)?,
        matrix.refinement(Bit3, Bit5)?,
        matrix.refinement(Bit3, Bit7)?,
        matrix.refinement(Bit5, Bit7)?,
    ] {
        let above = view.above().map_or(String::new(), |above| format!(" − {above}"));
        let lane = format!("{}{above}", view.lane());
        let mut expected = None;
        for level in levels().filter(|level| level.isa() != Isa::Scalar) {
            let (results, seconds) = measure(level, &view, &x, &list, &q);
            let dense = (rows * cols) as f64 / seconds[0] / 1e9;
            let [listed, sum] = [1, 2].map(|i| (list.len() * cols) as f64 / seconds[i] / 1e9);
            let part = |speed: f64| format!("{speed:.1} ({:.0}%)", 100.0 * speed / dense);
            println!("{lane:<12} {level:<10} {dense:>7.1} {:>14} {:>14}", part(listed), part(sum));
            if *expected.get_or_insert_with(|| results.clone()) != results {
                return Err(format!("{lane} on {level}: other numbers than table lookup").into());
            }
        }
    }
    Ok(())
}
