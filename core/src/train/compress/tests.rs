//! What holds for every codec, and for each its own promise.

use super::*;
use crate::pi::PiChaos;
use proptest::prelude::*;
use std::boxed::Box;
use std::{vec, vec::Vec};

/// A step of several workers: messages exchanged, residuals settled; returns the sum of what was
/// decoded.
fn step(codec: &mut dyn Codec, number: u64, residuals: &mut [Vec<f32>]) -> Vec<f32> {
    codec.start(number);
    let mut sum = vec![0.0; codec.parameters()];
    for round in 0..codec.rounds() {
        let messages: Vec<Vec<u32>> = residuals.iter().map(|x| encoded(codec, round, x)).collect();
        let last = round + 1 == codec.rounds();
        match codec.exchange() {
            Exchange::AllReduce => {
                let total = merged(&messages);
                codec.absorb(round, &total).unwrap();
                if last {
                    codec.add_decoded(&total, 1.0, &mut sum).unwrap();
                }
            }
            Exchange::AllGather => {
                messages.iter().for_each(|m| codec.add_decoded(m, 1.0, &mut sum).unwrap());
            }
        }
        if last {
            for (message, residual) in messages.iter().zip(residuals.iter_mut()) {
                settle(codec, message, residual).unwrap();
            }
        }
    }
    sum
}

fn encoded(codec: &dyn Codec, round: usize, x: &[f32]) -> Vec<u32> {
    // What a message held before must not matter.
    let mut message = vec![0x7FC0_1234; codec.message_words(round)];
    codec.encode(round, x, &mut message).unwrap();
    message
}

fn merged(messages: &[Vec<u32>]) -> Vec<u32> {
    let mut total = vec![0; messages[0].len()];
    messages.iter().for_each(|message| merge(&mut total, message).unwrap());
    total
}

const ROWS: usize = 20;
const COLS: usize = 35;
const N: usize = ROWS * COLS;

/// Every codec, for 20 × 35 values.
fn codecs() -> Vec<(&'static str, Box<dyn Codec>)> {
    let shape = |rows, width| SketchShape { rows, width, candidates: 40 };
    let two_phase = |rows, width| TwoPhase::new(N, shape(rows, width), 7, vec![0; 40]).unwrap();
    let sketch = |reading| LinearSketch::new(N, 70, 7, reading).unwrap();
    vec![
        ("dense", Box::new(Dense::new(N).unwrap())),
        ("unbiased sketch", Box::new(sketch(Reading::Unbiased))),
        ("sketch", Box::new(sketch(Reading::Projection))),
        ("two phases", Box::new(two_phase(1, 50))),
        ("two phases, 3 rows", Box::new(two_phase(3, 64))),
        ("two phases, 5 rows", Box::new(two_phase(5, 130))),
        ("top-k", Box::new(TopK::new(N, 30).unwrap())),
        ("low rank", Box::new(LowRank::new(ROWS, COLS, 2, 7, vec![0.0; 110]).unwrap())),
        ("folded", Box::new(LowRank::folded(N, 27, 3, 7, vec![0.0; 159]).unwrap())),
        ("round robin", Box::new(RoundRobin::new(N, 11).unwrap())),
        ("ternary", Box::new(Ternary::new(N).unwrap())),
    ]
}

/// Integers of a worker and step, whose sums f32 holds exactly, a few of them large.
fn integers(worker: u64, step: u64) -> Vec<f32> {
    let chaos = PiChaos::new();
    let value = |i: u64| (20.0 * chaos.jitter((worker * 1000 + step) * 5000 + i)).round();
    (0..N as u64).map(|i| if i % 97 == step % 97 { 100.0 * value(i) } else { value(i) }).collect()
}

