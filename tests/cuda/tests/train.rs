//! Training on the emulated device against the host's.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::{self, Codec, Reading, SketchShape};
use trilane_core::train::predict::{self, PredictorConfig, TensorMoments};
use trilane_core::train::{self, TernaryConfig, accumulator_words};
use trilane_cuda::train::{
    Check, DeterministicPredictor, LinearSketch, TernaryGradientAccumulator, TwoPhase, feed,
};
use trilane_cuda::{Buffer, CudaError, Stream};
use trilane_cuda_tests::{Order, bits, device, float, random};

fn stream(descending: bool) -> Stream {
    let order = if descending { Order::Descending } else { Order::Ascending };
    device(order).stream().unwrap()
}

/// A gradient with zeros of both signs, and values that cancel those of the step before.
fn gradient(len: usize, seed: &mut u64) -> Vec<f32> {
    let value = |_| match random(seed) % 6 {
        0 => 0.0,
        1 => -0.0,
        2 => 0.5,
        3 => -0.5,
        _ => float(seed),
    };
    (0..len).map(value).collect()
}

fn on(stream: &Stream, values: &[f32]) -> Buffer<f32> {
    Buffer::from_host(stream, values).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn sums_in_trits(
        len in prop_oneof![1usize..40, 100usize..700],
        stochastic: bool,
        draws: u64,
        descending: bool,
        mut seed: u64,
    ) {
        let stream = stream(descending);
        let config =
            TernaryConfig::builder().use_stochastic_rounding(stochastic).seed(draws).accumulation_steps(3);
        let config = config.build().unwrap();
        let mut expected =
            train::TernaryGradientAccumulator::new(len, config, vec![0; accumulator_words(len)]).unwrap();
        let mut found = TernaryGradientAccumulator::new(&stream, len, config).unwrap();
        let (mut mean, mut on_mean) = (vec![0.0; len], Buffer::zeros(&stream, len).unwrap());
        for _ in 0..2 {
            for step in 0..4 {
                found.get_accumulated(&stream, &mut on_mean).unwrap();
                expected.get_accumulated(&mut mean).unwrap();
                prop_assert_eq!(bits(&on_mean.to_vec(&stream).unwrap()), bits(&mean));
                prop_assert_eq!(found.ready_for_update(), step == 3);
                prop_assert_eq!(&found.words().to_vec(&stream).unwrap(), expected.words());
                let gradient = gradient(len, &mut seed);
                found.accumulate(&stream, &on(&stream, &gradient)).unwrap();
                expected.accumulate(&gradient).unwrap();
            }
            found.reset(&stream).unwrap();
            expected.reset();
        }
    }

    #[test]
    fn sketches_with_error_feedback(
        len in prop_oneof![1usize..100, 500usize..1500],
        ratio in 1usize..40,
        projection: bool,
        key: u64,
        first: u64,
        descending: bool,
        mut seed: u64,
    ) {
        let stream = stream(descending);
        let width = (len / ratio).max(1);
        let reading = if projection { Reading::Projection } else { Reading::Unbiased };
        let mut codec = compress::LinearSketch::new(len, width, key, reading).unwrap();
        let mut sketch = LinearSketch::new(&stream, codec).unwrap();
        let (mut residual, mut message) = (vec![0.0; len], vec![0; width]);
        let mut on_residual = Buffer::zeros(&stream, len).unwrap();
        let mut on_message = Buffer::zeros(&stream, width).unwrap();
        let mut check = Check::new(&stream).unwrap();
        for step in [0, first, first.wrapping_add(1)] {
            if step > 0 {
                codec.start(step);
                sketch.start(&stream, step).unwrap();
            }
            let gradient = gradient(len, &mut seed);
            compress::feed(&gradient, &mut residual).unwrap();
            feed(&stream, &mut check, &on(&stream, &gradient), &mut on_residual).unwrap();
            codec.encode(0, &residual, &mut message).unwrap();
            sketch.encode(&stream, &on_residual, &mut on_message).unwrap();
            prop_assert_eq!(&bits(&on_message.to_vec(&stream).unwrap()), &message);
            compress::settle(&codec, &message, &mut residual).unwrap();
            sketch.add_decoded(&stream, &on_message, -1.0, &mut on_residual).unwrap();
            prop_assert_eq!(bits(&on_residual.to_vec(&stream).unwrap()), bits(&residual));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn predictions(
        tensors in proptest::collection::vec(prop_oneof![1usize..60, 500usize..530, Just(1100)], 1..5),
        // With 0 no residual is kept; a threshold of 0 adds any that there is.
        rate in prop_oneof![Just(0.0f32), 0.05f32..1.0],
        threshold in prop_oneof![Just(0.0f32), Just(0.3)],
        decay in 0.35f32..0.999,
        scale in 0.0f64..1.0,
        descending: bool,
        mut seed: u64,
    ) {
        let stream = stream(descending);
        let config = PredictorConfig { decay, residual_rate: rate, residual_threshold: threshold };
        let mut moments: Vec<_> = tensors.iter().map(|len| TensorMoments::new(*len)).collect();
        let len = tensors.iter().sum();
        let mut state = vec![0.0; predict::DeterministicPredictor::state_len(len, &config)];
        let mut expected =
            predict::DeterministicPredictor::new(&mut moments, &mut state, config).unwrap();
        let mut found = DeterministicPredictor::new(&stream, &tensors, config).unwrap();
        let (mut gradient, mut on_gradient) = (vec![0.0; len], Buffer::zeros(&stream, len).unwrap());
        let slopes: Vec<f32> = (0..len).map(|_| float(&mut seed)).collect();
        for _ in 0..2 {
            let mut step = 0;
            for _ in 0..5 {
                // Lines with some noise, which are told from it.
                let g: Vec<f32> =
                    slopes.iter().map(|s| 1.0 + s * step as f32 + 0.1 * float(&mut seed)).collect();
                let agreement = found.record(&stream, step, &on(&stream, &g)).unwrap();
                prop_assert_eq!(agreement, expected.record(step, &g).unwrap());
                prop_assert_eq!(found.lines().tensors(), expected.tensors());
                step += 1 + random(&mut seed) % 3;
                expected.predict(step, &mut gradient).unwrap();
                found.predict(&stream, step, &mut on_gradient).unwrap();
                prop_assert_eq!(bits(&on_gradient.to_vec(&stream).unwrap()), bits(&gradient));
                expected.predict_scaled(step + 1, scale, &mut gradient).unwrap();
                found.predict_scaled(&stream, step + 1, scale, &mut on_gradient).unwrap();
                prop_assert_eq!(bits(&on_gradient.to_vec(&stream).unwrap()), bits(&gradient));
            }
            prop_assert!(gradient.iter().any(|g| *g != 0.0) || scale == 0.0);
            found.reset(&stream).unwrap();
            expected.reset();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, ..ProptestConfig::default() })]

    #[test]
    fn two_phases(
        // Up to several warps that select.
        len in prop_oneof![1usize..100, 1900usize..2200, 5000usize..7000],
        rows in prop_oneof![Just(1usize), Just(3), Just(5)],
        ratio in 1usize..60,
        candidates in 1usize..200,
        key: u64,
        step: u64,
        descending: bool,
        mut seed: u64,
    ) {
        let stream = stream(descending);
        let (width, candidates) = ((len / ratio).max(1), candidates.min(len));
        let shape = SketchShape { rows, width, candidates };
        let mut codec = compress::TwoPhase::new(len, shape, key, vec![0; candidates]).unwrap();
        let mut two = TwoPhase::new(&stream, codec.clone()).unwrap();
        let (mut residual, mut on_residual) = (vec![0.0; len], Buffer::zeros(&stream, len).unwrap());
        let mut check = Check::new(&stream).unwrap();
        for step in [step, step.wrapping_add(1)] {
            codec.start(step);
            two.start(&stream, step).unwrap();
            let gradient = gradient(len, &mut seed);
            compress::feed(&gradient, &mut residual).unwrap();
            feed(&stream, &mut check, &on(&stream, &gradient), &mut on_residual).unwrap();
            let mut last = (Vec::new(), Buffer::zeros(&stream, 0).unwrap());
            for round in 0..2 {
                let words = codec.message_words(round);
                let mut message = vec![0; words];
                let mut on_message = Buffer::zeros(&stream, words).unwrap();
                codec.encode(round, &residual, &mut message).unwrap();
                two.encode(&stream, round, &on_residual, &mut on_message).unwrap();
                prop_assert_eq!(&bits(&on_message.to_vec(&stream).unwrap()), &message);
                codec.absorb(round, &message).unwrap();
                two.absorb(&stream, round, &on_message).unwrap();
                prop_assert_eq!(two.candidates().to_vec(&stream).unwrap(), codec.candidates());
                last = (message, on_message);
            }
            compress::settle(&codec, &last.0, &mut residual).unwrap();
            two.add_decoded(&stream, &last.1, -1.0, &mut on_residual).unwrap();
            prop_assert_eq!(bits(&on_residual.to_vec(&stream).unwrap()), bits(&residual));
        }
    }
}

#[test]
fn of_equal_estimates_those_come_first_that_follow_the_index_of_the_step() {
    // Every value has a bucket of its own, and all are as large.
    let (len, candidates) = (5000, 3000);
    let shape = SketchShape { rows: 1, width: len, candidates };
    let mut codec = compress::TwoPhase::new(len, shape, 4, vec![0; candidates]).unwrap();
    for descending in [false, true] {
        let stream = stream(descending);
        let mut two = TwoPhase::new(&stream, codec.clone()).unwrap();
        let merged = vec![0.5f32; len];
        for step in 0..2 {
            codec.start(step);
            codec.absorb(0, &bits(&merged)).unwrap();
            two.start(&stream, step).unwrap();
            two.absorb(&stream, 0, &on(&stream, &merged)).unwrap();
            let taken = two.candidates().to_vec(&stream).unwrap();
            assert_eq!(taken, codec.candidates());
            assert!(taken.contains(&(codec.first() as u32)));
        }
    }
}

/// What the host says of it.
fn refused(error: ArgumentError) -> Result<(), CudaError> {
    Err(CudaError::Argument(error))
}

#[test]
fn values_that_are_refused_change_nothing() {
    let stream = stream(true);
    let (len, width) = (300, 20);
    let config = TernaryConfig::default();
    let mut sum = TernaryGradientAccumulator::new(&stream, len, config).unwrap();
    let codec = compress::LinearSketch::new(len, width, 1, Reading::Unbiased).unwrap();
    let mut sketch = LinearSketch::new(&stream, codec).unwrap();
    let mut check = Check::new(&stream).unwrap();
    let mut predictor =
        DeterministicPredictor::new(&stream, &[len], PredictorConfig::default()).unwrap();
    (0..3).for_each(|step| {
        predictor.record(&stream, step, &on(&stream, &vec![2.0; len])).unwrap();
    });
    let lines = predictor.lines().clone();
    sum.accumulate(&stream, &on(&stream, &vec![2.0; len])).unwrap();
    let words = sum.words().to_vec(&stream).unwrap();
    for bad in [f32::NAN, f32::INFINITY, -1e30] {
        let mut gradient = vec![1.0; len];
        // Of two values that are not finite the first is named.
        (gradient[257], gradient[40]) = (bad, bad);
        let expected = compress::feed(&gradient, &mut vec![0.0; len]).unwrap_err();
        let gradient = on(&stream, &gradient);
        let mut residual = on(&stream, &vec![1.0; len]);
        let mut message = on(&stream, &vec![3.0; width]);
        assert_eq!(feed(&stream, &mut check, &gradient, &mut residual), refused(expected));
        assert_eq!(sum.accumulate(&stream, &gradient), refused(expected));
        assert_eq!(sketch.encode(&stream, &gradient, &mut message), refused(expected));
        if !bad.is_finite() {
            let outcome = predictor.record(&stream, 3, &gradient).map(drop);
            assert_eq!(outcome, refused(expected));
        }
        assert_eq!(residual.to_vec(&stream).unwrap(), vec![1.0; len]);
        assert_eq!(message.to_vec(&stream).unwrap(), vec![3.0; width]);
        let mut values = vec![0.0; width];
        values[7] = bad;
        let outcome = sketch.add_decoded(&stream, &on(&stream, &values), 1.0, &mut residual);
        // A message may hold any finite numbers.
        let finite = bad.is_finite();
        assert_eq!(outcome.is_ok(), finite);
        if !finite {
            assert_eq!(outcome, refused(ArgumentError::NotFinite { index: 7 }));
            assert_eq!(residual.to_vec(&stream).unwrap(), vec![1.0; len]);
        }
    }
    assert_eq!(predictor.lines(), &lines);
    // The line through what was taken in is still level.
    let mut next = on(&stream, &vec![0.0; len]);
    predictor.predict(&stream, 3, &mut next).unwrap();
    assert!(next.to_vec(&stream).unwrap().iter().all(|g| (g - 2.0).abs() < 1e-5));
    assert_eq!((sum.words().to_vec(&stream).unwrap(), sum.count()), (words, 1));
    let (mut x, message) = (on(&stream, &vec![0.0; len]), on(&stream, &vec![0.0; width]));
    let (least, greatest) = (-compress::LARGEST, compress::LARGEST);
    let factor = ArgumentError::Parameter { name: "factor", least, greatest, actual: 1e30 };
    assert_eq!(sketch.add_decoded(&stream, &message, 1e30, &mut x), refused(factor));
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let stream = stream(false);
    let config = TernaryConfig::default();
    let none = TernaryGradientAccumulator::new(&stream, 0, config).map(drop);
    let (least, greatest, actual) = (1, 1 << 30, 0);
    assert_eq!(none, refused(ArgumentError::Count { name: "parameters", least, greatest, actual }));
    let mut sum = TernaryGradientAccumulator::new(&stream, 20, config).unwrap();
    let codec = compress::LinearSketch::new(20, 3, 1, Reading::Unbiased).unwrap();
    let mut sketch = LinearSketch::new(&stream, codec).unwrap();
    let mut check = Check::new(&stream).unwrap();
    let [mut x, mut long] = [20, 21].map(|len| on(&stream, &vec![0.0; len]));
    let [mut message, mut wide] = [3, 4].map(|len| on(&stream, &vec![0.0; len]));
    let config = PredictorConfig::default();
    for tensors in [&[][..], &[3, 0]] {
        let outcome = DeterministicPredictor::new(&stream, tensors, config).map(drop);
        assert_eq!(outcome, refused(ArgumentError::Empty));
    }
    let shape = SketchShape { rows: 1, width: 3, candidates: 2 };
    let codec = compress::TwoPhase::new(20, shape, 1, vec![0; 2]).unwrap();
    let mut two = TwoPhase::new(&stream, codec).unwrap();
    let (name, least, greatest, actual) = ("round", 0, 1, 2);
    let round = refused(ArgumentError::Count { name, least, greatest, actual });
    assert_eq!(two.encode(&stream, 2, &x, &mut message), round);
    assert_eq!(two.absorb(&stream, 2, &message), round);
    let mut predictor = DeterministicPredictor::new(&stream, &[8, 12], config).unwrap();
    let outcomes = [
        predictor.record(&stream, 0, &long).map(drop),
        predictor.predict(&stream, 0, &mut long),
        sum.accumulate(&stream, &long),
        sum.get_accumulated(&stream, &mut long),
        feed(&stream, &mut check, &x, &mut long),
        two.encode(&stream, 0, &long, &mut message),
        two.encode(&stream, 0, &x, &mut wide),
        two.encode(&stream, 1, &x, &mut message),
        two.absorb(&stream, 0, &wide),
        two.absorb(&stream, 1, &message),
        two.add_decoded(&stream, &message, 1.0, &mut x),
        sketch.encode(&stream, &long, &mut message),
        sketch.encode(&stream, &x, &mut wide),
        sketch.add_decoded(&stream, &wide, 1.0, &mut x),
        sketch.add_decoded(&stream, &message, 1.0, &mut long),
    ];
    for (i, outcome) in outcomes.iter().enumerate() {
        assert!(matches!(outcome, Err(CudaError::Shape(_))), "{i}: {outcome:?}");
    }
}
