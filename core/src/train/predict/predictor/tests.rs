//! The predictor against the least-squares fit of a whole history.

use super::*;
use std::vec;
use std::vec::Vec;

const PLAIN: PredictorConfig =
    PredictorConfig { decay: 0.8, residual_rate: 0.0, residual_threshold: 0.0 };

/// A line with noise of that size.
fn gradient(step: u64, len: usize, noise: f64) -> Vec<f32> {
    let value = |i: usize| {
        let random = libm::sin((step * 131 + i as u64 * 17) as f64 * 12.9898) * 43_758.5;
        let random = random - libm::floor(random) - 0.5;
        (1.0 + i as f64 * 0.01 - 0.05 * step as f64 + noise * random) as f32
    };
    (0..len).map(value).collect()
}

/// What [`Line`] says of the whole history, by normal equations in f64.
fn brute_force(history: &[(u64, Vec<f32>)], decay: f64, step: u64) -> Vec<f64> {
    let last = history.len() - 1;
    let points: Vec<(f64, f64)> = (0..=last)
        .map(|i| {
            let t = history[i].0 as f64 - history[last].0 as f64;
            (libm::pow(decay, (last - i) as f64), t)
        })
        .collect();
    let total = |f: &dyn Fn(f64, f64) -> f64| points.iter().map(|(w, t)| f(*w, *t)).sum::<f64>();
    let (w, wt) = (total(&|w, _| w), total(&|w, t| w * t));
    let (wtt, ww) = (total(&|w, t| w * t * t), total(&|w, _| w * w));
    let (middle, n) = (wt / w, w * w / ww);
    let spread = wtt - wt * middle;
    let (mut lines, mut rest, mut means, mut velocities) = (Vec::new(), 0.0, 0.0, 0.0);
    for k in 0..history[0].1.len() {
        let at = |i: usize| f64::from(history[i].1[k]);
        let mean = (0..=last).map(|i| points[i].0 * at(i)).sum::<f64>() / w;
        let cross = (0..=last).map(|i| points[i].0 * (points[i].1 - middle) * at(i));
        let velocity = cross.sum::<f64>() / spread;
        let errors = (0..=last).map(|i| {
            let error = at(i) - mean - velocity * (points[i].1 - middle);
            points[i].0 * error * error
        });
        rest += errors.sum::<f64>();
        means += mean * mean;
        velocities += velocity * velocity;
        lines.push((mean, velocity));
    }
    let noise = rest / w * n / (n - 2.0);
    let mean_share = (1.0 - noise / (n * means)).max(0.0);
    let velocity_share = (1.0 - noise / (spread * n / w * velocities)).max(0.0);
    let ahead = step as f64 - history[last].0 as f64 - middle;
    lines.iter().map(|(m, v)| mean_share * m + velocity_share * v * ahead).collect()
}

#[test]
fn predictions_are_those_of_the_whole_history() {
    for (len, noise) in [(1, 0.3), (7, 0.0), (700, 0.1), (33, 3.0)] {
        let mut tensors = [TensorMoments::new(len)];
        let mut state = vec![f32::NAN; 2 * len];
        let mut predictor = DeterministicPredictor::new(&mut tensors, &mut state, PLAIN).unwrap();
        let mut history = Vec::new();
        let mut out = vec![0.0; len];
        for step in [0, 1, 2, 3, 7, 8, 12, 13, 14] {
            let g = gradient(step, len, noise);
            let agreement = predictor.record(step, &g).unwrap();
            if history.len() >= 3 {
                let before = brute_force(&history, 0.8, step);
                let expected: f64 = before.iter().zip(&g).map(|(p, g)| p * f64::from(*g)).sum();
                let scale = agreement.actual.max(1e-3);
                assert!((agreement.product - expected).abs() < 1e-4 * scale, "{len} {step}");
            }
            history.push((step, g));
            if history.len() >= 3 {
                predictor.predict(step + 3, &mut out).unwrap();
                let expected = brute_force(&history, 0.8, step + 3);
                for (found, expected) in out.iter().zip(&expected) {
                    assert!(
                        (f64::from(*found) - expected).abs() < 1e-3,
                        "{len} {noise} {step}: {found} {expected}"
                    );
                }
            }
        }
    }
}

