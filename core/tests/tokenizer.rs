//! The tokenizer against the sentencepiece library, a brute-force reference, and hostile input.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use std::collections::HashMap;
use trilane_core::model::tokenizer::{
    Slot, SpecialTokens, TokenKind, Tokenizer, TokenizerError, index_len, scratch_len,
};

/// Arrays of a vocabulary as GGUF lays them out.
#[derive(Clone, Default)]
struct Arrays {
    strings: Vec<u8>,
    scores: Vec<u8>,
    types: Vec<u8>,
    count: usize,
}

impl Arrays {
    fn add(&mut self, piece: impl AsRef<[u8]>, score: f32, kind: i32) {
        let piece = piece.as_ref();
        self.strings.extend((piece.len() as u64).to_le_bytes());
        self.strings.extend(piece);
        self.scores.extend(score.to_le_bytes());
        self.types.extend(kind.to_le_bytes());
        self.count += 1;
    }

    fn open<'a>(
        &'a self,
        special: SpecialTokens,
        index: &'a mut Vec<u32>,
    ) -> Result<Tokenizer<'a>, TokenizerError> {
        index.resize(index_len(self.count), 0);
        let types = Some(&self.types[..]);
        Tokenizer::new(&self.strings, self.count, &self.scores, types, special, index)
    }
}

const SPECIAL: SpecialTokens = SpecialTokens {
    bos: Some(1),
    eos: Some(2),
    unk: Some(0),
    add_bos: false,
    add_space_prefix: true,
};

/// `<unk>`, `<s>`, `</s>` and, if wanted, 256 byte tokens.
fn basic(bytes: bool) -> Arrays {
    let mut arrays = Arrays::default();
    arrays.add("<unk>", 0.0, 2);
    arrays.add("<s>", 0.0, 3);
    arrays.add("</s>", 0.0, 3);
    for byte in 0..if bytes { 256 } else { 0 } {
        arrays.add(format!("<0x{byte:02X}>"), 0.0, 6);
    }
    arrays
}

fn encode(tokenizer: &Tokenizer<'_>, text: &str) -> Result<Vec<u32>, TokenizerError> {
    let mut scratch = vec![Slot::default(); scratch_len(text.len())];
    let mut out = vec![0; 3 * text.len() + 4];
    let n = tokenizer.encode(text, &mut out, &mut scratch)?;
    out.truncate(n);
    Ok(out)
}

fn decode(tokenizer: &Tokenizer<'_>, tokens: &[u32]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut out = vec![0; tokenizer.max_piece_len()];
    for (i, &token) in tokens.iter().enumerate() {
        let n = tokenizer.decode_piece(token, i == 0, &mut out).unwrap();
        text.extend(&out[..n]);
    }
    text
}

/// The arrays of the story model; `None`, with a note, where the file is not at hand.
fn stories() -> Option<Arrays> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/stories260K-f32.gguf");
    let Ok(data) = std::fs::read(path) else {
        println!("skipped: {path} is missing");
        return None;
    };
    let array = |key: &str, item: usize| {
        let key = [&(key.len() as u64).to_le_bytes(), key.as_bytes()].concat();
        let at = data.windows(key.len()).position(|w| w == key).unwrap() + key.len() + 8;
        let count = u64::from_le_bytes(data[at..at + 8].try_into().unwrap()) as usize;
        let start = at + 8;
        let mut end = start;
        for _ in 0..count {
            let length = data[end..end + 8].try_into().unwrap();
            end += if item > 0 { item } else { 8 + u64::from_le_bytes(length) as usize };
        }
        (data[start..end].to_vec(), count)
    };
    let (strings, count) = array("tokenizer.ggml.tokens", 0);
    Some(Arrays {
        strings,
        scores: array("tokenizer.ggml.scores", 4).0,
        types: array("tokenizer.ggml.token_type", 4).0,
        count,
    })
}

