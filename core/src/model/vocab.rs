//! The pieces of a vocabulary, as GGUF stores them, and how to find them.
//!
//! ```text
//! strings   len₀: u64 LE | bytes₀ | len₁: u64 LE | bytes₁ | …
//! index     offset₀ … offsetₙ₋₁ | token ids sorted by (group, bytes, id)
//! ```
//!
//! The groups are what a search looks in: user-defined pieces, normal pieces, byte pieces; the rest
//! (control, unknown, unused) comes last and is never searched.

use core::cmp::Ordering;

use super::tokenizer::TokenizerError;

/// What a token stands for; the numbers are those of `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Text found by merging (1; also 0, undefined).
    Normal,
    /// Stands for characters outside the vocabulary (2).
    Unknown,
    /// Steers the model and has no text (3).
    Control,
    /// Text that is always a token of its own (4).
    UserDefined,
    /// A reserved place (5).
    Unused,
    /// One byte, written `<0xNN>` (6).
    Byte,
}

impl TokenKind {
    fn from_gguf(value: i32) -> Option<Self> {
        Some(match value {
            0 | 1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }

    /// The place of the kind's group in the sorted half of the index.
    fn group(self) -> u8 {
        match self {
            Self::UserDefined => 0,
            Self::Normal => 1,
            Self::Byte => 2,
            Self::Unknown | Self::Control | Self::Unused => 3,
        }
    }
}

/// What kinds fall back to in a file without token types.
#[derive(Debug, Clone, Copy)]
pub(super) struct Implied {
    pub(super) control: [Option<u32>; 2],
    pub(super) unknown: Option<u32>,
}

/// Validated pieces with random access and search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vocab<'a> {
    strings: &'a [u8],
    scores: &'a [u8],
    types: Option<&'a [u8]>,
    implied: Implied,
    offsets: &'a [u32],
    user_defined: &'a [u32],
    normal: &'a [u32],
    bytes: &'a [u32],
    longest: usize,
}

/// `u32` number `i` of little-endian bytes.
fn word(bytes: &[u8], i: usize) -> Option<u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.get(i).map(|w| u32::from_le_bytes(*w))
}

/// The string whose length field is at `offset`, and where it ends.
pub(super) fn string_at(strings: &[u8], offset: usize) -> Option<(&[u8], usize)> {
    let (length, rest) = strings.get(offset..)?.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let piece = rest.get(..length)?;
    Some((piece, offset.checked_add(8)?.checked_add(length)?))
}

