//! Dither measured: spurs of quantised sines, error, averages of rounded values.

use crate::random::Random;
use rustfft::{FftPlanner, num_complex::Complex};
use trilane_core::pi::{Dither, DitherMode, StochasticRounding, WeylSequence};

/// White noise loses 3 dB with each halving of the length; spurs do not change.
const LENGTH: usize = 1 << 15;

/// A sine of `cycles` whole periods over [`LENGTH`] samples.
fn sine(cycles: usize, amplitude: f64) -> Vec<f32> {
    let angle = |i: usize| std::f64::consts::TAU * (i * cycles % LENGTH) as f64 / LENGTH as f64;
    (0..LENGTH).map(|i| (amplitude * (angle(i) + 0.1).sin()) as f32).collect()
}

/// Spur-free dynamic range: the power of the sine over that of the strongest other line, in dB. The
/// sine has whole periods, so no window is needed and no power leaks.
fn spur_free_range(x: &[f32], cycles: usize) -> f64 {
    let mut spectrum: Vec<Complex<f64>> =
        x.iter().map(|&x| Complex::new(f64::from(x), 0.0)).collect();
    FftPlanner::new().plan_fft_forward(x.len()).process(&mut spectrum);
    let power: Vec<f64> = spectrum[1..x.len() / 2].iter().map(Complex::norm_sqr).collect();
    let spur = power.iter().enumerate().filter(|(i, _)| i + 1 != cycles);
    10.0 * (power[cycles - 1] / spur.map(|(_, &p)| p).fold(0.0, f64::max)).log10()
}

/// A quantised sine, of unit steps.
#[derive(Clone, Copy, Debug)]
enum Method {
    Plain,
    White(DitherMode),
    Weyl(WeylSequence, DitherMode),
}

fn quantised(x: &[f32], bits: u32, method: Method) -> Vec<f32> {
    let greatest = ((1 << (bits - 1)) - 1) as i8;
    let clamp = |v: f32| v.round_ties_even().clamp(-f32::from(greatest) - 1.0, f32::from(greatest));
    match method {
        Method::Plain => x.iter().map(|&x| clamp(x)).collect(),
        Method::White(mode) => {
            let mut random = Random(5);
            let keep = if mode == DitherMode::Subtractive { 1.0 } else { 0.0 };
            x.iter()
                .map(|&x| {
                    let d = random.between(-0.5, 0.5) as f32;
                    clamp(x + d) - keep * d
                })
                .collect()
        }
        Method::Weyl(sequence, mode) => {
            let mut codes = vec![0; x.len()];
            let mut y = vec![0.0; x.len()];
            let mut dither = Dither::new(sequence, 1.0, -greatest - 1, greatest).unwrap();
            dither.clone().quantize(x, &mut codes).unwrap();
            dither.dequantize(&codes, mode, &mut y).unwrap();
            y
        }
    }
}

const METHODS: [Method; 7] = [
    Method::Plain,
    Method::White(DitherMode::Subtractive),
    Method::Weyl(WeylSequence::Linear, DitherMode::Subtractive),
    Method::Weyl(WeylSequence::Quadratic, DitherMode::Subtractive),
    Method::White(DitherMode::NonSubtractive),
    Method::Weyl(WeylSequence::Linear, DitherMode::NonSubtractive),
    Method::Weyl(WeylSequence::Quadratic, DitherMode::NonSubtractive),
];

/// Median over frequencies of the range of every method; the sine reaches `headroom` steps less than
/// the ±(n + ½) that plain rounding to ±n can hold.
fn ranges(bits: u32, headroom: f64) -> [f64; 7] {
    let amplitude = f64::from((1 << (bits - 1)) - 1) + 0.5 - headroom;
    METHODS.map(|method| {
        let mut ranges: Vec<f64> = [511, 1_155, 2_283, 3_003, 4_987, 6_139, 7_507]
            .map(|cycles| {
                spur_free_range(&quantised(&sine(cycles, amplitude), bits, method), cycles)
            })
            .into();
        ranges.sort_by(f64::total_cmp);
        ranges[3]
    })
}

