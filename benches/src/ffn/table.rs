//! Timing everyone in turn, and the table.

use super::{Ffn, PowerLaw};
use crate::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

/// Rounds in which everyone is timed in turn.
const ROUNDS: usize = 25;

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Timing {
    name: String,
    /// Shares of the neurons computed, and of the active ones among them.
    computed: f64,
    recall: f64,
    error: f64,
    /// Seconds of an inference, input by input: the best of all rounds, which is what stays on a
    /// machine that does other things too.
    seconds: Vec<f64>,
}

impl Timing {
    /// Checks the answers of everyone to all inputs, then times them in turn.
    ///
    /// # Errors
    ///
    /// When someone fails, or errs by more than its tolerance.
    pub fn all(
        everyone: &[Box<dyn Ffn>],
        layer: &PowerLaw,
        inputs: &[Vec<f32>],
    ) -> Result<Vec<Self>, Error> {
        let hidden: Vec<Vec<f64>> = inputs.iter().map(|x| layer.hidden(x)).collect();
        let expected: Vec<Vec<f64>> = hidden.iter().map(|h| layer.output(h)).collect();
        let mut rows = Vec::new();
        for ffn in everyone {
            rows.push(Self::checked(ffn.as_ref(), layer, inputs, &hidden, &expected)?);
        }
        for _ in 0..ROUNDS {
            for (ffn, row) in everyone.iter().zip(&mut rows) {
                for (x, best) in inputs.iter().zip(&mut row.seconds) {
                    ffn.chosen(x)?;
                    // Once untimed, so that what another one has evicted is back.
                    black_box(ffn.infer(black_box(x))?);
                    let start = Instant::now();
                    black_box(ffn.infer(black_box(x))?);
                    *best = best.min(start.elapsed().as_secs_f64());
                }
            }
        }
        Ok(rows)
    }

    fn checked(
        ffn: &dyn Ffn,
        layer: &PowerLaw,
        inputs: &[Vec<f32>],
        hidden: &[Vec<f64>],
        expected: &[Vec<f64>],
    ) -> Result<Self, Error> {
        let (mut computed, mut found, mut active) = (0, 0, 0);
        let (mut squares, mut own, mut size) = (0.0, 0.0, 0.0);
        for ((x, h), expected) in inputs.iter().zip(hidden).zip(expected) {
            let chosen = ffn.chosen(x)?;
            let y = ffn.infer(x)?;
            if y.len() != expected.len() {
                return Err(format!("{}: {} outputs", ffn.name(), y.len()).into());
            }
            // The sum over the neurons that it says it computes.
            let partial = chosen.as_ref().map(|chosen| {
                let mut h_chosen = vec![0.0; h.len()];
                chosen.iter().for_each(|&i| h_chosen[i] = h[i]);
                layer.output(&h_chosen)
            });
            let difference = |expected: &[f64]| -> f64 {
                y.iter().zip(expected).map(|(&y, e)| (f64::from(y) - e).powi(2)).sum()
            };
            squares += difference(expected);
            own += difference(partial.as_deref().unwrap_or(expected));
            size += expected.iter().map(|e| e * e).sum::<f64>();
            let all: Vec<usize> = (0..h.len()).collect();
            let chosen = chosen.unwrap_or(all);
            computed += chosen.len();
            found += chosen.iter().filter(|&&i| h[i] > 0.0).count();
            active += h.iter().filter(|h| **h > 0.0).count();
        }
        let own = (own / size).sqrt();
        // Written so that NaN fails.
        if own <= ffn.tolerance() {
            let neurons = (inputs.len() * layer.shape[1]) as f64;
            let measured = (computed as f64 / neurons, found as f64 / active as f64);
            let (computed, recall) =
                ffn.evaluation().map_or(measured, |seen| (seen.computed, seen.recall));
            let error = (squares / size).sqrt();
            let seconds = vec![f64::INFINITY; inputs.len()];
            return Ok(Self { name: ffn.name(), computed, recall, error, seconds });
        }
        Err(format!("{}: error {own:.1e}, tolerance {:.0e}", ffn.name(), ffn.tolerance()).into())
    }

    /// Microseconds of an inference.
    fn micros(&self) -> f64 {
        1e6 * self.seconds.iter().sum::<f64>() / self.seconds.len() as f64
    }
}

/// The table in Markdown, of the rows of one share of active neurons; the first two are what the
/// others are compared with.
#[must_use]
pub fn markdown(active: f64, rows: &[Timing]) -> String {
    let mut text = String::new();
    for row in rows {
        let times_faster =
            |other: Option<&Timing>| other.map_or(f64::NAN, |o| o.micros() / row.micros());
        let [dense, published] = [0, 1].map(|i| times_faster(rows.get(i)));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {:.0} % | {} | {:.1} % | {:.3} | {:.2} % | {:.1} | {dense:.1} | {published:.1} |",
            100.0 * active,
            row.name,
            100.0 * row.computed,
            row.recall,
            100.0 * row.error,
            row.micros(),
        );
    }
    text
}