#[test]
fn story_texts_have_the_tokens_of_sentencepiece() {
    let Some(arrays) = stories() else { return };
    let mut index = Vec::new();
    let tokenizer = arrays.open(SPECIAL, &mut index).unwrap();
    let mut compared = 0;
    for line in include_str!("fixtures/stories-tokens.txt").lines() {
        let (text, tokens) = line.split_once(':').unwrap();
        let hex = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        let text = String::from_utf8((0..text.len()).step_by(2).map(hex).collect()).unwrap();
        let expected: Vec<u32> = tokens.split_whitespace().map(|t| t.parse().unwrap()).collect();
        let tokens = encode(&tokenizer, &text).unwrap();
        assert_eq!(tokens, expected, "{text:?}");
        if !text.contains('▁') {
            assert_eq!(decode(&tokenizer, &tokens), text.as_bytes());
        }
        compared += 1;
    }
    assert!(compared >= 50);
}

#[test]
fn begin_token_is_added_on_demand_and_has_no_text() {
    let arrays = basic(true);
    let mut index = Vec::new();
    let special = SpecialTokens { add_bos: true, ..SPECIAL };
    let tokenizer = arrays.open(special, &mut index).unwrap();
    assert_eq!(encode(&tokenizer, ""), Ok(vec![1]));
    assert_eq!(encode(&tokenizer, "A"), Ok(vec![1, 3 + 0xe2, 3 + 0x96, 3 + 0x81, 3 + 0x41]));
    assert_eq!(decode(&tokenizer, &[1, 2, 3 + 0x41, 0]), "A\u{fffd}".as_bytes());
    assert_eq!(tokenizer.kind(3), Ok(TokenKind::Byte));
    assert_eq!(tokenizer.piece(1), Ok(&b"<s>"[..]));
    assert_eq!((tokenizer.vocabulary_len(), tokenizer.max_piece_len()), (259, 6));
}

#[test]
fn control_tokens_are_not_spelled_out_by_text() {
    let mut arrays = basic(true);
    arrays.add("<", -1.0, 1);
    arrays.add("<s", -2.0, 1);
    arrays.add("unused", 9.0, 5);
    let mut index = Vec::new();
    let special = SpecialTokens { add_space_prefix: false, ..SPECIAL };
    let tokenizer = arrays.open(special, &mut index).unwrap();
    assert_eq!(encode(&tokenizer, "<s>"), Ok(vec![260, 3 + u32::from(b'>')]));
    assert_eq!(decode(&tokenizer, &[261]), b"");
}

#[test]
fn user_defined_tokens_are_cut_out_longest_first() {
    let mut arrays = basic(true);
    for (piece, kind) in
        [("▁▁", 4), ("▁▁▁", 4), ("<x>", 4), ("a", 1), ("<xa", 1), ("<x", 1), ("▁", 1), ("aa", 1)]
    {
        arrays.add(piece, -1.0, kind);
    }
    arrays.add(b"a\xc3", 0.0, 4);
    let mut index = Vec::new();
    let tokenizer = arrays.open(SPECIAL, &mut index).unwrap();
    let tokens = encode(&tokenizer, "a<x>a   a    <x>aaé").unwrap();
    let expected = [265, 262, 261, 262, 260, 262, 260, 265, 261, 266, 3 + 0xc3, 3 + 0xa9];
    assert_eq!(tokens, expected);
    assert_eq!(encode(&tokenizer, "  a"), Ok(vec![260, 262]));
    assert_eq!(decode(&tokenizer, &tokens), "a<x>a   a    <x>aaé".as_bytes());
}

#[test]
fn ties_merge_on_the_left_and_duplicates_give_the_lowest() {
    let mut arrays = basic(false);
    for (piece, score) in [("a", -9.0), ("aa", -0.0), ("aa", 5.0), ("b", -9.0), ("ab", 0.0)] {
        arrays.add(piece, score, 1);
    }
    let mut index = Vec::new();
    let special = SpecialTokens { add_space_prefix: false, ..SPECIAL };
    let tokenizer = arrays.open(special, &mut index).unwrap();
    assert_eq!(encode(&tokenizer, "aaa"), Ok(vec![4, 3]));
    assert_eq!(encode(&tokenizer, "aab"), Ok(vec![4, 6]));
    assert_eq!(encode(&tokenizer, "bab?é"), Ok(vec![6, 7, 0, 0]));
}

