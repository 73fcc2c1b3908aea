//! The WordPiece tokenizer of BERT-family models (`tokenizer.ggml.model` = `bert`), on the
//! vocabulary as it lies in a GGUF file (Wu et al. 2016, Devlin et al. 2018).
//!
//! *Words.* Control, format and private characters, NUL and U+FFFD are left out; white space ends a
//! word; every punctuation character and every ideograph is a word. A vocabulary without case has
//! its letters taken in lower case and without accents.
//!
//! *Pieces.* A word is cut from the left into the longest pieces of the vocabulary; in a GGUF file
//! the first piece of a word begins with `▁` (U+2581) and the others are bare. A word that cannot
//! be cut so, or is longer than [`LONGEST_WORD`], is the unknown token.
//!
//! *What is covered.* Accents: every character of the basic plane that decomposes canonically to
//! one character and marks (Latin, Greek, Cyrillic, kana and the rest), and Hangul syllables. Not
//! covered, and so kept whole: compatibility ideographs, and characters that decompose to several
//! characters or lie beyond the basic plane (some of India's scripts and of music). The classes are
//! those of Unicode 14. Text never becomes a special token by its spelling: `[SEP]` in a text is
//! three words.

mod characters;
#[rustfmt::skip]
mod tables;

use super::tokenizer::TokenizerError;
use super::tokenizer::keys::{BOS, MODEL, TOKENS, UNK};
use super::vocab::string_at;
use crate::gguf::{Gguf, ValueType};
use characters::{is_dropped, is_ideograph, is_punctuation, plain};

/// Characters of the longest word that is cut into pieces.
pub const LONGEST_WORD: usize = 100;

/// `▁`, which begins the first piece of a word.
const START: [u8; 3] = [0xe2, 0x96, 0x81];

/// Metadata keys that only these vocabularies have.
pub mod keys {
    /// The token that begins every text; without it `tokenizer.ggml.bos_token_id`, then 101.
    pub const CLS: &str = "tokenizer.ggml.cls_token_id";
    /// The token that ends every text, in the spelling of the format; 102 if missing.
    pub const SEP: &str = "tokenizer.ggml.seperator_token_id";
    /// Whether letters are taken in lower case and without accents (bool); true if missing.
    pub const LOWERCASE: &str = "trilane.tokenizer.lowercase";
}

/// Tokens of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Tokens written, the begin and end token included.
    pub len: usize,
    /// Tokens of the whole text; more than `len` when it was cut.
    pub total: usize,
}

/// Text to tokens. Exact: the same tokens on every platform.
#[derive(Clone, Copy, Debug)]
pub struct WordPiece<'a> {
    strings: &'a [u8],
    /// Where each token's piece begins.
    offsets: &'a [u32],
    /// Tokens sorted by piece, the lowest of equal ones first.
    order: &'a [u32],
    cls: u32,
    sep: u32,
    unk: u32,
    lowercase: bool,
}

impl<'a> WordPiece<'a> {
    /// The tokenizer of a file; `index` is as long as
    /// [`index_len`](super::tokenizer::index_len) says for the vocabulary's tokens, or longer.
    ///
    /// # Errors
    /// `MissingKey`, `Value`, `EmptyVocabulary`, `TooManyTokens`, `StringsLength`, `IndexLength`,
    /// `TruncatedPiece`, `TrailingBytes`, or `Token` for a special token outside the vocabulary.
    pub fn read(file: &Gguf<'a>, index: &'a mut [u32]) -> Result<Self, TokenizerError> {
        let key = MODEL;
        let model = file.get(key).ok_or(TokenizerError::MissingKey { key })?;
        if model.as_str() != Some("bert") {
            return Err(TokenizerError::Value { key, expected: "\"bert\"" });
        }
        let key = TOKENS;
        let tokens = file.get(key).ok_or(TokenizerError::MissingKey { key })?;
        let tokens = tokens
            .as_array()
            .filter(|tokens| tokens.element() == ValueType::Str)
            .ok_or(TokenizerError::Value { key, expected: "an array of strings" })?;
        let role = |keys: &[&'static str], default| {
            for &key in keys {
                if let Some(value) = file.get(key) {
                    let wrong = TokenizerError::Value { key, expected: "a token" };
                    return value.as_u32().ok_or(wrong);
                }
            }
            Ok(default)
        };
        let (cls, sep, unk) =
            (role(&[keys::CLS, BOS], 101)?, role(&[keys::SEP], 102)?, role(&[UNK], 100)?);
        let key = keys::LOWERCASE;
        let lowercase = match file.get(key) {
            Some(value) => {
                value.as_bool().ok_or(TokenizerError::Value { key, expected: "a boolean" })?
            }
            None => true,
        };
        let count = tokens.len();
        for token in [cls, sep, unk] {
            if token as usize >= count && count > 0 {
                return Err(TokenizerError::Token { token, count });
            }
        }
        let (offsets, order) = sorted(tokens.payload(), count, index)?;
        Ok(Self { strings: tokens.payload(), offsets, order, cls, sep, unk, lowercase })
    }

