//! Text that goes on, token by token.

use crate::{Engine, Error};
use trilane_core::model::sampler::{Candidate, Sampler};
use trilane_core::model::tokenizer::Tokenizer;
use trilane_core::model::utf8::Utf8Stream;

/// Bytes that the text of a token may have.
const PIECE: usize = 64;

/// Chooses tokens, and says them.
#[derive(Debug)]
pub struct Speaker<'a> {
    /// The vocabulary of the model.
    pub tokenizer: Tokenizer<'a>,
    /// How tokens are chosen.
    pub sampler: Sampler,
    /// Scratch, as many as the vocabulary has tokens.
    pub candidates: &'a mut [Candidate],
}

impl Speaker<'_> {
    /// Goes on with the first `known` of `tokens`, which have not been given to the engine yet, and
    /// calls `show` with each piece of text, until `tokens` is full or the text ends. Returns how
    /// many are known then; the last one has not been given to the engine.
    ///
    /// The same tokens as `trilane run` gives for the same sampler. Ordered.
    ///
    /// # Errors
    /// What the engine, the sampler and the tokenizer return; a token of more than 64 bytes is one
    /// of the latter.
    pub fn go_on(
        &mut self,
        engine: &mut Engine<'_, '_>,
        tokens: &mut [u32],
        mut known: usize,
        show: &mut dyn FnMut(&str),
    ) -> Result<usize, Error> {
        let mut characters = Utf8Stream::new();
        let mut given = 0;
        while known < tokens.len()
            && let Some(&token) = tokens.get(given)
        {
            let logits = engine.step(token)?;
            given += 1;
            if given < known {
                continue;
            }
            let past = tokens.get(..known).unwrap_or_default();
            let next = self.sampler.sample(logits, past, self.candidates)?;
            let special = self.tokenizer.special();
            if special.eos == Some(next) || special.bos == Some(next) {
                break;
            }
            let mut piece = [0; PIECE];
            let len = self.tokenizer.decode_piece(next, false, &mut piece)?;
            let mut text = [0; Utf8Stream::output_len(PIECE)];
            let piece = piece.get(..len).unwrap_or_default();
            show(characters.push(piece, &mut text).unwrap_or_default());
            if let Some(place) = tokens.get_mut(known) {
                *place = next;
            }
            known += 1;
        }
        show(characters.finish());
        Ok(known)
    }
}
