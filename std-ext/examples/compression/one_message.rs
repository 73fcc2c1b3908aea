//! Gradients of several kinds, our codecs, and what one message of theirs gives back: for the example
//! and for the benchmark beside the published crate.

use trilane_core::error::ArgumentError;
use trilane_core::pi::PiChaos;
use trilane_core::train::compress::{
    Codec, LinearSketch, LowRank, Reading, RoundRobin, SketchShape, Ternary, TopK, TwoPhase,
};

/// A codec and what tables call it.
type Named = (&'static str, Box<dyn Codec>);

/// Steps until the message that is looked at: a warm start is what training has.
pub(crate) const STEPS: u64 = 3;

/// What a gradient is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Gaussian,
    /// A matrix of rank 4 and noise of a tenth of its length.
    LowRank,
    /// Normal numbers to the third power.
    HeavyTailed,
    /// One value of a hundred.
    Sparse,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] =
        [Self::Gaussian, Self::LowRank, Self::HeavyTailed, Self::Sparse];

    pub(crate) fn gradient(self, side: usize) -> Vec<f32> {
        let normal = |i: usize| -> f32 {
            let chaos = PiChaos::new();
            // Twelve uniform numbers: close to normal, with no function but a sum.
            (0..12).map(|k| chaos.jitter((12 * i + k) as u64)).sum()
        };
        let n = side * side;
        match self {
            Self::Gaussian => (0..n).map(normal).collect(),
            Self::LowRank => {
                let factor = |k: usize, i: usize| normal(n + k * side + i);
                let entry = |i: usize, j: usize| -> f32 {
                    (0..4).map(|k| factor(2 * k, i) * factor(2 * k + 1, j)).sum()
                };
                // The entries' deviation is 2, so noise of 0.2 has a tenth of the length.
                (0..n).map(|i| entry(i / side, i % side) + 0.2 * normal(i)).collect()
            }
            Self::HeavyTailed => (0..n).map(|i| normal(i).powi(3)).collect(),
            Self::Sparse => {
                (0..n).map(|i| if (i * 37) % 100 == 0 { normal(i) } else { 0.0 }).collect()
            }
        }
    }
}

/// The codecs for a square matrix.
pub(crate) fn codecs(side: usize, ratio: f32) -> Result<Vec<Named>, ArgumentError> {
    let n = side * side;
    let half = SketchShape::with_ratio(n, ratio, 0.5)?;
    let rows = SketchShape { rows: 3, width: half.width / 3, ..half };
    let two_phase = |shape: SketchShape| TwoPhase::new(n, shape, 1, vec![0; shape.candidates]);
    let rank = LowRank::<Vec<f32>>::rank_for_ratio(side, side, ratio)?;
    let state = vec![0.0; LowRank::<Vec<f32>>::state_floats(side, side, rank)];
    Ok(vec![
        ("linear sketch", Box::new(LinearSketch::with_ratio(n, ratio, 1, Reading::Projection)?)),
        ("two-phase, 1 row", Box::new(two_phase(half)?)),
        ("two-phase, 3 rows", Box::new(two_phase(rows)?)),
        ("low-rank", Box::new(LowRank::new(side, side, rank, 1, state)?)),
        ("round robin", Box::new(RoundRobin::new(n, (1.0 / ratio).ceil() as usize)?)),
        ("top-k", Box::new(TopK::with_ratio(n, ratio)?)),
        ("ternary", Box::new(Ternary::new(n)?)),
    ])
}

/// One step of one worker without error feedback; returns what is decoded.
pub(crate) fn once(
    codec: &mut dyn Codec,
    step: u64,
    x: &[f32],
    message: &mut Vec<u32>,
) -> Result<Vec<f32>, ArgumentError> {
    codec.start(step);
    for round in 0..codec.rounds() {
        message.resize(codec.message_words(round), 0);
        codec.encode(round, x, message)?;
        codec.absorb(round, message)?;
    }
    let mut back = vec![0.0; x.len()];
    codec.add_decoded(message, 1.0, &mut back)?;
    Ok(back)
}

/// The cosine between a gradient and what comes back of it, 0 for nothing, and the ratio of their
/// lengths.
pub(crate) fn cosine_and_length(x: &[f32], back: &[f32]) -> (f64, f64) {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let (xx, bb) = (dot(x, x), dot(back, back));
    let cosine = if bb > 0.0 { dot(x, back) / (xx * bb).sqrt() } else { 0.0 };
    (cosine, (bb / xx).sqrt())
}
