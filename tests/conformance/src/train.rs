//! Predicted gradients, their phases, and the choice of samples by loss and by herding.

use crate::random::Random;
use trilane_core::error::ArgumentError;
use trilane_core::model::Digest;
use trilane_core::train::herding::Herding;
use trilane_core::train::predict::{
    DeterministicPhaseConfig, DeterministicPhaseTrainer, TensorMoments,
};
use trilane_core::train::selection::{SampleLoss, Selection, SelectionConfig};

/// Parameters, in two tensors, and samples.
const LEN: usize = 150;
const SAMPLES: usize = 60;

/// Features of a candidate, and candidates of a choice.
const FEATURES: usize = 37;
const CANDIDATES: usize = 12;

/// Everything over the same numbers. A part that fails ends early.
pub(crate) fn prediction() -> Digest {
    let mut digest = Digest::default();
    if predicted(&mut digest)
        .and_then(|()| selected(&mut digest))
        .and_then(|()| herded(&mut digest))
        .is_err()
    {
        digest.bytes(b"failed");
    }
    digest
}

/// Descent on a bowl, its gradients with and without noise, the residual kept.
fn predicted(digest: &mut Digest) -> Result<(), ArgumentError> {
    let config = DeterministicPhaseConfig { residual_rate: 0.25, ..Default::default() };
    let mut tensors = [TensorMoments::new(40), TensorMoments::new(LEN - 40)];
    let mut state = [0.0; 3 * LEN];
    for noise in [0.0, 0.02] {
        let mut random = Random(31);
        let mut x: [f32; LEN] = core::array::from_fn(|_| random.signed());
        let (mut velocity, mut gradient) = ([0.0; LEN], [0.0; LEN]);
        let mut trainer = DeterministicPhaseTrainer::new(&mut tensors, &mut state, config)?;
        for _ in 0..90 {
            if trainer.begin_step().needs_backward {
                for (i, (g, x)) in gradient.iter_mut().zip(&x).enumerate() {
                    *g = x / (1.0 + i as f32) + noise * random.signed();
                }
                trainer.record_full_gradients(&gradient)?;
            } else {
                trainer.get_predicted_gradients(&mut gradient)?;
            }
            for ((x, v), g) in x.iter_mut().zip(&mut velocity).zip(&gradient) {
                *v = 0.9 * *v + g;
                *x -= 0.2 * *v;
            }
            trainer.end_step(x[0] * x[0] + x[1] * x[1])?;
            digest.floats(&gradient);
        }
        let stats = trainer.get_stats();
        for count in [stats.full_steps, stats.correct_steps, stats.predicted_steps] {
            digest.bytes(&count.to_le_bytes());
        }
    }
    Ok(())
}

/// Losses that fall for the samples taken.
fn selected(digest: &mut Digest) -> Result<(), ArgumentError> {
    for importance in [false, true] {
        let (mut losses, mut recent) = ([SampleLoss::default(); SAMPLES], [0.0; 32]);
        let config = SelectionConfig { power: 3.0, most_age: 4, importance };
        let mut selection = Selection::new(&mut losses, &mut recent, config)?;
        let mut random = Random(32);
        let mut now: [f32; SAMPLES] = core::array::from_fn(|_| 1.0 + random.signed());
        for i in 0..8 * SAMPLES {
            let sample = i * 7 % SAMPLES;
            if selection.needs_forward(sample)? {
                selection.record(sample, now[sample])?;
            }
            if let Some(weight) = selection.select(sample)? {
                digest.floats(&[weight]);
                digest.bytes(&(sample as u32).to_le_bytes());
                now[sample] *= 0.8;
                selection.refresh(sample, now[sample])?;
            }
            if i % 8 == 7 {
                selection.updated();
            }
        }
        let stats = selection.stats();
        digest.bytes(&stats.forward_passes.to_le_bytes());
        digest.bytes(&stats.backward_passes.to_le_bytes());
    }
    Ok(())
}

/// Three of twelve at a time.
fn herded(digest: &mut Digest) -> Result<(), ArgumentError> {
    let mut owed = [0.0; FEATURES];
    let mut herding = Herding::new(&mut owed)?;
    let mut random = Random(33);
    for _ in 0..20 {
        let features: [f32; FEATURES * CANDIDATES] =
            core::array::from_fn(|i| random.signed() + i as f32 / 500.0);
        let mut taken = [0; 3];
        herding.take(&features, &mut taken)?;
        taken.iter().for_each(|&i| digest.bytes(&(i as u32).to_le_bytes()));
        digest.floats(herding.owed());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn nothing_fails_and_steps_are_predicted() {
        let mut digest = Digest::default();
        predicted(&mut digest).unwrap();
        selected(&mut digest).unwrap();
        herded(&mut digest).unwrap();
        assert_eq!(prediction().value(), digest.value());
        assert_ne!(digest.value(), Digest::default().value());
    }
}
