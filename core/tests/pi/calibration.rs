//! The scales of π beside plain rounding: bias and error.

use crate::random::Random;
use std::f64::consts::PI;
use trilane_core::lane::PrecisionLane;
use trilane_core::pi::PiCalibration;

const LENGTH: usize = 40_000;

/// Signals of the same range, −π·n/(n+1)..=π·n/(n+1), which every method can hold.
fn signals(greatest: f64) -> [(&'static str, Vec<f32>); 5] {
    let range = PI * greatest / (greatest + 1.0);
    let mut random = Random(11);
    let mut signal = |f: &mut dyn FnMut(&mut Random, usize) -> f64| {
        (0..LENGTH).map(|i| (f(&mut random, i).clamp(-range, range)) as f32).collect::<Vec<f32>>()
    };
    [
        ("uniform", signal(&mut |r, _| r.between(-range, range))),
        ("normal", signal(&mut |r, _| range / 4.0 * r.normal())),
        ("sine", signal(&mut |_, i| range * (i as f64 * 0.017).sin())),
        ("dyadic", signal(&mut |r, _| (r.between(-range, range) * 8.0).trunc() / 8.0)),
        ("sparse", signal(&mut |r, i| if i % 10 == 0 { r.between(-range, range) } else { 0.0 })),
    ]
}

/// Bias and root mean square of the error of a round trip.
fn error(x: &[f32], round_trip: impl Fn(f32) -> f64) -> (f64, f64) {
    let e = || x.iter().map(|&x| round_trip(x) - f64::from(x));
    let n = x.len() as f64;
    (e().sum::<f64>() / n, (e().map(|e| e * e).sum::<f64>() / n).sqrt())
}

/// Rounding to the steps of π is as good as plain rounding to the step that fits the signal, no better;
/// the published antiresonance does harm where zeros matter.
#[test]
fn scales_of_pi_are_as_good_as_plain_ones() {
    println!("bias and rms of the error, in 1/1000");
    println!(
        "lane signal    fitted step        power of two       pi                 pi, antiresonance"
    );
    for lane in PrecisionLane::NESTED {
        let c = PiCalibration::for_lane(lane).unwrap();
        let greatest = f64::from(c.greatest_code());
        let antiresonance = f64::from(c.antiresonance());
        for (name, x) in signals(greatest) {
            let largest = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let plain = |step: f64, shift: f64| {
                error(&x, move |x| {
                    let code = (f64::from(x) / step + shift).round_ties_even();
                    step * (code.clamp(-greatest - 1.0, greatest) - shift)
                })
            };
            let fitted = plain(f64::from(largest) / greatest, 0.0);
            let power_of_two = plain(4.0 / (greatest + 1.0), 0.0);
            let pi = error(&x, |x| f64::from(c.pi_dequantize(c.pi_quantize(x).unwrap())));
            let shifted = plain(f64::from(c.scale()), antiresonance);
            print!("{lane} {name:8}");
            for (bias, rms) in [fitted, power_of_two, pi, shifted] {
                print!("  {:+8.3} {:8.3}", 1e3 * bias, 1e3 * rms);
            }
            println!();
            match name {
                "uniform" | "normal" | "sine" => {
                    assert!((pi.1 / fitted.1 - 1.0).abs() < 0.1, "as good as the fitted step");
                    assert!(pi.1 < power_of_two.1, "the smaller step");
                    assert!((shifted.1 / pi.1 - 1.0).abs() < 0.03, "antiresonance changes nothing");
                }
                "sparse" => {
                    let zeros = 0.9 * antiresonance * f64::from(c.scale());
                    assert!((shifted.0 - pi.0 + zeros).abs() < 0.2 * zeros, "zeros are moved");
                }
                // Values of 1/8 are exact in steps of 1/4 and finer, and rounding ties to even evens out.
                _ => assert!(power_of_two.0.abs() < 0.005 && pi.0.abs() < 0.01),
            }
        }
    }
}

/// Every f32 of the range, by a prime step through the bit patterns.
#[test]
fn the_round_trip_is_exact_to_half_a_step() {
    let step = if super::full() { 7 } else { 1_009 };
    for lane in PrecisionLane::NESTED {
        let c = PiCalibration::for_lane(lane).unwrap();
        let (scale, n) = (f64::from(c.scale()), f64::from(c.greatest_code()));
        let mut worst: f64 = 0.0;
        for bits in (0..=4.0f32.to_bits()).step_by(step) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let exact = f64::from(x);
                if exact < -(n + 1.5) * scale || exact > (n + 0.5) * scale {
                    continue;
                }
                let back = f64::from(c.pi_dequantize(c.pi_quantize(x).unwrap()));
                worst = worst.max((back - exact).abs() / scale);
            }
        }
        println!("{lane}: the round trip errs by at most {worst:.9} steps");
        assert!(worst <= 0.5 * (1.0 + 2f64.powi(-16)));
        for code in -c.greatest_code() - 1..=c.greatest_code() {
            assert_eq!(c.pi_quantize(c.pi_dequantize(code)), Ok(code));
            assert_eq!(c.phase_encode(-1 - code), -c.phase_encode(code));
            assert!(f64::from(c.phase_encode(code)).abs() < PI);
        }
    }
}
