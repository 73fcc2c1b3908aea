//! How well a model predicts a text.

use trilane_core::kernel::{Backend, Pool};
use trilane_core::lane::Lanes;
use trilane_core::model::{Decoder, ModelError};

/// A sum of losses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// Σ −ln p(token), in nats.
    pub sum: f64,
    /// Tokens predicted.
    pub tokens: usize,
}

impl Loss {
    /// Nats for a predicted token; NaN when there is none.
    pub fn mean(&self) -> f64 {
        self.sum / self.tokens as f64
    }

    /// `e^mean`.
    pub fn perplexity(&self) -> f64 {
        libm::exp(self.mean())
    }
}

/// `−ln softmax(logits)[target]` in nats; f64 sums in order.
pub fn cross_entropy(logits: &[f32], target: u32) -> f64 {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, &v| max.max(v));
    let sum: f64 = logits.iter().map(|&v| libm::exp(f64::from(v) - f64::from(max))).sum();
    let at = logits.get(target as usize).map_or(f64::NEG_INFINITY, |&v| f64::from(v));
    libm::log(sum) + f64::from(max) - at
}

/// The loss of one document: every token but the first is predicted from those before it. A
/// document longer than the decoder's context is cut into pieces that each begin anew with the
/// document's first token.
///
/// `progress` is called with the number of tokens after each step.
///
/// # Errors
/// What [`Decoder::forward`] returns.
pub fn document_loss<'l, B: Backend>(
    decoder: &mut Decoder<'_, '_, B>,
    pool: &dyn Pool,
    lanes: impl Into<Lanes<'l>>,
    tokens: &[u32],
    progress: &mut dyn FnMut(usize),
) -> Result<Loss, ModelError> {
    let (lanes, mut loss) = (lanes.into(), Loss::default());
    let Some((&first, rest)) = tokens.split_first() else { return Ok(loss) };
    let mut targets = rest;
    while !targets.is_empty() {
        decoder.truncate(0);
        let (piece, after) = targets.split_at(targets.len().min(decoder.capacity()));
        let mut token = first;
        for &target in piece {
            let logits = decoder.forward(pool, token, lanes)?;
            loss.sum += cross_entropy(logits, target);
            loss.tokens += 1;
            token = target;
            progress(1);
        }
        targets = after;
    }
    Ok(loss)
}
