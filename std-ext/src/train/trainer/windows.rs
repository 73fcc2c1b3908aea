//! The windows of a step: those that are drawn, or those of them that still teach.

use super::super::TrainError;
use super::super::config::TrainConfig;
use super::super::corpus::Corpus;
use super::super::decoder::outcome;
use super::super::random;
use super::super::selector::Selector;
use super::{Trainer, side_by_side, waves};

/// A step draws at most so many times the windows it needs to select from.
const MOST_DRAWS: usize = 100;

/// A selector in its first state, where there is selection.
pub(super) fn selector(
    config: &TrainConfig,
    corpus: &Corpus,
) -> Result<Option<Selector>, TrainError> {
    let places = corpus.places(config.sequence_len);
    Ok(config.selection.as_ref().map(|selection| Selector::new(selection, places)).transpose()?)
}

impl Trainer {
    /// Where the windows of a step begin.
    pub(super) fn places(&mut self, step: usize) -> Result<Vec<usize>, TrainError> {
        let needed = self.config.gradient_accumulation_steps * self.config.micro_batch_size;
        let Some(mut selector) = self.selector.take() else {
            return Ok(self.draw((needed * step) as u64, needed));
        };
        let selected = self.select(&mut selector, step, needed);
        self.selector = Some(selector);
        selected
    }

    /// Seeded places; draws are counted from the first.
    fn draw(&self, first: u64, count: usize) -> Vec<usize> {
        let places = self.corpus.places(self.config.sequence_len);
        let draws = first..first + count as u64;
        draws.map(|draw| random::below(!self.config.seed, draw, places)).collect()
    }

    /// Draws windows until so many are taken.
    fn select(
        &mut self,
        selector: &mut Selector,
        step: usize,
        needed: usize,
    ) -> Result<Vec<usize>, TrainError> {
        let mut taken = Vec::new();
        for _ in 0..MOST_DRAWS {
            let candidates = self.draw(self.drawn, needed);
            self.drawn += needed as u64;
            let unknown = selector.unknown(&candidates)?;
            for (&place, loss) in unknown.iter().zip(self.window_losses(step, &unknown)?) {
                if !loss.is_finite() {
                    return Err(TrainError::Diverged { step: step + 1, loss });
                }
                selector.record(place, loss)?;
            }
            self.passes.forward += unknown.len() as u64;
            for place in candidates {
                if taken.len() < needed {
                    match selector.select(place)? {
                        true => taken.push(place),
                        false => self.passes.skipped += 1,
                    }
                }
            }
            if taken.len() == needed {
                return Ok(taken);
            }
        }
        // Windows that are all alike: no loss stands out.
        taken.extend(self.draw(self.drawn, needed - taken.len()));
        Ok(taken)
    }

    /// The losses of windows, at the lane of the step's first micro-batch.
    fn window_losses(&self, step: usize, places: &[usize]) -> Result<Vec<f32>, TrainError> {
        let lane = self.lane(step, 0);
        let weights = self.tensors(&self.values, lane)?;
        let batches: Vec<&[usize]> = places.chunks(self.config.micro_batch_size).collect();
        let losses = |i: usize| -> Result<Vec<f32>, TrainError> {
            let batch = self.corpus.at(batches[i], self.config.sequence_len);
            let outcome = outcome(&self.decoder, &weights, batch, self.precision(lane))?;
            Ok(outcome.window_losses()?.to_vec1()?)
        };
        let mut all = Vec::new();
        for wave in waves(batches.len()) {
            all.extend(side_by_side(wave, losses)?.into_iter().flatten());
        }
        Ok(all)
    }
}
