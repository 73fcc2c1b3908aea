//! The text as tokens, cut into windows that start with the begin token.

use crate::bpe::{BOS, Vocabulary};
use trilane_std::train::decoder::Batch;
use trilane_std::train::random;

/// Training and validation tokens.
pub(crate) struct Corpus {
    pub(crate) training: Vec<u32>,
    pub(crate) validation: Vec<u32>,
}

impl Corpus {
    /// The first nine tenths of the bytes for training, the rest for validation.
    pub(crate) fn new(text: &str, vocabulary: &Vocabulary) -> Self {
        let (training, validation) = split(text);
        Self { training: vocabulary.encode(training), validation: vocabulary.encode(validation) }
    }

    /// `sequences` windows at seeded places; `index` numbers the batches.
    pub(crate) fn draw(&self, seed: u64, index: usize, sequences: usize, window: usize) -> Batch {
        let places = self.training.len() - window + 1;
        let starts = (0..sequences).map(|i| {
            let counter = (index * sequences + i) as u64;
            random::below(seed, counter, places)
        });
        batch(starts.map(|at| &self.training[at..at + window]), window)
    }

    /// The validation tokens in batches of `sequences` windows that follow each
    /// other; one window of every `stride`. An incomplete last window is left out.
    pub(crate) fn validate(
        &self,
        sequences: usize,
        window: usize,
        stride: usize,
    ) -> impl Iterator<Item = Batch> {
        let windows: Vec<&[u32]> = self.validation.chunks_exact(window).step_by(stride).collect();
        let batches = windows.len().div_ceil(sequences);
        (0..batches).map(move |i| {
            let rest = windows.iter().skip(i * sequences).take(sequences);
            batch(rest.copied(), window)
        })
    }
}

/// The two parts of the text: 90% of its bytes, moved back to a character boundary.
pub(crate) fn split(text: &str) -> (&str, &str) {
    let mut at = text.len() / 10 * 9;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.split_at(at)
}

/// Each window predicts all its tokens: the first from the begin token, every other
/// from those before it.
fn batch<'a>(windows: impl Iterator<Item = &'a [u32]>, window: usize) -> Batch {
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for tokens in windows {
        inputs.push(BOS);
        inputs.extend(&tokens[..window - 1]);
        targets.extend(tokens);
    }
    Batch { window, inputs, targets }
}
