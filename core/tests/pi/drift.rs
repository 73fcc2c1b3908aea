//! Detection and false alarm rates of the drift detector over injected faults.
//!
//! A block has 256 values: uniform, normal, a sine, or a random walk, with a peak of 60 to 100% of the
//! lane's range, rounded to nearest, by truncated digits or by subtracted dither, with noise of 0.01
//! steps (standard deviation) on the quantised side.

use crate::random::Random;
use std::f64::consts::{PI, TAU};
use trilane_core::lane::PrecisionLane;
use trilane_core::pi::{
    DriftConfig, DriftDetector, DriftFault, DriftReport, PiCalibration, drift_transform,
};

const BLOCK: usize = 256;
const NOISE: f64 = 0.01;

/// The faults, of realistic size: what a wrong scale or zero point, a broken wire or a register that is
/// too narrow does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Injected {
    None,
    /// Values this many times too large: 10 to 50% up or down.
    Scale(f64),
    /// Values this many steps too high or low: ¼ to 4.
    Offset(f64),
    /// The first code all the time.
    StuckValue,
    /// One bit of the codes always 0 or always 1.
    StuckBit(u32, bool),
    /// Cut at 40 to 80% of the peak, at least a step below it.
    Saturation(f64),
}

impl Injected {
    fn scale(random: &mut Random) -> Self {
        Self::Scale(1.0 + signed(random, 0.1, 0.5))
    }

    fn offset(random: &mut Random) -> Self {
        Self::Offset(signed(random, 0.25, 4.0))
    }

    fn stuck(random: &mut Random, bits: u32) -> Self {
        if random.below(2) == 0 {
            Self::StuckValue
        } else {
            Self::StuckBit(random.below(bits as usize) as u32, random.below(2) == 0)
        }
    }

    fn saturation(random: &mut Random) -> Self {
        Self::Saturation(random.between(0.4, 0.8))
    }

    /// Whether the detector named this fault.
    fn is(self, found: Option<DriftFault>) -> bool {
        matches!(
            (self, found),
            (Self::None, None)
                | (Self::Scale(_), Some(DriftFault::Scale(_)))
                | (Self::Offset(_), Some(DriftFault::Offset(_)))
                | (Self::StuckValue | Self::StuckBit(..), Some(DriftFault::StuckAt))
                | (Self::Saturation(_), Some(DriftFault::Saturation { .. }))
        )
    }
}

/// A magnitude in `least..greatest` with either sign.
fn signed(random: &mut Random, least: f64, greatest: f64) -> f64 {
    let magnitude = random.between(least, greatest);
    if random.below(2) == 0 { magnitude } else { -magnitude }
}

/// A block of originals, in steps, of some kind and peak.
fn originals(random: &mut Random, greatest: f64) -> Vec<f64> {
    let peak = random.between(0.6, 1.0) * (greatest + 0.5);
    let mut x: Vec<f64> = match random.below(4) {
        0 => (0..BLOCK).map(|_| random.between(-1.0, 1.0)).collect(),
        1 => (0..BLOCK).map(|_| (random.normal() / 3.0).clamp(-1.0, 1.0)).collect(),
        2 => {
            let (cycles, phase) = (random.between(1.0, 100.0), random.between(0.0, TAU));
            (0..BLOCK).map(|i| (TAU * cycles * i as f64 / BLOCK as f64 + phase).sin()).collect()
        }
        _ => {
            let mut level = 0.0;
            (0..BLOCK)
                .map(|_| {
                    level = 0.9 * level + random.normal();
                    level
                })
                .collect()
        }
    };
    let largest = x.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    x.iter_mut().for_each(|v| *v *= peak / largest);
    x
}

/// The quantised values of a block, in steps, fault and noise included.
fn quantised(random: &mut Random, v: &[f64], bits: u32, fault: Injected) -> Vec<f64> {
    let greatest = f64::from((1 << (bits - 1)) - 1);
    let kind = random.below(3);
    let peak = v.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut first = None;
    v.iter()
        .map(|v| {
            // A code and where its value lies beside it: 0; half a step up for truncated digits, which
            // hold −n − 1..n + 1 that way; the dither.
            let shift = [0.0, 0.5, random.between(-0.5, 0.5)][kind];
            let code = (v - shift).round_ties_even();
            let mut code = if kind == 2 { code } else { code.clamp(-greatest - 1.0, greatest) };
            match fault {
                Injected::StuckValue => code = *first.get_or_insert(code),
                Injected::StuckBit(bit, on) => {
                    let mask = 1 << bit;
                    let offset = 1 << (bits - 1);
                    let stored = code as i32 + offset;
                    let stored = if on { stored | mask } else { stored & !mask };
                    code = f64::from(stored - offset);
                }
                Injected::Saturation(share) => {
                    let cut = (share * peak).min(peak - 1.0).floor().max(1.0);
                    code = code.clamp(-cut, cut);
                }
                Injected::None | Injected::Scale(_) | Injected::Offset(_) => {}
            }
            let value = match fault {
                Injected::StuckValue => code,
                Injected::Scale(gain) => gain * (code + shift),
                Injected::Offset(offset) => code + shift + offset,
                _ => code + shift,
            };
            value + NOISE * random.normal()
        })
        .collect()
}

