//! The Weyl sequences: exact bits, discrepancy.

use crate::random::Random;
use trilane_core::pi::{Weyl, WeylSequence};

/// The first 192 bits of π's fraction, the highest word first.
const FRACTION: [u64; 3] = [0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344, 0xA409_3822_299F_31D0];

/// The first 64 bits of `frac(π·m)` by 192-bit arithmetic, and whether the cut of π could change
/// them.
fn first_bits(m: u64) -> (u64, bool) {
    let mut carry = 0u128;
    let mut words = [0u64; 3];
    for (word, digits) in words.iter_mut().zip(FRACTION).rev() {
        let product = u128::from(digits) * u128::from(m) + carry;
        *word = product as u64;
        carry = product >> 64;
    }
    let carries = words[2].checked_add(m).is_none() && words[1] == u64::MAX;
    (words[0], !carries)
}

#[test]
fn every_bit_is_a_bit_of_pi() {
    let terms: u64 = if super::full() { 1 << 28 } else { 1 << 20 };
    let mut linear = Weyl::new(WeylSequence::Linear);
    let mut quadratic = Weyl::new(WeylSequence::Quadratic);
    for n in 0..terms {
        for (bits, m) in [(linear.next_bits(), n), (quadratic.next_bits(), n * n)] {
            let (expected, certain) = first_bits(m);
            assert!(certain && bits == expected, "n = {n}");
        }
    }
    println!("weyl: {terms} terms of both sequences agree in 64 bits with a pi of 192 bits");
}

/// The star discrepancy of points in [0, 1).
fn discrepancy(mut points: Vec<f64>) -> f64 {
    points.sort_by(f64::total_cmp);
    let n = points.len() as f64;
    points
        .iter()
        .enumerate()
        .fold(0.0, |worst: f64, (i, &x)| worst.max((i as f64 + 1.0) / n - x).max(x - i as f64 / n))
}

/// The linear sequence covers the interval far more evenly than random numbers do; the golden ratio,
/// which has no good rational approximation, more evenly still than π, which has 355/113.
#[test]
fn the_linear_sequence_has_low_discrepancy() {
    let unit = |bits: u64| bits as f64 / 2f64.powi(64);
    for n in [1_000, 10_000, 100_000] {
        let of = |f: &mut dyn FnMut() -> f64| discrepancy((0..n).map(|_| f()).collect());
        let (mut linear, mut quadratic) =
            (Weyl::new(WeylSequence::Linear), Weyl::new(WeylSequence::Quadratic));
        let (mut random, mut golden) = (Random(1), 0u64);
        let pi = of(&mut || unit(linear.next_bits()));
        let square = of(&mut || unit(quadratic.next_bits()));
        let white = of(&mut || random.unit());
        let golden = of(&mut || {
            golden = golden.wrapping_add(0x9E37_79B9_7F4A_7C15);
            unit(golden)
        });
        println!(
            "discrepancy of {n} points: linear {pi:.6}, quadratic {square:.6}, white {white:.6}, \
             golden ratio {golden:.6}"
        );
        assert!(pi < white / 2.0 && golden < pi && square < 4.0 / f64::from(n).sqrt());
    }
}