    /// Number of tokens.
    #[must_use]
    pub fn vocabulary_len(&self) -> usize {
        self.offsets.len()
    }

    /// A token's piece as it is stored, `▁` first where it begins a word.
    ///
    /// # Errors
    /// `Token` when it is outside the vocabulary.
    pub fn piece(&self, token: u32) -> Result<&'a [u8], TokenizerError> {
        let count = self.offsets.len();
        if (token as usize) < count {
            Ok(piece(self.strings, self.offsets, token))
        } else {
            Err(TokenizerError::Token { token, count })
        }
    }

    /// Writes the begin token, the tokens of `text` as far as there is room, and the end token.
    ///
    /// Time O(n · log of the vocabulary) in the length of the text, no allocation.
    ///
    /// # Errors
    /// `Output` when there is no room for two tokens.
    pub fn encode(&self, text: &str, out: &mut [u32]) -> Result<Encoded, TokenizerError> {
        let actual = out.len();
        let [first, rest @ ..] = out else {
            return Err(TokenizerError::Output { expected: 2, actual });
        };
        let room = rest.len().checked_sub(1);
        let room = room.ok_or(TokenizerError::Output { expected: 2, actual })?;
        *first = self.cls;
        let mut total = 0;
        self.words(text, &mut |word| {
            self.pieces(word, &mut |token| {
                if total < room
                    && let Some(to) = rest.get_mut(total)
                {
                    *to = token;
                }
                total += 1;
            });
        });
        let written = total.min(room);
        if let Some(to) = rest.get_mut(written) {
            *to = self.sep;
        }
        Ok(Encoded { len: written + 2, total: total + 2 })
    }

    /// Calls `each` with every word of a text.
    fn words(&self, text: &str, each: &mut impl FnMut(&Word)) {
        let mut word = Word::default();
        for c in text.chars() {
            if is_dropped(c) {
                continue;
            }
            if c.is_whitespace() {
                word.finish(each);
                continue;
            }
            let ideograph = is_ideograph(c);
            let mut take = |c| {
                let alone = ideograph || is_punctuation(c);
                if alone {
                    word.finish(each);
                }
                word.push(c);
                if alone {
                    word.finish(each);
                }
            };
            if self.lowercase { plain(c, &mut take) } else { take(c) }
        }
        word.finish(each);
    }

    /// Calls `each` with every token of a word.
    fn pieces(&self, word: &Word, each: &mut impl FnMut(u32)) {
        let Some(bytes) = word.bytes() else { return each(self.unk) };
        let cut = |each: &mut dyn FnMut(u32)| {
            let (mut rest, mut start) = (bytes, &START[..]);
            while !rest.is_empty() {
                let Some((token, len)) = self.longest(start, rest) else { return false };
                each(token);
                rest = rest.get(len..).unwrap_or(&[]);
                start = &[];
            }
            true
        };
        // First without telling: a word is cut whole or not at all.
        if cut(&mut |_| {}) {
            cut(each);
        } else {
            each(self.unk);
        }
    }

    /// The longest piece that is `start` and then a beginning of `rest`, and how long that is.
    /// Pieces are whole characters, so it ends between characters.
    fn longest(&self, start: &[u8], rest: &[u8]) -> Option<(u32, usize)> {
        let mut range = self.order;
        let mut best = None;
        for (depth, &byte) in start.iter().chain(rest).enumerate() {
            // All pieces of the range share `depth` bytes, so the next byte orders them.
            let at = |t: u32| piece(self.strings, self.offsets, t).get(depth).copied();
            let first = range.partition_point(|&t| at(t) < Some(byte));
            let end = range.partition_point(|&t| at(t) <= Some(byte));
            range = range.get(first..end).unwrap_or_default();
            let Some(&token) = range.first() else { break };
            let found = piece(self.strings, self.offsets, token);
            if found.len() == depth + 1 && depth >= start.len() && str::from_utf8(found).is_ok() {
                best = Some((token, depth + 1 - start.len()));
            }
        }
        best
    }
}