/// The published statistic: the error of sin πx + ½·cos πx over what is expected of the lane.
fn published(x: &[f32], y: &[f32], bits: u32) -> f64 {
    let transform = |x: f32| (PI * f64::from(x)).sin() + 0.5 * (PI * f64::from(x)).cos();
    let squares: f64 = x.iter().zip(y).map(|(&x, &y)| (transform(x) - transform(y)).powi(2)).sum();
    let expected = match bits {
        3 => 0.15,
        5 => 0.05,
        _ => 0.01,
    };
    (squares / x.len() as f64).sqrt() / expected
}

/// Shares of blocks, and the published statistic of every tenth.
#[derive(Clone, Debug, Default)]
struct Rates {
    alarm: f64,
    named: f64,
    published: Vec<f64>,
}

impl Rates {
    /// The share of blocks in which the published statistic reaches a threshold.
    fn published(&self, threshold: f64) -> f64 {
        let found = self.published.iter().filter(|&&ratio| ratio >= threshold).count();
        found as f64 / self.published.len() as f64
    }
}

fn rates(
    lane: PrecisionLane,
    blocks: usize,
    inject: impl Fn(&mut Random, u32) -> Injected,
) -> Rates {
    let calibration = PiCalibration::for_lane(lane).unwrap();
    let step = f64::from(calibration.scale());
    let mut detector = DriftDetector::new(lane).unwrap();
    let mut random = Random(17 + lane as u64);
    let mut rates = Rates::default();
    let bits = lane.code_bits();
    for block in 0..blocks {
        let v = originals(&mut random, f64::from(calibration.greatest_code()));
        let fault = inject(&mut random, bits);
        let w = quantised(&mut random, &v, bits, fault);
        let x: Vec<f32> = v.iter().map(|v| (v * step) as f32).collect();
        let y: Vec<f32> = w.iter().map(|w| (w * step) as f32).collect();
        detector.reset();
        let honesty = detector.check(&x, &y).unwrap();
        let share = 1.0 / blocks as f64;
        rates.alarm += if honesty.is_honest { 0.0 } else { share };
        rates.named += if fault.is(honesty.report.fault) { share } else { 0.0 };
        if block % 10 == 0 {
            rates.published.push(published(&x, &y, bits));
        }
    }
    rates
}

type Inject = fn(&mut Random, u32) -> Injected;

#[test]
fn faults_are_found_and_honest_signals_raise_no_alarm() {
    let blocks = if super::full() { 100_000 } else { 10_000 };
    println!("{blocks} blocks of each, in %: found, named rightly");
    println!("beside: published statistic of at least 2 | of what 1% of honest blocks exceed");
    for lane in PrecisionLane::NESTED {
        let faults: [(&str, Inject); 5] = [
            ("none", |_, _| Injected::None),
            ("scale", |r, _| Injected::scale(r)),
            ("offset", |r, _| Injected::offset(r)),
            ("stuck-at", Injected::stuck),
            ("saturation", |r, _| Injected::saturation(r)),
        ];
        let mut threshold = 0.0;
        for (name, inject) in faults {
            let mut found = rates(lane, blocks, inject);
            if name == "none" {
                found.published.sort_by(f64::total_cmp);
                threshold = found.published[found.published.len() * 99 / 100];
                assert!(found.alarm <= 0.01, "{lane}: false alarms");
            } else {
                assert!(found.alarm >= 0.99, "{lane}: {name}");
            }
            println!(
                "{lane} {name:10} {:8.3} {:8.3} | {:6.1} {:6.1}",
                100.0 * found.alarm,
                100.0 * found.named,
                100.0 * found.published(2.0),
                100.0 * found.published(threshold)
            );
            assert!(found.named >= 0.98, "{lane}: {name}");
        }
    }
}