/// The value of `<0xNN>` with two upper-case hexadecimal digits.
fn byte_value(piece: &[u8]) -> Option<u8> {
    let &[b'<', b'0', b'x', high, low, b'>'] = piece else {
        return None;
    };
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

impl<'a> Vocab<'a> {
    /// Checks every piece, score and type, and fills the index. O(n·log n).
    pub(super) fn new(
        strings: &'a [u8],
        count: usize,
        scores: &'a [u8],
        types: Option<&'a [u8]>,
        implied: Implied,
        index: &'a mut [u32],
    ) -> Result<Self, TokenizerError> {
        let actual = index.len();
        let lengths = count.checked_mul(2).zip(count.checked_mul(4));
        let (Some((index_len, len_bytes)), Ok(tokens)) = (lengths, u32::try_from(count)) else {
            return Err(TokenizerError::TooManyTokens { count });
        };
        if count == 0 {
            return Err(TokenizerError::EmptyVocabulary);
        }
        if scores.len() != len_bytes {
            return Err(TokenizerError::ScoresLength { expected: len_bytes, actual: scores.len() });
        }
        if let Some(types) = types
            && types.len() != len_bytes
        {
            return Err(TokenizerError::TypesLength { expected: len_bytes, actual: types.len() });
        }
        if u32::try_from(strings.len()).is_err() {
            return Err(TokenizerError::StringsLength { len_bytes: strings.len() });
        }
        let index = index
            .get_mut(..index_len)
            .ok_or(TokenizerError::IndexLength { expected: index_len, actual })?;
        let (offsets, order) = index.split_at_mut(count);

        let mut end = 0usize;
        let mut longest = 0;
        for (token, slot) in (0..tokens).zip(offsets.iter_mut()) {
            *slot = end as u32;
            let (piece, next) =
                string_at(strings, end).ok_or(TokenizerError::TruncatedPiece { token })?;
            longest = longest.max(piece.len());
            end = next;
        }
        if end != strings.len() {
            return Err(TokenizerError::TrailingBytes { count: strings.len() - end });
        }
        let mut vocab = Self {
            strings,
            scores,
            types,
            implied,
            offsets,
            user_defined: &[],
            normal: &[],
            bytes: &[],
            longest,
        };
        for token in 0..tokens {
            vocab.check(token)?;
        }
        for (slot, token) in order.iter_mut().zip(0..tokens) {
            *slot = token;
        }
        let group = |token: u32| vocab.kind(token).group();
        order.sort_unstable_by(|&a, &b| {
            group(a).cmp(&group(b)).then_with(|| vocab.piece(a).cmp(vocab.piece(b))).then(a.cmp(&b))
        });
        let order: &'a [u32] = order;
        let ends = [0, 1, 2].map(|last| order.partition_point(|&t| group(t) <= last));
        vocab.user_defined = order.get(..ends[0]).unwrap_or_default();
        vocab.normal = order.get(ends[0]..ends[1]).unwrap_or_default();
        vocab.bytes = order.get(ends[1]..ends[2]).unwrap_or_default();
        Ok(vocab)
    }

    fn check(&self, token: u32) -> Result<(), TokenizerError> {
        let score = self.score(token);
        if score.is_nan() || score == f32::INFINITY {
            return Err(TokenizerError::Score { token });
        }
        if let Some(value) = self.types.and_then(|types| word(types, token as usize))
            && TokenKind::from_gguf(value as i32).is_none()
        {
            return Err(TokenizerError::Type { token, value: value as i32 });
        }
        if self.kind(token) == TokenKind::Byte && byte_value(self.piece(token)).is_none() {
            return Err(TokenizerError::BytePiece { token });
        }
        Ok(())
    }

    /// Number of tokens.
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Length of the longest piece, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The stored bytes; empty outside the vocabulary.
    pub(super) fn piece(&self, token: u32) -> &'a [u8] {
        let offset = self.offsets.get(token as usize);
        let piece = offset.and_then(|&offset| string_at(self.strings, offset as usize));
        piece.map_or(&[], |(piece, _)| piece)
    }

    /// The score; −∞ outside the vocabulary. −0 is given as +0, for scores to have a total order.
    pub(super) fn score(&self, token: u32) -> f32 {
        word(self.scores, token as usize).map_or(f32::NEG_INFINITY, |w| f32::from_bits(w) + 0.0)
    }

    /// The stored kind, or the implied one in a file without types.
    pub(super) fn kind(&self, token: u32) -> TokenKind {
        match self.types {
            Some(types) => word(types, token as usize)
                .and_then(|value| TokenKind::from_gguf(value as i32))
                .unwrap_or(TokenKind::Unused),
            None if self.implied.control.contains(&Some(token)) => TokenKind::Control,
            None if self.implied.unknown == Some(token) => TokenKind::Unknown,
            None if byte_value(self.piece(token)).is_some() => TokenKind::Byte,
            None => TokenKind::Normal,
        }
    }

    /// The byte that a byte token stands for.
    pub(super) fn byte(&self, token: u32) -> Option<u8> {
        byte_value(self.piece(token))
    }

    /// The first of `tokens`, sorted by piece, that `order` (its piece against the target) calls
    /// equal.
    fn search(&self, tokens: &[u32], order: impl Fn(&[u8]) -> Ordering) -> Option<u32> {
        let i = tokens.partition_point(|&t| order(self.piece(t)) == Ordering::Less);
        let &token = tokens.get(i)?;
        (order(self.piece(token)) == Ordering::Equal).then_some(token)
    }

    /// The lowest normal token with exactly these bytes.
    pub(super) fn find(&self, target: impl Iterator<Item = u8> + Clone) -> Option<u32> {
        self.search(self.normal, |piece| piece.iter().copied().cmp(target.clone()))
    }

    /// The token of a byte.
    pub(super) fn find_byte(&self, byte: u8) -> Option<u32> {
        // In sorted order the values ascend, since '9' < 'A'.
        self.search(self.bytes, |piece| byte_value(piece).cmp(&Some(byte)))
    }

    /// The longest user-defined token that `target` starts with, and its length in bytes.
    /// Pieces that are not UTF-8 are left out, so a match in a text ends between characters.
    pub(super) fn longest_user_defined(
        &self,
        target: impl Iterator<Item = u8>,
    ) -> Option<(u32, usize)> {
        let mut range = self.user_defined;
        let mut best = None;
        for (depth, byte) in target.enumerate() {
            // All pieces of the range share `depth` bytes, so the next byte orders them.
            let at = |t: u32| self.piece(t).get(depth).copied();
            let start = range.partition_point(|&t| at(t) < Some(byte));
            let end = range.partition_point(|&t| at(t) <= Some(byte));
            range = range.get(start..end).unwrap_or_default();
            let Some(&first) = range.first() else { break };
            let piece = self.piece(first);
            if piece.len() == depth + 1 && str::from_utf8(piece).is_ok() {
                best = Some((first, depth + 1));
            }
        }
        best
    }
}
