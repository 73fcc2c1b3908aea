//! A vocabulary learned from a text, in the SentencePiece manner, and its encoder.
//!
//! Ids: 0 `<unk>`, 1 `<s>`, 2 `</s>`, 3..=258 the bytes `<0x00>`..`<0xFF>`, then
//! the single characters of the text in code-point order, then the merges in the
//! order they were learned. The score of a piece is minus its rank: merges first,
//! characters below them. A space is written `▁` (U+2581).
//!
//! A piece is one character, or letters and apostrophes with at most one `▁`
//! before them. So no piece crosses from one word to the next, and encoding word
//! by word is what encoding the whole text would give.

use std::collections::{BTreeMap, HashMap};

/// The id of the token every window starts with.
pub(super) const BOS: u32 = 1;

/// The kinds of token, with the numbers GGUF gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenType {
    /// A piece of text.
    Normal = 1,
    /// Stands for anything that cannot be encoded.
    Unknown = 2,
    /// Begin and end of a text.
    Control = 3,
    /// One byte of a character without a piece of its own.
    Byte = 6,
}

/// The vocabulary: three columns of equal length.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) pieces: Vec<String>,
    pub(super) scores: Vec<f32>,
    pub(super) types: Vec<TokenType>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    /// Learns `size` entries from `text`.
    ///
    /// Each round encodes every distinct word with the pieces known so far and adds
    /// the most frequent concatenation of two neighbours; of equals, the first in
    /// byte order.
    pub(super) fn train(text: &str, size: usize) -> Self {
        let text = text.replace(' ', "▁");
        let mut words = BTreeMap::<&str, u64>::new();
        for word in words_of(&text) {
            *words.entry(word).or_default() += 1;
        }
        let mut vocabulary =
            Self { pieces: Vec::new(), scores: Vec::new(), types: Vec::new(), ids: HashMap::new() };
        vocabulary.push("<unk>".into(), 0.0, TokenType::Unknown);
        vocabulary.push("<s>".into(), 0.0, TokenType::Control);
        vocabulary.push("</s>".into(), 0.0, TokenType::Control);
        for byte in 0..=255_u8 {
            vocabulary.push(format!("<0x{byte:02X}>"), 0.0, TokenType::Byte);
        }
        let mut characters: Vec<char> = text.chars().collect();
        characters.sort_unstable();
        characters.dedup();
        for (rank, c) in characters.iter().enumerate() {
            let score = -((size + rank) as f32);
            vocabulary.push(c.to_string(), score, TokenType::Normal);
        }
        for rank in 0.. {
            if vocabulary.len() >= size {
                break;
            }
            let mut pairs = BTreeMap::<String, u64>::new();
            for (word, count) in &words {
                for pair in vocabulary.split(word).windows(2) {
                    *pairs.entry(pair.concat()).or_default() += count;
                }
            }
            let best = pairs.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
            let Some((piece, _)) = best else { break };
            vocabulary.push(piece, -(rank as f32), TokenType::Normal);
        }
        vocabulary
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The ids of `text`, without a begin token.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let text = text.replace(' ', "▁");
        let mut known = HashMap::<&str, Vec<u32>>::new();
        let mut ids = Vec::new();
        for word in words_of(&text) {
            ids.extend_from_slice(known.entry(word).or_insert_with(|| {
                let pieces = self.split(word);
                pieces.iter().flat_map(|p| self.piece_ids(p)).collect()
            }));
        }
        ids
    }

    /// The text of `ids`; tokens that are not text are left out.
    #[cfg(test)]
    fn decode(&self, ids: &[u32]) -> String {
        let pieces = ids.iter().map(|&id| self.pieces[id as usize].as_str());
        pieces.collect::<String>().replace('▁', " ")
    }

    fn push(&mut self, piece: String, score: f32, kind: TokenType) {
        if kind == TokenType::Normal {
            self.ids.insert(piece.clone(), self.len() as u32);
        }
        self.pieces.push(piece);
        self.scores.push(score);
        self.types.push(kind);
    }

    /// The pieces of a word: as long as two neighbours join to a known piece, join
    /// those with the highest score, the leftmost of equals.
    fn split<'w>(&self, word: &'w str) -> Vec<&'w str> {
        let mut cuts: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
        cuts.push(word.len());
        loop {
            let mut best: Option<(usize, f32)> = None;
            for i in 0..cuts.len().saturating_sub(2) {
                if let Some(&id) = self.ids.get(&word[cuts[i]..cuts[i + 2]]) {
                    let score = self.scores[id as usize];
                    if best.is_none_or(|(_, top)| score > top) {
                        best = Some((i, score));
                    }
                }
            }
            match best {
                Some((i, _)) => cuts.remove(i + 1),
                None => break,
            };
        }
        cuts.windows(2).map(|c| &word[c[0]..c[1]]).collect()
    }

    fn piece_ids(&self, piece: &str) -> Vec<u32> {
        match self.ids.get(piece) {
            Some(&id) => vec![id],
            None => piece.bytes().map(|b| 3 + u32::from(b)).collect(),
        }
    }
}

/// Splits where no piece may cross: `▁` starts a word, letters and apostrophes
/// continue it, every other character stands alone.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        let mut end = first.len_utf8();
        if first == '▁' || is_letter(first) {
            end = chars.find(|&(_, c)| !is_letter(c)).map_or(rest.len(), |(at, _)| at);
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() || c == '\''
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "the cat and the hat,\nthat's  the end of the tale: THE END\n";

    #[test]
    fn decoding_gives_the_text_back() {
        let v = Vocabulary::train(TEXT, 300);
        assert_eq!(v.decode(&v.encode(TEXT)), TEXT);
        assert_eq!(v.len(), 300);
    }

    #[test]
    fn a_frequent_word_is_one_piece() {
        let v = Vocabulary::train(TEXT, 300);
        let ids = v.encode(" the");
        assert_eq!(ids.len(), 1, "{:?}", v.split("▁the"));
        assert_eq!(v.pieces[ids[0] as usize], "▁the");
    }

    #[test]
    fn unknown_characters_become_bytes() {
        let v = Vocabulary::train(TEXT, 300);
        assert_eq!(v.encode("é"), [3 + 0xC3, 3 + 0xA9]);
    }

    #[test]
    fn words_do_not_matter_to_the_result() {
        let v = Vocabulary::train(TEXT, 300);
        let marked = TEXT.replace(' ', "▁");
        let whole: Vec<u32> = v.split(&marked).iter().flat_map(|p| v.piece_ids(p)).collect();
        assert_eq!(v.encode(TEXT), whole);
    }
}