#[test]
fn types_are_implied_when_missing() {
    let mut arrays = basic(true);
    arrays.add("a", -1.0, 1);
    let mut index = vec![0; index_len(arrays.count)];
    let (strings, scores) = (&arrays.strings, &arrays.scores);
    let tokenizer =
        Tokenizer::new(strings, arrays.count, scores, None, SPECIAL, &mut index).unwrap();
    let kinds = [0, 1, 2, 3, 258, 259].map(|token| tokenizer.kind(token).unwrap());
    use TokenKind::{Byte, Control, Normal, Unknown};
    assert_eq!(kinds, [Unknown, Control, Control, Byte, Byte, Normal]);
}

#[test]
fn long_texts_take_no_quadratic_time() {
    let mut arrays = basic(true);
    let mut piece = String::from("a");
    for i in 0..8 {
        arrays.add(&piece, i as f32, 1);
        piece = piece.repeat(2);
    }
    let mut index = Vec::new();
    let special = SpecialTokens { add_space_prefix: false, ..SPECIAL };
    let tokenizer = arrays.open(special, &mut index).unwrap();
    let tokens = encode(&tokenizer, &"a".repeat(1 << 18)).unwrap();
    assert_eq!(tokens, vec![266; 1 << 11]);
}

#[test]
fn arguments_are_checked_with_numbers() {
    let arrays = basic(true);
    let mut index = Vec::new();
    let tokenizer = arrays.open(SPECIAL, &mut index).unwrap();
    let mut slots = [Slot::default(); 3];
    let error = tokenizer.encode("ab", &mut [0; 4], &mut slots).unwrap_err();
    assert_eq!(error, TokenizerError::Output { expected: 5, actual: 4 });
    let error = tokenizer.encode("abc", &mut [0; 9], &mut slots).unwrap_err();
    assert_eq!(error, TokenizerError::Scratch { expected: 4, actual: 3 });
    let error = tokenizer.decode_piece(3, false, &mut []).unwrap_err();
    assert_eq!(error, TokenizerError::Output { expected: 1, actual: 0 });
    let error = tokenizer.decode_piece(259, false, &mut [0; 9]).unwrap_err();
    assert_eq!(error.to_string(), "token 259 is outside the vocabulary of 259");
    let mut index = Vec::new();
    let arrays = basic(false);
    let tokenizer = arrays.open(SpecialTokens { unk: None, ..SPECIAL }, &mut index).unwrap();
    assert_eq!(encode(&tokenizer, "x"), Err(TokenizerError::Character { offset: 0 }));
}

#[test]
fn hostile_vocabularies_have_their_own_errors() {
    type Change = fn(&mut Arrays);
    let table: [(Change, TokenizerError); 14] = [
        (|a| *a = Arrays::default(), TokenizerError::EmptyVocabulary),
        (|a| a.count = usize::MAX / 2 + 1, TokenizerError::TooManyTokens { count: 1 << 63 }),
        (|a| a.scores.truncate(11), TokenizerError::ScoresLength { expected: 12, actual: 11 }),
        (|a| a.types.push(0), TokenizerError::TypesLength { expected: 12, actual: 13 }),
        (|a| a.strings.truncate(a.strings.len() - 1), TokenizerError::TruncatedPiece { token: 2 }),
        (|a| a.strings.truncate(7), TokenizerError::TruncatedPiece { token: 0 }),
        (|a| a.strings.push(0), TokenizerError::TrailingBytes { count: 1 }),
        (|a| a.strings[..8].fill(0xff), TokenizerError::TruncatedPiece { token: 0 }),
        (|a| a.add("x", f32::NAN, 1), TokenizerError::Score { token: 3 }),
        (|a| a.add("x", f32::INFINITY, 1), TokenizerError::Score { token: 3 }),
        (|a| a.add("x", 0.0, 7), TokenizerError::Type { token: 3, value: 7 }),
        (|a| a.add("x", 0.0, -1), TokenizerError::Type { token: 3, value: -1 }),
        (|a| a.add("<0x-1>", 0.0, 6), TokenizerError::BytePiece { token: 3 }),
        (|a| a.add("<0x4g>", 0.0, 6), TokenizerError::BytePiece { token: 3 }),
    ];
    for (change, expected) in table {
        let mut arrays = basic(false);
        change(&mut arrays);
        let mut index = vec![0; 64];
        let types = Some(&arrays.types[..]);
        let result = Tokenizer::new(
            &arrays.strings,
            arrays.count,
            &arrays.scores,
            types,
            SPECIAL,
            &mut index,
        );
        let error = result.map(|_| ()).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().is_empty());
    }
    let arrays = basic(false);
    let open = |special| arrays.open(special, &mut Vec::new()).map(|_| ());
    let far = SpecialTokens { eos: Some(3), ..SPECIAL };
    assert_eq!(open(far), Err(TokenizerError::Token { token: 3, count: 3 }));
    let none = SpecialTokens { bos: None, add_bos: true, ..SPECIAL };
    assert_eq!(open(none), Err(TokenizerError::MissingBos));
    let types = Some(&arrays.types[..]);
    let mut index = [0; 5];
    let short = Tokenizer::new(&arrays.strings, 3, &arrays.scores, types, SPECIAL, &mut index);
    assert_eq!(short.unwrap_err(), TokenizerError::IndexLength { expected: 6, actual: 5 });
}