/// Offsets of the pieces and the tokens sorted by piece, in `index`.
fn sorted<'a>(
    strings: &'a [u8],
    count: usize,
    index: &'a mut [u32],
) -> Result<(&'a [u32], &'a [u32]), TokenizerError> {
    if count == 0 {
        return Err(TokenizerError::EmptyVocabulary);
    }
    let tokens = u32::try_from(count).map_err(|_| TokenizerError::TooManyTokens { count })?;
    if u32::try_from(strings.len()).is_err() {
        return Err(TokenizerError::StringsLength { len_bytes: strings.len() });
    }
    let (expected, actual) = (super::tokenizer::index_len(count), index.len());
    let index =
        index.get_mut(..expected).ok_or(TokenizerError::IndexLength { expected, actual })?;
    let (offsets, order) = index.split_at_mut(count);
    let mut end = 0;
    for (token, offset) in (0..tokens).zip(offsets.iter_mut()) {
        *offset = end as u32;
        let (_, next) = string_at(strings, end).ok_or(TokenizerError::TruncatedPiece { token })?;
        end = next;
    }
    if end != strings.len() {
        return Err(TokenizerError::TrailingBytes { count: strings.len() - end });
    }
    let offsets: &'a [u32] = offsets;
    order.iter_mut().zip(0..tokens).for_each(|(to, token)| *to = token);
    order.sort_unstable_by(|&a, &b| {
        piece(strings, offsets, a).cmp(piece(strings, offsets, b)).then(a.cmp(&b))
    });
    Ok((offsets, order))
}

/// The stored bytes of a token.
fn piece<'a>(strings: &'a [u8], offsets: &[u32], token: u32) -> &'a [u8] {
    let offset = offsets.get(token as usize);
    let piece = offset.and_then(|&offset| string_at(strings, offset as usize));
    piece.map_or(&[], |(piece, _)| piece)
}

/// The characters of a word so far.
struct Word {
    bytes: [u8; 4 * LONGEST_WORD],
    len: usize,
    characters: usize,
}

impl Default for Word {
    fn default() -> Self {
        Self { bytes: [0; 4 * LONGEST_WORD], len: 0, characters: 0 }
    }
}

impl Word {
    fn push(&mut self, c: char) {
        self.characters += 1;
        if self.characters <= LONGEST_WORD
            && let Some(to) = self.bytes.get_mut(self.len..self.len + c.len_utf8())
        {
            c.encode_utf8(to);
            self.len += to.len();
        }
    }

    /// Its bytes, or `None` when it is too long.
    fn bytes(&self) -> Option<&[u8]> {
        if self.characters <= LONGEST_WORD { self.bytes.get(..self.len) } else { None }
    }

    /// Hands the word on, if there is one, and begins the next.
    fn finish(&mut self, each: &mut impl FnMut(&Self)) {
        if self.characters > 0 {
            each(self);
        }
        (self.len, self.characters) = (0, 0);
    }
}
