//! The text as tokens, cut into windows that start with the begin token.

use super::decoder::Batch;

/// Training and validation tokens.
#[derive(Debug)]
pub(super) struct Corpus {
    /// The token that every window starts with.
    pub(super) begin: u32,
    pub(super) training: Vec<u32>,
    pub(super) validation: Vec<u32>,
}

impl Corpus {
    /// Places where a window may begin.
    pub(super) fn places(&self, window: usize) -> usize {
        self.training.len() - window + 1
    }

    /// The windows that begin at these places.
    pub(super) fn at(&self, places: &[usize], window: usize) -> Batch {
        self.batch(places.iter().map(|&at| &self.training[at..at + window]), window)
    }

    /// The validation tokens in batches of `sequences` windows that follow each
    /// other; one window of every `stride`. An incomplete last window is left out.
    pub(super) fn validate(
        &self,
        sequences: usize,
        window: usize,
        stride: usize,
    ) -> impl Iterator<Item = Batch> {
        let windows: Vec<&[u32]> = self.validation.chunks_exact(window).step_by(stride).collect();
        let batches = windows.len().div_ceil(sequences);
        (0..batches).map(move |i| {
            let rest = windows.iter().skip(i * sequences).take(sequences);
            self.batch(rest.copied(), window)
        })
    }

    /// Each window predicts all its tokens: the first from the begin token, every other
    /// from those before it.
    fn batch<'a>(&self, windows: impl Iterator<Item = &'a [u32]>, window: usize) -> Batch {
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for tokens in windows {
            inputs.push(self.begin);
            inputs.extend(&tokens[..window - 1]);
            targets.extend(tokens);
        }
        Batch { window, inputs, targets }
    }
}

/// The two parts of a text: the last `share` of its bytes, and what is before, at a character's
/// boundary.
pub(super) fn split(text: &str, share: f64) -> (&str, &str) {
    let mut at = ((1.0 - share) * text.len() as f64) as usize;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.split_at(at)
}