/// A tensor of noise alone is predicted as nothing, beside one that is a line.
#[test]
fn tensors_are_shrunk_by_themselves() {
    let mut tensors = [TensorMoments::new(20), TensorMoments::new(600)];
    let mut state = [0.0; 1240];
    let mut predictor = DeterministicPredictor::new(&mut tensors, &mut state, PLAIN).unwrap();
    for step in 0..20 {
        let mut g = gradient(step, 620, 0.0);
        let noise = gradient(step, 620, 1.0);
        g[20..].iter_mut().zip(&noise[20..]).for_each(|(g, noise)| *g = noise - *g);
        predictor.record(step, &g).unwrap();
    }
    let [line, noise] = [0, 1].map(|i| predictor.tensors()[i].line());
    assert!(line.mean_share > 0.999 && line.velocity_share > 0.999, "{line:?}");
    assert!(noise.mean_share < 0.3 && noise.velocity_share < 0.3, "{noise:?}");
}

/// The residual is what the line through all gradients leaves of the last one.
#[test]
fn a_residual_is_not_counted_twice() {
    let config = PredictorConfig { residual_rate: 1.0, ..PLAIN };
    let (mut tensors, mut others) = ([TensorMoments::new(1)], [TensorMoments::new(1)]);
    let (mut state, mut other_state) = ([0.0; 3], [0.0; 2]);
    let mut with = DeterministicPredictor::new(&mut tensors, &mut state, config).unwrap();
    let mut without = DeterministicPredictor::new(&mut others, &mut other_state, PLAIN).unwrap();
    let (mut a, mut b) = ([0.0], [0.0]);
    // Nearly a line, so that the shares are 1 but for 1e-4.
    for (step, g) in [1.0, 2.0, 3.01, 3.99, 5.02].into_iter().enumerate() {
        with.record(step as u64, &[g]).unwrap();
        without.record(step as u64, &[g]).unwrap();
        if step > 2 {
            with.predict(step as u64, &mut a).unwrap();
            without.predict(step as u64, &mut b).unwrap();
            assert!((a[0] - b[0]).abs() > 1e-4, "the residual is used");
            assert!((a[0] - g).abs() < 2e-3, "{step}: {} {g}", a[0]);
        }
    }
    let quiet = PredictorConfig { residual_threshold: 10.0, ..config };
    let mut quiet = DeterministicPredictor::new(&mut tensors, &mut state, quiet).unwrap();
    for (step, g) in [1.0, 2.0, 3.01, 3.99, 5.02].into_iter().enumerate() {
        quiet.record(step as u64, &[g]).unwrap();
    }
    quiet.predict(4, &mut a).unwrap();
    assert_eq!(a, b, "below the threshold it is not");
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut state = [0.0; 8];
    let mut tensors = [TensorMoments::new(3), TensorMoments::new(1)];
    for decay in [0.0, 1.0, f32::NAN] {
        let config = PredictorConfig { decay, ..PLAIN };
        let error = DeterministicPredictor::new(&mut tensors, &mut state, config).unwrap_err();
        assert!(matches!(error, ArgumentError::Parameter { name: "decay", .. }));
    }
    let error = DeterministicPredictor::new(&mut tensors, &mut state[..7], PLAIN).unwrap_err();
    assert_eq!(error, ArgumentError::Length { expected: 8, actual: 7 });
    assert_eq!(
        DeterministicPredictor::new(&mut [], &mut [], PLAIN).unwrap_err(),
        ArgumentError::Empty
    );
    let mut empty = [TensorMoments::new(0)];
    assert_eq!(
        DeterministicPredictor::new(&mut empty, &mut [], PLAIN).unwrap_err(),
        ArgumentError::Empty
    );
    let mut predictor = DeterministicPredictor::new(&mut tensors, &mut state, PLAIN).unwrap();
    (0..4).for_each(|step| {
        predictor.record(step, &gradient(step, 4, 0.1)).unwrap();
    });
    let (mut before, mut after) = ([0.0; 4], [0.0; 4]);
    predictor.predict(5, &mut before).unwrap();
    let error = predictor.record(4, &[0.0, 1.0, f32::INFINITY, 0.0]).unwrap_err();
    assert_eq!(error, ArgumentError::NotFinite { index: 2 });
    let error = predictor.record(4, &[0.0; 3]).unwrap_err();
    assert_eq!(error, ArgumentError::Length { expected: 4, actual: 3 });
    predictor.predict(5, &mut after).unwrap();
    assert_eq!(before, after);
    assert!(predictor.predict(5, &mut after[..3]).is_err());
    predictor.reset();
    predictor.predict(5, &mut after).unwrap();
    assert_eq!((after, predictor.count()), ([0.0; 4], 0));
}
