//! How far predictions are off, and the margins that this asks for.

/// Margins that are tried, in standard deviations of the error of a prediction.
const MARGINS: [f32; 6] = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0];

/// The largest accepted norm of what is left out, relative to the norm of all: with contributions
/// in independent directions the relative error of the output that missed neurons cause.
const MISSED: f64 = 0.003;

/// The smallest margin with which little enough is missed, and the share of neurons then chosen.
/// Pairs of contributions and predictions.
pub(super) fn margin<'s>(
    pairs: impl Iterator<Item = (&'s [f32], &'s [f32])> + Clone,
    deviations: &[f32],
) -> (f32, f64) {
    let mut last = (0.0, 1.0);
    for factor in MARGINS {
        let (mut missed, mut all, mut chosen, mut neurons) = (0.0f64, 0.0f64, 0.0, 0.0);
        for (contributions, predicted) in pairs.clone() {
            for ((c, p), d) in contributions.iter().zip(predicted).zip(deviations) {
                let square = f64::from(*c) * f64::from(*c);
                let within = p + factor * d > 0.0;
                chosen += f64::from(u8::from(within));
                neurons += 1.0;
                all += square;
                missed += if within { 0.0 } else { square };
            }
        }
        last = (factor, if neurons > 0.0 { chosen / neurons } else { 0.0 });
        if missed <= MISSED * MISSED * all {
            break;
        }
    }
    last
}
