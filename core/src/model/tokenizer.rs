//! The SentencePiece tokenizer of llama-family models (`tokenizer.ggml.model` = `llama`), on the
//! vocabulary as it lies in a GGUF file.
//!
//! *Encoding.* A space is put in front (if the model wants it) and every space becomes `▁`
//! (U+2581). User-defined pieces are cut out, longest first. The rest starts as single characters;
//! the two neighbours whose concatenation is the piece with the highest score merge, the leftmost
//! ones on ties, until none can. Characters that are no piece become their UTF-8 bytes' tokens, or
//! the unknown token.
//!
//! The text is neither copied nor changed: `▁` exists only while bytes are compared.
//!
//! Text never becomes a control, unknown, unused or byte token by its spelling: `<s>` in a text is
//! three characters.

use super::merge::{Merger, NONE, Symbol};
use super::vocab::{Implied, Vocab};

pub use super::file_tokenizer::keys;
pub use super::merge::Slot;
pub use super::token_error::TokenizerError;
pub use super::vocab::TokenKind;

/// `▁`, which stands for a space in pieces.
const SPACE: [u8; 3] = [0xe2, 0x96, 0x81];

/// What an unknown token is decoded to.
const REPLACEMENT: &str = "\u{fffd}";

/// Tokens with a role, and the two switches of a vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Begin of text (`tokenizer.ggml.bos_token_id`).
    pub bos: Option<u32>,
    /// End of text (`tokenizer.ggml.eos_token_id`).
    pub eos: Option<u32>,
    /// Stands for characters that have neither piece nor bytes (`tokenizer.ggml.unknown_token_id`).
    pub unk: Option<u32>,
    /// Whether encoding starts with `bos` (`tokenizer.ggml.add_bos_token`).
    pub add_bos: bool,
    /// Whether a text gets a space in front (`tokenizer.ggml.add_space_prefix`).
    pub add_space_prefix: bool,
}

/// Length of the index of a vocabulary of `count` tokens.
#[must_use]
pub const fn index_len(count: usize) -> usize {
    count.saturating_mul(2)
}

/// Number of slots that encoding a text of `len_bytes` needs.
#[must_use]
pub const fn scratch_len(len_bytes: usize) -> usize {
    len_bytes.saturating_add(1)
}

/// Text to tokens and back. Exact: same tokens and bytes on every platform.
#[derive(Debug, Clone, Copy)]
pub struct Tokenizer<'a> {
    vocab: Vocab<'a>,
    special: SpecialTokens,
}

/// A text with a space in front if `prefix` is 1; positions count that space.
#[derive(Clone, Copy)]
struct Source<'t> {
    text: &'t [u8],
    prefix: u32,
}

impl<'t> Source<'t> {
    /// The bytes from `start`, `len` of them, with spaces as `▁`.
    fn normalised(self, start: u32, len: u32) -> impl Iterator<Item = u8> + Clone + 't {
        let spaces = if start < self.prefix { &b" "[..] } else { &[] };
        let first = start.saturating_sub(self.prefix) as usize;
        let end = start.saturating_add(len).saturating_sub(self.prefix) as usize;
        let text = self.text.get(first..end).unwrap_or_default();
        spaces.iter().chain(text).flat_map(|&byte| {
            let (bytes, n) = if byte == b' ' { (SPACE, 3) } else { ([byte, 0, 0], 1) };
            bytes.into_iter().take(n)
        })
    }
}

impl<'a> Tokenizer<'a> {
    /// A tokenizer over `count` tokens.
    ///
    /// `strings` are the pieces as GGUF lays out a string array (u64 little-endian length, then the
    /// bytes, UTF-8 or not), `scores` f32 and `types` i32 little-endian. `index` is filled; its
    /// length must be [`index_len`] or more. Without types, `bos` and `eos` are control tokens,
    /// `unk` is the unknown one, `<0xNN>` are bytes and all others are normal. Of several tokens
    /// with the same piece the lowest is used.
    ///
    /// Time O(n·log n), no allocation.
    ///
    /// # Errors
    /// `EmptyVocabulary`, `TooManyTokens`, `StringsLength`, `ScoresLength`, `TypesLength`,
    /// `IndexLength`, `TruncatedPiece`, `TrailingBytes`, `Score`, `Type`, `BytePiece`, `Token`,
    /// `MissingBos`.
    pub fn new(
        strings: &'a [u8],
        count: usize,
        scores: &'a [u8],
        types: Option<&'a [u8]>,
        special: SpecialTokens,
        index: &'a mut [u32],
    ) -> Result<Self, TokenizerError> {
        let implied = Implied { control: [special.bos, special.eos], unknown: special.unk };
        let vocab = Vocab::new(strings, count, scores, types, implied, index)?;
        for token in [special.bos, special.eos, special.unk].into_iter().flatten() {
            if token as usize >= count {
                return Err(TokenizerError::Token { token, count });
            }
        }
        if special.add_bos && special.bos.is_none() {
            return Err(TokenizerError::MissingBos);
        }
        Ok(Self { vocab, special })
    }

