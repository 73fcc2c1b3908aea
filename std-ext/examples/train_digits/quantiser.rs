//! Codes of weights, with one scale for a whole layer.

use clap::ValueEnum;
use trilane_core::lane::PrecisionLane;

/// What the forward pass reads the weights as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Weights {
    /// The f32 weights themselves, and f32 activations: the twin to compare with.
    Float,
    /// −1, 0 or 1.
    Ternary,
    /// Eight values, `32·c − 113` for c in 0..=7.
    Bit3,
}

/// A layer's weights as the forward pass reads them: `scale · values`.
pub(crate) struct Quantised {
    pub(crate) scale: f32,
    /// Integers, but for [`Weights::Float`].
    pub(crate) values: Vec<f32>,
}

impl Weights {
    /// The lane that the file has.
    pub(crate) fn lane(self) -> PrecisionLane {
        match self {
            Self::Float => PrecisionLane::Float32,
            Self::Ternary => PrecisionLane::Ternary,
            Self::Bit3 => PrecisionLane::Bit3,
        }
    }

    /// Quantises a layer.
    ///
    /// ```text
    /// ternary   scale = mean |w|              value = clamp(round(w / scale), −1, 1)
    /// Bit3      scale = mean |w| / 32 · 0.6   value = 32·c − 113,  c = clamp(floor(w / (32·scale)) + 4, 0, 7)
    /// ```
    pub(crate) fn quantise(self, weights: &[f32]) -> Quantised {
        let mean = weights.iter().map(|w| w.abs()).sum::<f32>() / weights.len() as f32;
        let (scale, value): (f32, fn(f32) -> f32) = match self {
            Self::Float => return Quantised { scale: 1.0, values: weights.to_vec() },
            Self::Ternary => (mean, |steps| steps.round().clamp(-1.0, 1.0)),
            Self::Bit3 => (mean * BIT3_STEP, |steps| 32.0 * code_bit3(steps) - 113.0),
        };
        let steps = if mean > 0.0 { 1.0 / scale } else { 0.0 };
        Quantised { scale, values: weights.iter().map(|w| value(w * steps)).collect() }
    }

    /// The code of a value, as it is packed: ternary 0..=2, nested 0..=127 with the lower digits
    /// zero.
    pub(crate) fn code(self, value: f32) -> u8 {
        match self {
            Self::Ternary => (value + 1.0) as u8,
            _ => ((value + 113.0) / 32.0) as u8 * 16,
        }
    }
}

/// Steps of a 32nd in a mean magnitude, of Bit3.
const BIT3_STEP: f32 = 0.7 / 32.0;

fn code_bit3(steps: f32) -> f32 {
    ((steps / 32.0).floor() + 4.0).clamp(0.0, 7.0)
}
