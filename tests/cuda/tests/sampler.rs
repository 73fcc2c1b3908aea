//! Choosing tokens on the emulated device against the specification, with fresh random logits.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trilane_core::error::ShapeError;
use trilane_core::model::sampler::{Candidate, Sampler as Specification, SamplerConfig};
use trilane_cuda::activations::Status;
use trilane_cuda::sampler::{MAX_TOP_K, Sampler};
use trilane_cuda::{Buffer, CudaError, Stream};
use trilane_cuda_tests::{Order, device, float, random};

const GREEDY: SamplerConfig = SamplerConfig {
    temperature: 0.0,
    top_k: 0,
    top_p: 1.0,
    min_p: 0.0,
    repetition_penalty: 1.0,
    repetition_window: 0,
    seed: 0,
};

/// Logits with ties, zeros of both signs and −∞ among them.
fn logits(n: usize, seed: &mut u64) -> Vec<f32> {
    let scale = [1.0, 8.0, 100.0][random(seed) as usize % 3];
    let logit = |i: usize| match random(seed) % 12 {
        0 if i > 0 => f32::NEG_INFINITY,
        1 => 0.0,
        2 => -0.0,
        3..6 => (float(seed) * 4.0).round() / 4.0 * scale,
        _ => float(seed) * scale,
    };
    (0..n).map(logit).collect()
}

fn sampled(
    stream: &Stream,
    sampler: &mut Sampler,
    logits: &[f32],
    batch: usize,
) -> Result<Vec<u32>, CudaError> {
    let logits = Buffer::from_host(stream, logits)?;
    let mut tokens = Buffer::zeros(stream, batch)?;
    let mut status = Status::new(stream, batch)?;
    sampler.sample(stream, &logits, &mut tokens, &mut status, 9)?;
    status.take(stream)?;
    tokens.to_vec(stream)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn tokens(
        n in prop_oneof![1usize..40, 900usize..3000],
        batch in 1usize..4,
        temperature in prop_oneof![Just(0.0f32), 0.01f32..3.0, Just(1e-30)],
        top_k in prop_oneof![1usize..100, Just(MAX_TOP_K)],
        top_p in prop_oneof![Just(1.0f32), 0.0f32..1.0],
        min_p in prop_oneof![Just(0.0f32), 0.0f32..1.0],
        descending: bool,
        mut seed: u64,
    ) {
        let order = if descending { Order::Descending } else { Order::Ascending };
        let stream = device(order).stream().unwrap();
        let config = SamplerConfig { temperature, top_k, top_p, min_p, ..GREEDY };
        let seeds: Vec<u64> = (0..batch).map(|_| random(&mut seed)).collect();
        let mut device = Sampler::new(&stream, config, &seeds).unwrap();
        let mut specified: Vec<Specification> = seeds
            .iter()
            .map(|&seed| Specification::new(SamplerConfig { seed, ..config }).unwrap())
            .collect();
        for _ in 0..3 {
            let mut logits = logits(batch * n, &mut seed);
            logits.iter_mut().step_by(n).for_each(|first| *first = first.max(-5.0));
            let found = sampled(&stream, &mut device, &logits, batch).unwrap();
            let mut scratch = vec![Candidate::default(); n];
            let each = specified.iter_mut().zip(logits.chunks_mut(n));
            let expected: Vec<u32> =
                each.map(|(s, logits)| s.sample(logits, &[], &mut scratch).unwrap()).collect();
            prop_assert_eq!(found, expected, "{:?}", config);
        }
        let draws: Vec<u64> = specified.iter().map(Specification::draws).collect();
        prop_assert_eq!(device.draws(&stream).unwrap(), draws);
    }
}

#[test]
fn logits_that_no_token_can_be_chosen_from_are_noted() {
    let stream = device(Order::Ascending).stream().unwrap();
    let drawn = SamplerConfig { temperature: 1.0, top_k: 2, ..GREEDY };
    for config in [GREEDY, drawn] {
        let mut sampler = Sampler::new(&stream, config, &[1, 2]).unwrap();
        let all = f32::NEG_INFINITY;
        for bad in [[all, all, all], [0.0, f32::NAN, 1.0], [0.0, 1.0, f32::INFINITY]] {
            let logits = [[1.0, 2.0, all], bad].concat();
            let refused = sampled(&stream, &mut sampler, &logits, 2).unwrap_err();
            assert_eq!(refused, CudaError::Diverged { sequence: 1, layer: 9 }, "{bad:?}");
        }
        let drawn = u64::from(config.temperature > 0.0);
        assert_eq!(sampler.draws(&stream).unwrap(), [3 * drawn, 0]);
    }
}

#[test]
fn what_the_device_does_not_do_is_refused() {
    let stream = device(Order::Ascending).stream().unwrap();
    let drawn = SamplerConfig { temperature: 1.0, top_k: 2, ..GREEDY };
    let refused = [
        SamplerConfig { top_k: 0, ..drawn },
        SamplerConfig { repetition_penalty: 1.1, repetition_window: 4, ..drawn },
        SamplerConfig { temperature: -1.0, ..drawn },
        SamplerConfig { top_p: 2.0, ..drawn },
    ];
    for config in refused {
        let error = Sampler::new(&stream, config, &[0]).unwrap_err();
        assert!(matches!(error, CudaError::Unsupported { .. }), "{config:?}");
    }
    let error = Sampler::new(&stream, SamplerConfig { top_k: 1025, ..drawn }, &[0]).unwrap_err();
    assert_eq!(error, CudaError::Size { what: "top-k", size: 1025, greatest: 1024 });
    let mut sampler = Sampler::new(&stream, GREEDY, &[1, 2]).unwrap();
    let length = |expected, actual| CudaError::Shape(ShapeError::Length { expected, actual });
    let mut sample = |logits: &[f32], batch| sampled(&stream, &mut sampler, logits, batch);
    assert_eq!(sample(&[1.0; 6], 3).unwrap_err(), length(2, 3));
    assert_eq!(sample(&[1.0; 5], 2).unwrap_err(), length(4, 5));
    assert_eq!(sample(&[], 2).unwrap_err(), length(2, 0));
    assert_eq!(sample(&[1.0, 2.0, 2.0, 1.0], 2).unwrap(), [1, 0]);
}