    /// Number of tokens.
    #[must_use]
    pub fn vocabulary_len(&self) -> usize {
        self.vocab.len()
    }

    /// Tokens with a role.
    #[must_use]
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// Length that is enough for the bytes of any one token.
    #[must_use]
    pub fn max_piece_len(&self) -> usize {
        self.vocab.longest().max(REPLACEMENT.len())
    }

    /// What a token stands for.
    ///
    /// # Errors
    /// `Token` when it is outside the vocabulary.
    pub fn kind(&self, token: u32) -> Result<TokenKind, TokenizerError> {
        self.known(token)?;
        Ok(self.vocab.kind(token))
    }

    /// A token's piece as it is stored, with `▁` for spaces and `<0xNN>` for bytes.
    ///
    /// # Errors
    /// `Token` when it is outside the vocabulary.
    pub fn piece(&self, token: u32) -> Result<&'a [u8], TokenizerError> {
        self.known(token)?;
        Ok(self.vocab.piece(token))
    }

    fn known(&self, token: u32) -> Result<(), TokenizerError> {
        let count = self.vocab.len();
        if (token as usize) < count { Ok(()) } else { Err(TokenizerError::Token { token, count }) }
    }

    /// Writes the tokens of `text` to `out`; returns how many. Exact.
    ///
    /// Begins with `bos` if the vocabulary wants it; an empty text has no other token.
    /// `scratch` needs [`scratch_len`] slots, whose content does not matter. Time O(n·log n) in
    /// the length of the text, for pieces of bounded length.
    ///
    /// # Errors
    /// `TextLength`, `Scratch`, `Character`, or `Output` with the length that `out` must have.
    pub fn encode(
        &self,
        text: &str,
        out: &mut [u32],
        scratch: &mut [Slot],
    ) -> Result<usize, TokenizerError> {
        let len_bytes = text.len();
        if len_bytes >= (u32::MAX - 1) as usize {
            return Err(TokenizerError::TextLength { len_bytes });
        }
        let (expected, actual) = (scratch_len(len_bytes), scratch.len());
        let scratch =
            scratch.get_mut(..expected).ok_or(TokenizerError::Scratch { expected, actual })?;
        let prefix = u32::from(self.special.add_space_prefix && !text.is_empty());
        let source = Source { text: text.as_bytes(), prefix };
        let mut merger = Merger::new(scratch);
        self.split(text, source, &mut merger);
        let longest = self.vocab.longest();
        merger.run(|start, len| {
            if len as usize > longest {
                return None;
            }
            let token = self.vocab.find(source.normalised(start, len))?;
            Some((token, self.vocab.score(token)))
        });

        let mut written = 0;
        let bos = self.special.bos.filter(|_| self.special.add_bos);
        if let Some(bos) = bos {
            put(out, &mut written, bos);
        }
        for symbol in merger.symbols() {
            self.emit(source, symbol, out, &mut written)?;
        }
        if written > out.len() {
            return Err(TokenizerError::Output { expected: written, actual: out.len() });
        }
        Ok(written)
    }

    /// Cuts the text into user-defined tokens and single characters.
    fn split(&self, text: &str, source: Source<'_>, merger: &mut Merger<'_>) {
        let total = text.len() as u32 + source.prefix;
        let mut start = 0;
        if source.prefix == 1 {
            // The prefix counts as the text's first character; the others shift by one.
            start = self.split_one(source, total, start, 1, merger);
        }
        let mut position = source.prefix;
        for character in text.chars() {
            let len = character.len_utf8() as u32;
            if position >= start {
                start = self.split_one(source, total, position, len, merger);
            }
            position += len;
        }
    }

    /// Appends the user-defined token at `start`, or the character of `len` bytes; returns its end.
    fn split_one(
        &self,
        source: Source<'_>,
        total: u32,
        start: u32,
        len: u32,
        merger: &mut Merger<'_>,
    ) -> u32 {
        match self.vocab.longest_user_defined(source.normalised(start, total - start)) {
            Some((token, len_normalised)) => {
                let len = source_len(source, start, total - start, len_normalised);
                merger.push_symbol(start, len, token);
                start + len
            }
            None => {
                merger.push_symbol(start, len, NONE);
                start + len
            }
        }
    }

    /// Writes the token of a symbol, or of its bytes, or the unknown token.
    fn emit(
        &self,
        source: Source<'_>,
        symbol: Symbol,
        out: &mut [u32],
        written: &mut usize,
    ) -> Result<(), TokenizerError> {
        let bytes = source.normalised(symbol.start, symbol.len);
        let token = match symbol.token {
            NONE => self.vocab.find(bytes.clone()),
            token => Some(token),
        };
        if let Some(token) = token {
            put(out, written, token);
        } else if bytes.clone().all(|byte| self.vocab.find_byte(byte).is_some()) {
            for token in bytes.filter_map(|byte| self.vocab.find_byte(byte)) {
                put(out, written, token);
            }
        } else if let Some(unk) = self.special.unk {
            put(out, written, unk);
        } else {
            let offset = symbol.start.saturating_sub(source.prefix) as usize;
            return Err(TokenizerError::Character { offset });
        }
        Ok(())
    }

    /// Writes the bytes that `token` stands for to `out`; returns how many. Exact.
    ///
    /// `▁` becomes a space, a byte token its byte; control and unused tokens have no bytes, the
    /// unknown token has those of U+FFFD. With `at_start` (the first token of a text, or the one
    /// after `bos`) the space that encoding put in front is left out again. The bytes may end
    /// inside a character: see [`Utf8Stream`](super::utf8::Utf8Stream).
    ///
    /// # Errors
    /// `Token` when it is outside the vocabulary; `Output` when `out` is too short, which it never
    /// is with [`max_piece_len`](Self::max_piece_len).
    pub fn decode_piece(
        &self,
        token: u32,
        at_start: bool,
        out: &mut [u8],
    ) -> Result<usize, TokenizerError> {
        let piece = match self.kind(token)? {
            TokenKind::Normal | TokenKind::UserDefined => self.vocab.piece(token),
            TokenKind::Control | TokenKind::Unused => &[],
            TokenKind::Unknown => REPLACEMENT.as_bytes(),
            TokenKind::Byte => {
                let mut written = 0;
                let byte = self.vocab.byte(token);
                byte.into_iter().for_each(|byte| put(out, &mut written, byte));
                return finish(out, written);
            }
        };
        let mut rest = piece;
        if at_start && self.special.add_space_prefix {
            rest = rest.strip_prefix(&SPACE).unwrap_or(rest);
        }
        let mut written = 0;
        while let Some((&byte, after)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(&SPACE) {
                put(out, &mut written, b' ');
                rest = after;
            } else {
                put(out, &mut written, byte);
                rest = after;
            }
        }
        finish(out, written)
    }
}

/// Length in the source of the `len_normalised` first bytes after `▁` took the place of spaces.
fn source_len(source: Source<'_>, start: u32, available: u32, len_normalised: usize) -> u32 {
    let mut normalised = 0;
    let mut len = 0;
    while normalised < len_normalised && len < available {
        normalised += source.normalised(start + len, 1).count();
        len += 1;
    }
    len
}

/// Counts an item, and stores it if there is room.
fn put<T>(out: &mut [T], written: &mut usize, item: T) {
    if let Some(place) = out.get_mut(*written) {
        *place = item;
    }
    *written += 1;
}

fn finish(out: &[u8], written: usize) -> Result<usize, TokenizerError> {
    if written > out.len() {
        return Err(TokenizerError::Output { expected: written, actual: out.len() });
    }
    Ok(written)
}