/// Merging as it is defined, by looking at every pair before every merge.
fn merge_all(pieces: &HashMap<String, (u32, f32)>, text: &str) -> Vec<String> {
    let mut symbols: Vec<String> = text.chars().map(String::from).collect();
    loop {
        let mut best: Option<(f32, usize)> = None;
        for i in 1..symbols.len() {
            if let Some(&(_, score)) = pieces.get(&(symbols[i - 1].clone() + &symbols[i]))
                && best.is_none_or(|(s, _)| score > s)
            {
                best = Some((score, i));
            }
        }
        let Some((_, i)) = best else { return symbols };
        let right = symbols.remove(i);
        symbols[i - 1] += &right;
    }
}

proptest! {
    #[test]
    fn any_text_comes_back(text in any::<String>(), prefix in any::<bool>()) {
        let mut arrays = basic(true);
        for piece in ["▁", "a", "▁a", "e\u{301}", "▁▁"] {
            arrays.add(piece, -1.0, 1);
        }
        let mut index = Vec::new();
        let special = SpecialTokens { add_space_prefix: prefix, ..SPECIAL };
        let tokenizer = arrays.open(special, &mut index).unwrap();
        let tokens = encode(&tokenizer, &text).unwrap();
        let expected = text.replace('▁', " ");
        prop_assert_eq!(decode(&tokenizer, &tokens), expected.as_bytes());
    }

    #[test]
    fn merging_is_as_defined(
        pieces in prop::collection::vec(("[ab ]{1,5}", -3i8..3), 0..40),
        text in "[ab ]{0,40}",
    ) {
        let mut arrays = basic(false);
        let mut known = HashMap::new();
        for (piece, score) in [("a", 0), ("b", 0), (" ", 0)]
            .map(|(p, s)| (String::from(p), s))
            .into_iter()
            .chain(pieces)
        {
            let score = f32::from(score);
            known.entry(piece.clone()).or_insert((arrays.count as u32, score));
            arrays.add(piece.replace(' ', "▁"), score, 1);
        }
        let mut index = Vec::new();
        let tokenizer = arrays.open(SPECIAL, &mut index).unwrap();
        let prefixed = if text.is_empty() { String::new() } else { format!(" {text}") };
        let expected: Vec<u32> =
            merge_all(&known, &prefixed).iter().map(|piece| known[piece].0).collect();
        prop_assert_eq!(encode(&tokenizer, &text).unwrap(), expected);
    }

    #[test]
    fn any_arrays_open_or_fail(
        strings in prop::collection::vec(prop_oneof![Just(0u8), 0u8..9, any::<u8>()], 0..80),
        count in 0usize..9,
        scores in prop::collection::vec(0u8..3, 0..36),
    ) {
        let mut index = [0; 32];
        let special = SpecialTokens { bos: None, eos: None, unk: None, ..SPECIAL };
        if let Ok(tokenizer) = Tokenizer::new(&strings, count, &scores, None, special, &mut index) {
            let _ = encode(&tokenizer, "some text");
        }
    }
}