#[test]
fn quadratic_dither_is_as_clean_as_white_noise() {
    println!("SFDR in dB, median of 7 frequencies | subtracted               | kept");
    println!(
        "bits room  plain                    | white linear quadratic   | white linear quadratic"
    );
    for (bits, headroom) in [(3, 0.0), (3, 0.5), (5, 0.0), (5, 0.5), (7, 0.0), (7, 0.5)] {
        let r = ranges(bits, headroom);
        println!(
            "{bits:4} {headroom:4.1} {:6.1}                    | {:5.1} {:6.1} {:9.1}   | {:5.1} {:6.1} {:9.1}",
            r[0], r[1], r[2], r[3], r[4], r[5], r[6]
        );
        if headroom > 0.0 {
            let [plain, white, linear, quadratic, _, linear_kept, quadratic_kept] = r;
            assert!(quadratic > white - 1.5, "as clean as white noise");
            assert!(quadratic > plain + 15.0 && linear > plain + 5.0 && quadratic > linear + 5.0);
            assert!(linear_kept < plain && quadratic_kept > plain + 10.0);
        }
    }
}

/// Subtracted dither leaves the error within half a step and uniform: its power is 1/12 whatever the
/// signal; kept dither adds its own 1/12 on average, and no method is better than plain rounding here.
#[test]
fn dither_costs_no_error_when_subtracted() {
    let mut random = Random(9);
    for (bits, greatest) in [(3, 3.0), (5, 15.0), (7, 63.0)] {
        let x: Vec<f32> = (0..LENGTH).map(|_| random.between(-greatest, greatest) as f32).collect();
        let error = |method| {
            let y = quantised(&x, bits, method);
            let e = || x.iter().zip(&y).map(|(x, y)| f64::from(y - x));
            let n = x.len() as f64;
            let worst = e().fold(0.0, |w: f64, e| w.max(e.abs()));
            (worst, (e().map(|e| e * e).sum::<f64>() / n).sqrt(), e().sum::<f64>() / n)
        };
        println!("{bits} bits, uniform signal, error in steps: worst, rms, bias");
        for method in METHODS {
            let (worst, rms, bias) = error(method);
            println!("  {worst:.4} {rms:.4} {bias:+.5}  {method:?}");
            assert!(bias.abs() < 0.01);
            match method {
                Method::White(DitherMode::NonSubtractive)
                | Method::Weyl(_, DitherMode::NonSubtractive) => {
                    assert!(worst <= 1.0 && (rms - (1.0f64 / 6.0).sqrt()).abs() < 0.01);
                }
                _ => {
                    assert!(worst <= 0.5 + 1e-5 && (rms - (1.0f64 / 12.0).sqrt()).abs() < 0.004);
                }
            }
        }
    }
}

/// Constant signals below one step survive on average, where plain rounding gives 0.
#[test]
fn averages_of_rounded_values_come_close() {
    let values: Vec<f32> = (1..200).map(|i| i as f32 / 200.0 + 0.000_7).collect();
    println!("worst error of the mean of N roundings: linear pi, white noise");
    for n in [100, 1_000, 10_000] {
        let worst = |f: &mut dyn FnMut(f32) -> f64| {
            values.iter().fold(0.0, |worst: f64, &x| {
                let mean = (0..n).map(|_| f(x)).sum::<f64>() / f64::from(n);
                worst.max((mean - f64::from(x)).abs())
            })
        };
        let mut rounding = StochasticRounding::new();
        let mut random = Random(3);
        let pi = worst(&mut |x| f64::from(rounding.round(x).unwrap()));
        let white = worst(&mut |x| f64::from(u8::from(random.unit() < f64::from(x))));
        println!("  N = {n:6}: {pi:.6} {white:.6}");
        assert!(pi < white / 2.0);
    }
    let mut rounding = StochasticRounding::new();
    let mean = (0..100_000).map(|_| f64::from(rounding.round(-7.3).unwrap())).sum::<f64>() / 1e5;
    assert!((mean + 7.3).abs() < 2e-4, "{mean}");
}
