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
    /// ternary   scale = mean|w|             value = clamp(round(w/scale), −1, 1)
    /// Bit3      scale = 0.7 · mean|w| / 32  value = 32·c − 113,
    ///                                       c = clamp(floor(w / (32·scale)) + 4, 0, 7)
    /// ```
    pub(crate) fn quantise(self, weights: &[f32]) -> Quantised {
        let mean = weights.iter().map(|w| w.abs()).sum::<f32>() / weights.len() as f32;
        let (scale, value): (f32, fn(f32) -> f32) = match self {
            Self::Float => return Quantised { scale: 1.0, values: weights.to_vec() },
            Self::Ternary => (mean, |steps| steps.round().clamp(-1.0, 1.0)),
            Self::Bit3 => (mean * BIT3_STEP / 32.0, |halves| {
                32.0 * ((halves / 32.0).floor() + 4.0).clamp(0.0, 7.0) - 113.0
            }),
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

/// What a step of Bit3 is of the mean magnitude: the outermost codes begin at 2.1 times that.
const BIT3_STEP: f32 = 0.7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ternary_rounds_to_the_mean_magnitude() {
        let quantised = Weights::Ternary.quantise(&[2.0, -2.0, 0.9, -0.9, 0.0, 1.0, -1.0, 0.2]);
        assert_eq!(quantised.scale, 1.0);
        assert_eq!(quantised.values, [1.0, -1.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0]);
        assert_eq!(codes(Weights::Ternary, &quantised.values), [2, 0, 2, 0, 1, 2, 0, 1]);
    }

    #[test]
    fn bit3_rounds_to_the_middle_of_its_steps() {
        // A mean magnitude of 1, so steps of 0.7.
        let weights = [3.0, -3.0, 0.1, -0.1, 0.8, -0.8, 0.0, 0.2];
        let quantised = Weights::Bit3.quantise(&weights);
        assert!((quantised.scale - 0.7 / 32.0).abs() < 1e-9);
        assert_eq!(quantised.values, [111.0, -113.0, 15.0, -17.0, 47.0, -49.0, 15.0, 15.0]);
        let codes = codes(Weights::Bit3, &quantised.values);
        assert_eq!(codes, [112, 0, 64, 48, 80, 32, 64, 64]);
    }

    #[test]
    fn weights_of_zero_stay_small() {
        for kind in [Weights::Ternary, Weights::Bit3] {
            let quantised = kind.quantise(&[0.0; 4]);
            assert_eq!(quantised.scale, 0.0);
            assert!(quantised.values.iter().all(|v| v.abs() <= 17.0));
        }
    }

    fn codes(kind: Weights, values: &[f32]) -> Vec<u8> {
        values.iter().map(|&value| kind.code(value)).collect()
    }
}