fn norm(x: &[f32]) -> f64 {
    x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

fn added(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

#[test]
fn the_sum_of_messages_is_the_message_of_the_sum() {
    let (a, b) = (integers(1, 1), integers(2, 1));
    let both = added(&a, &b);
    for (name, mut codec) in codecs() {
        if codec.exchange() == Exchange::AllGather {
            continue;
        }
        codec.start(3);
        for round in 0..codec.rounds() {
            let total = merged(&[encoded(&*codec, round, &a), encoded(&*codec, round, &b)]);
            let whole = encoded(&*codec, round, &both);
            if matches!(name, "low rank" | "folded") && round == 1 {
                // P is of unit columns, no integers: sums of 20 products of up to 2000 are rounded.
                let (total, whole) = (bytemuck::cast_slice(&total), bytemuck::cast_slice(&whole));
                assert!(distance(total, whole) < 1e-6 * norm(whole), "{name}");
            } else {
                assert_eq!(total, whole, "{name}, round {round}");
            }
            codec.absorb(round, &total).unwrap();
        }
    }
}

#[test]
fn residuals_and_everything_decoded_are_the_sum_of_all_gradients() {
    for (name, mut codec) in codecs() {
        let mut residuals = vec![vec![0.0; N]; 3];
        let (mut decoded, mut truth) = (vec![0.0; N], vec![0.0; N]);
        for number in 0..12 {
            for (worker, residual) in residuals.iter_mut().enumerate() {
                let gradient = integers(worker as u64, number);
                feed(&gradient, residual).unwrap();
                truth = added(&truth, &gradient);
            }
            let sum = step(&mut *codec, number, &mut residuals);
            decoded = added(&decoded, &sum);
        }
        let total = residuals.iter().fold(decoded, |total, residual| added(&total, residual));
        if matches!(name, "dense" | "top-k" | "round robin") || name.starts_with("two") {
            // Values are sent whole, so nothing is rounded.
            assert_eq!(total, truth, "{name}");
        } else {
            // Each of 12 steps of 3 workers rounds residuals to 2⁻²⁴ a few times; those of unbiased
            // readings grow, so the bound is in terms of what was there.
            let largest = residuals.iter().map(|r| norm(r)).fold(norm(&truth), f64::max);
            assert!(distance(&total, &truth) < 1e-5 * largest, "{name}");
        }
    }
}

#[test]
fn what_projections_leave_out_is_orthogonal_to_what_they_send() {
    let x: Vec<f32> = (0..N as u64).map(|i| PiChaos::new().jitter(i)).collect();
    for (name, mut codec) in codecs() {
        let mut left = [x.clone()];
        let sent = step(&mut *codec, 1, &mut left);
        let (x, sent, left) = (norm(&x), norm(&sent), norm(&left[0]));
        if name == "unbiased sketch" {
            assert!(left > x);
        } else if name == "folded" {
            // What the fold adds to the last row is not sent: less than a projection, never more.
            assert!(left < x && sent < x);
        } else {
            assert!((sent * sent + left * left - x * x).abs() < 1e-5 * x * x, "{name}");
        }
    }
}

/// Descent of `½·Σ λ·(w − target)²`, a target for each worker and λ from 0.05 to 1, for 400 steps; the
/// distance of the shared weights from the mean target, and the worst of each worker's place, less all
/// residuals, from descent without compression.
fn descent(codec: &mut dyn Codec, workers: usize, ahead: f32) -> (f64, f64) {
    let chaos = PiChaos::new();
    let target = |worker: usize, i: usize| chaos.jitter((worker * N + i) as u64) + 2.0;
    let mean = |i: usize| (0..workers).map(|w| target(w, i)).sum::<f32>() / workers as f32;
    let share = |i: usize| 0.5 * (0.05 + 0.95 * i as f32 / N as f32) / workers as f32;
    let (mut shared, mut plain, mut worst) = (vec![0.0; N], vec![0.0; N], 0.0);
    let mut residuals = vec![vec![0.0; N]; workers];
    for number in 0..400 {
        for (worker, residual) in residuals.iter_mut().enumerate() {
            let mut local = shared.clone();
            step_ahead(residual, ahead, &mut local).unwrap();
            let step = |(i, w): (usize, &f32)| share(i) * (w - target(worker, i));
            let gradient: Vec<f32> = local.iter().enumerate().map(step).collect();
            if feed(&gradient, residual).is_err() {
                return (f64::INFINITY, f64::INFINITY);
            }
        }
        let sum = step(codec, number, &mut residuals);
        shared.iter_mut().zip(&sum).for_each(|(w, s)| *w -= s);
        let rest = residuals.iter().fold(vec![0.0; N], |sum, residual| added(&sum, residual));
        let place: Vec<f32> = shared.iter().zip(&rest).map(|(w, r)| w - r).collect();
        for (i, w) in plain.iter_mut().enumerate() {
            *w -= share(i) * workers as f32 * (*w - mean(i));
        }
        worst = f64::max(worst, distance(&place, &plain));
    }
    let best: Vec<f32> = (0..N).map(mean).collect();
    (distance(&shared, &best) / norm(&best), worst / norm(&best))
}

#[test]
fn workers_that_step_ahead_train_as_without_compression() {
    let codec = || RoundRobin::new(N, 50).unwrap();
    // Fifty steps' delay at a rate half of the largest curvature's: what waits piles up.
    assert!(descent(&mut codec(), 1, 0.0).0 > 1e3);
    for workers in [1, 4] {
        let (distance, from_plain) = descent(&mut codec(), workers, workers as f32);
        // The slowest values have 400 steps to shrink by 1/(1 − 0.025): to a ten-thousandth.
        assert!(distance < 1e-4, "{workers} workers: {distance}");
        assert!(from_plain < 1e-5, "{workers} workers: {from_plain}");
    }
    // By its own part alone a worker overlooks the other three quarters.
    assert!(descent(&mut codec(), 4, 1.0).0 > 1e3);
}

#[test]
fn the_unbiased_sketch_is_right_on_average() {
    let x = integers(1, 1);
    let trials = 4000;
    let (mut sums, mut squares) = (vec![0.0; N], vec![0.0; N]);
    let mut codec = LinearSketch::new(N, 128, 1, Reading::Unbiased).unwrap();
    for number in 0..trials {
        let read = step(&mut codec, number, &mut [x.clone()]);
        for (i, v) in read.into_iter().enumerate() {
            sums[i] += f64::from(v);
            squares[i] += f64::from(v).powi(2);
        }
    }
    let trials = trials as f64;
    for (i, x) in x.iter().enumerate() {
        let mean = sums[i] / trials;
        let error = ((squares[i] / trials - mean * mean) / trials).sqrt();
        // 700 values: four and a half standard errors.
        assert!((mean - f64::from(*x)).abs() < 4.5 * error, "{i}: {mean} {x} {error}");
    }
}

#[test]
fn a_sketch_of_a_vector_without_structure_has_the_cosine_of_its_share() {
    let chaos = PiChaos::new();
    let x: Vec<f32> = (0..40_000).map(|i| chaos.jitter(2 * i) + chaos.jitter(2 * i + 1)).collect();
    for ratio in [0.01, 0.1, 0.5] {
        let mut codec = LinearSketch::with_ratio(x.len(), ratio, 3, Reading::Projection).unwrap();
        let read = step(&mut codec, 0, &mut [x.clone()]);
        // A projection: its cosine is its length.
        let cosine = norm(&read) / norm(&x);
        assert!((cosine - f64::from(ratio).sqrt()).abs() < 0.02, "{ratio}: {cosine}");
    }
}

#[test]
fn two_phases_find_what_is_large_in_the_sum_alone() {
    let chaos = PiChaos::new();
    let (n, large) = (20_000, [5usize, 777, 9_000, 19_999]);
    // Four workers: noise of their own, large values only where they agree.
    let mut workers: Vec<Vec<f32>> =
        (0..4u64).map(|w| (0..n as u64).map(|i| chaos.jitter(w << 32 | i)).collect()).collect();
    workers.iter_mut().for_each(|x| large.iter().for_each(|i| x[*i] = 20.0));
    for rows in [1, 3, 5] {
        let shape = SketchShape { rows, width: 600, candidates: 200 };
        let mut codec = TwoPhase::new(n, shape, 1, vec![0; 200]).unwrap();
        let sum = step(&mut codec, 9, &mut workers.clone());
        assert!(codec.candidates().is_sorted());
        for i in large {
            assert_eq!(sum[i], 80.0, "{rows} rows, {i}");
        }
    }
}

#[test]
fn low_rank_finds_a_matrix_of_its_rank_in_two_steps() {
    let chaos = PiChaos::new();
    let (rows, cols) = (40, 30);
    let mut x = vec![0.0; rows * cols];
    for k in 0..2 {
        for i in 0..rows {
            for j in 0..cols {
                let (u, v) = (chaos.jitter(k << 20 | i as u64), chaos.jitter(k << 30 | j as u64));
                x[i * cols + j] += (1 + 9 * k) as f32 * u * v;
            }
        }
    }
    let mut codec = LowRank::new(rows, cols, 2, 1, vec![0.0; 140]).unwrap();
    step(&mut codec, 0, &mut [x.clone()]);
    let sum = step(&mut codec, 1, &mut [x.clone()]);
    assert!(distance(&sum, &x) < 1e-5 * norm(&x));
    // A rank to spare does no harm, nor does a matrix of zeros, and what comes after is found again.
    let mut codec = LowRank::new(rows, cols, 5, 1, vec![0.0; 350]).unwrap();
    assert_eq!(step(&mut codec, 0, &mut [vec![0.0; 1200]]), vec![0.0; 1200]);
    step(&mut codec, 1, &mut [x.clone()]);
    let sum = step(&mut codec, 2, &mut [x.clone()]);
    assert!(distance(&sum, &x) < 1e-5 * norm(&x));
}

#[test]
fn messages_and_state_are_as_small_as_promised() {
    let (n, rows, cols) = (1_000_000, 1000, 1000);
    for ratio in [0.01, 0.02, 0.1, 0.5] {
        let most = (f64::from(ratio) * n as f64) as usize;
        let top_k = TopK::with_ratio(n, ratio).unwrap();
        assert!(top_k.step_words() <= most && top_k.step_words() > most - 3);
        let shape = SketchShape::with_ratio(n, ratio, 0.5).unwrap();
        let two = TwoPhase::new(n, shape, 1, vec![0; shape.candidates]).unwrap();
        assert_eq!(two.step_words(), most);
        assert!(two.state_bytes() <= 4 * two.step_words());
        let rank = LowRank::<Vec<f32>>::rank_for_ratio(rows, cols, ratio).unwrap();
        let low = LowRank::new(rows, cols, rank, 1, vec![0.0; 2000 * rank]).unwrap();
        assert!(low.step_words() <= most && low.state_bytes() <= 4 * low.step_words());
    }
    let ternary = Ternary::new(n).unwrap().step_words();
    assert!(n as f64 / ternary as f64 > 18.8, "{ternary}");
    for rest in [0, 1, 20, 21, 319] {
        assert_eq!(
            Ternary::new(320 + rest).unwrap().step_words(),
            17 + if rest == 0 { 0 } else { 1 + rest.div_ceil(20) }
        );
    }
}

#[test]
fn two_runs_give_the_same_bits() {
    let run = || -> Vec<Vec<f32>> {
        codecs()
            .into_iter()
            .flat_map(|(_, mut codec)| {
                let mut residuals = vec![integers(1, 1), integers(2, 1)];
                let sum = step(&mut *codec, 4, &mut residuals);
                residuals.push(sum);
                residuals
            })
            .collect()
    };
    let bits = |run: Vec<Vec<f32>>| run.into_iter().flatten().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(run()), bits(run()));
}

#[test]
fn wrong_lengths_values_and_rounds_are_refused() {
    for (name, codec) in codecs() {
        let x = integers(1, 1);
        let words = codec.message_words(0);
        let mut message = vec![0; words];
        let mut encode = |x: &[f32], round, len: usize| codec.encode(round, x, &mut message[..len]);
        assert!(matches!(encode(&x[1..], 0, words), Err(ArgumentError::Length { .. })), "{name}");
        assert!(matches!(encode(&x, 0, words - 1), Err(ArgumentError::Length { .. })), "{name}");
        assert!(matches!(encode(&x, 2, 0), Err(ArgumentError::Count { .. })), "{name}");
        for value in [f32::NAN, f32::NEG_INFINITY] {
            let mut x = x.clone();
            x[9] = value;
            assert_eq!(encode(&x, 0, words), Err(ArgumentError::NotFinite { index: 9 }), "{name}");
            assert!(feed(&x, &mut vec![0.0; N]).is_err());
        }
        let mut large = x.clone();
        large[9] = -1e30;
        assert!(matches!(encode(&large, 0, words), Err(ArgumentError::Parameter { .. })), "{name}");
        let words = codec.message_words(codec.rounds() - 1);
        let mut out = vec![0.0; N];
        assert!(codec.add_decoded(&vec![0; words + 1], 1.0, &mut out).is_err(), "{name}");
        assert!(codec.add_decoded(&vec![0; words], 1.0, &mut out[1..]).is_err(), "{name}");
        assert!(codec.add_decoded(&vec![0; words], f32::NAN, &mut out).is_err(), "{name}");
        let nan = vec![f32::NAN.to_bits(); words];
        assert!(
            matches!(codec.add_decoded(&nan, 1.0, &mut out), Err(ArgumentError::NotFinite { .. })),
            "{name}"
        );
        assert_eq!(out, vec![0.0; N], "{name}");
    }
}

#[test]
fn feeding_and_merging_refuse_and_change_nothing() {
    let mut residual = [1.0, LARGEST];
    assert!(matches!(feed(&[1.0], &mut residual), Err(ArgumentError::Length { .. })));
    let nan = feed(&[0.0, f32::NAN], &mut residual);
    assert_eq!(nan, Err(ArgumentError::NotFinite { index: 1 }));
    assert!(matches!(feed(&[0.0, LARGEST], &mut residual), Err(ArgumentError::Parameter { .. })));
    assert_eq!(residual, [1.0, LARGEST]);
    let mut weights = [1.0, LARGEST];
    assert!(matches!(step_ahead(&[1.0], 1.0, &mut weights), Err(ArgumentError::Length { .. })));
    for factor in [-1.0, 1e6, f32::NAN] {
        let refused = step_ahead(&[1.0; 2], factor, &mut weights);
        assert!(matches!(refused, Err(ArgumentError::Parameter { .. })));
    }
    let nan = step_ahead(&[f32::NAN, 0.0], 1.0, &mut weights);
    assert_eq!(nan, Err(ArgumentError::NotFinite { index: 0 }));
    assert!(step_ahead(&[1.0, 1e30], 1.0, &mut weights).is_err());
    assert_eq!(weights, [1.0, LARGEST]);
    let mut total = [1.0f32.to_bits(); 2];
    assert!(merge(&mut total, &[0]).is_err());
    assert!(merge(&mut total, &[0, f32::INFINITY.to_bits()]).is_err());
    assert_eq!(total, [1.0f32.to_bits(); 2]);
}

#[test]
fn shapes_and_ratios_that_make_no_sense_are_refused() {
    for ratio in [0.0, -1.0, 1.5, f32::NAN, f32::INFINITY] {
        assert!(TopK::with_ratio(10, ratio).is_err());
        assert!(LinearSketch::with_ratio(10, ratio, 1, Reading::Unbiased).is_err());
        assert!(SketchShape::with_ratio(10, ratio, 0.5).is_err());
        assert!(LowRank::<[f32; 0]>::rank_for_ratio(5, 5, ratio).is_err());
    }
    assert!(SketchShape::with_ratio(10, 0.5, f32::NAN).is_err());
    for n in [0, usize::MAX] {
        assert!(Dense::new(n).is_err() && Ternary::new(n).is_err() && TopK::new(n, 1).is_err());
        assert!(TopK::with_ratio(n, 0.1).is_err());
        assert!(LinearSketch::new(n, 1, 1, Reading::Unbiased).is_err());
        assert!(LowRank::new(n, n, 1, 1, [0.0; 0]).is_err());
    }
    assert!(RoundRobin::new(5, 6).is_err() && RoundRobin::new(5, 0).is_err());
    assert!(LowRank::folded(5, 6, 1, 1, [0.0; 7]).is_ok());
    assert!(LowRank::folded(5, 0, 1, 1, [0.0; 5]).is_err());
    assert!(TopK::new(5, 6).is_err() && TopK::new(5, 0).is_err());
    assert!(LowRank::new(4, 9, 5, 1, [0.0; 65]).is_err());
    assert!(LowRank::new(4, 9, 2, 1, [0.0; 25]).is_err());
    for (rows, width, candidates) in
        [(0, 5, 5), (2, 5, 5), (7, 5, 5), (1, 0, 5), (1, 11, 5), (1, 5, 0)]
    {
        let shape = SketchShape { rows, width, candidates };
        assert!(TwoPhase::new(10, shape, 1, vec![0; candidates]).is_err());
    }
    let shape = SketchShape { rows: 1, width: 5, candidates: 3 };
    assert!(TwoPhase::new(10, shape, 1, [0; 4]).is_err());
}

proptest! {
    #[test]
    fn messages_by_chance_never_panic(words in proptest::collection::vec(any::<u32>(), 800)) {
        for (_, mut codec) in codecs() {
            for round in 0..codec.rounds() {
                let _ = codec.absorb(round, &words[..codec.message_words(round)]);
            }
            let message = &words[..codec.message_words(codec.rounds() - 1)];
            let _ = codec.add_decoded(message, 1.0, &mut vec![0.0; N]);
        }
    }

    #[test]
    fn top_k_leaves_the_small_ones(x in proptest::collection::vec(-1e6f32..1e6, 1..300), part in 0.0..1.0f64) {
        let k = ((part * x.len() as f64) as usize).max(1);
        let mut left = [x.clone()];
        let sent = step(&mut TopK::new(x.len(), k).unwrap(), 0, &mut left);
        let least = sent.iter().filter(|v| **v != 0.0).fold(f32::MAX, |m, v| m.min(v.abs()));
        prop_assert!(left[0].iter().all(|v| v.abs() <= least));
        prop_assert_eq!(added(&sent, &left[0]), x);
    }
}