/// Where detection begins.
#[test]
fn smaller_faults_are_found_less_often() {
    println!("share of blocks found, in %, by size of the fault");
    for lane in PrecisionLane::NESTED {
        print!("{lane} scale");
        for percent in [0.5, 1.0, 2.0, 5.0, 10.0] {
            let found = rates(lane, 500, |_, _| Injected::Scale(1.0 - percent / 100.0));
            print!("  {percent}%: {:.1}", 100.0 * found.alarm);
        }
        print!("\n{lane} offset");
        let mut last = 0.0;
        for steps in [0.03, 0.06, 0.09, 0.125, 0.25] {
            let found = rates(lane, 500, |_, _| Injected::Offset(steps));
            print!("  {steps}: {:.1}", 100.0 * found.alarm);
            assert!(found.alarm >= last - 0.02);
            last = found.alarm;
        }
        println!();
        assert!(last > 0.99);
    }
}

/// The published transform has period 2: an error of exactly 2.0 is invisible to it.
#[test]
fn an_error_of_exactly_two_is_seen() {
    for lane in PrecisionLane::NESTED {
        let calibration = PiCalibration::for_lane(lane).unwrap();
        let x: Vec<f32> = (0..BLOCK).map(|i| (i as f32 * 0.731).sin() * 2.0).collect();
        let round = |x: f32| calibration.pi_dequantize(calibration.pi_quantize(x).unwrap());
        let honest: Vec<f32> = x.iter().map(|&x| round(x)).collect();
        let off: Vec<f32> = honest.iter().map(|y| y + 2.0).collect();
        let bits = lane.code_bits();
        let blind = (published(&x, &off, bits) / published(&x, &honest, bits) - 1.0).abs();
        let mut detector = DriftDetector::new(lane).unwrap();
        let before = detector.check(&x, &honest).unwrap();
        let after = detector.check(&x, &off).unwrap();
        println!(
            "{lane}: error of 2.0: published ratio changes by {:.5}%, ratio {:.2} becomes {:.2}",
            100.0 * blind,
            before.report.ratio,
            after.report.ratio
        );
        assert!(blind < 1e-3 && before.is_honest && after.should_escalate);
        match after.report.fault {
            Some(DriftFault::Offset(steps)) => {
                assert!((steps * calibration.scale() - 2.0).abs() < 0.6 * calibration.scale());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Of honest blocks the ratio is 1 on average, and the window sees a slow change that no single block
/// shows.
#[test]
fn the_ratio_is_one_and_its_trend_follows_time() {
    for lane in PrecisionLane::NESTED {
        let config = DriftConfig { step: 1.0, ..DriftConfig::for_lane(lane).unwrap() };
        let mut detector = DriftDetector::with_config(config).unwrap();
        let mut random = Random(23);
        let bits = lane.code_bits();
        let greatest = f64::from((1 << (bits - 1)) - 1);
        let mut block = |noise: f64| {
            let v = originals(&mut random, greatest);
            let w = quantised(&mut random, &v, bits, Injected::None);
            let x: Vec<f32> = v.iter().map(|&v| v as f32).collect();
            let y: Vec<f32> = w.iter().map(|w| (w + noise * random.normal()) as f32).collect();
            detector.check(&x, &y).unwrap()
        };
        let ratios: Vec<f32> = (0..500).map(|_| block(0.0).report.ratio).collect();
        let mean = ratios.iter().sum::<f32>() / 500.0;
        let flat = block(0.0).trend.unwrap();
        let rising = (0..64).map(|i| block(0.01 * f64::from(i)).trend.unwrap()).last().unwrap();
        let falling =
            (0..64).map(|i| block(0.01 * f64::from(64 - i)).trend.unwrap()).last().unwrap();
        println!(
            "{lane}: mean ratio {mean:.3}, trend {flat:+.4} flat, {rising:+.4}, {falling:+.4}"
        );
        assert!((mean - 1.0).abs() < 0.1);
        assert!(rising > 0.01 && falling < -0.01 && flat.abs() < rising / 2.0);
    }
}

#[test]
fn measuring_leaves_no_trace() {
    let detector = DriftDetector::new(PrecisionLane::Bit5).unwrap();
    let report: DriftReport = detector.measure(&[0.0, 0.1], &[0.0, 1.1]).unwrap();
    assert_eq!((report.samples, report.outside), (2, 1));
    assert!(drift_transform(0.0) == 0.0);
}
