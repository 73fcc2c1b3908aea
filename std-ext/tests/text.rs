//! The vocabulary of a file, and the memory of a decoder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use trilane_core::gguf::{Gguf, Value};
use trilane_core::model::tokenizer::TokenizerError;
use trilane_core::model::{Architecture, Header, ModelError};
use trilane_core::nn::{Activation, Attention};
use trilane_std::gguf_writer::GgufWriter;
use trilane_std::memory;
use trilane_std::text::{Text, TextError, index, keys};

const PIECES: [&str; 8] = ["<unk>", "<s>", "</s>", "<0xC3>", "<0xA4>", "▁", "a", "▁a"];
const TYPES: [i32; 8] = [2, 3, 3, 6, 6, 1, 1, 1];

/// A file with the vocabulary above, written by `change` in place of the keys it names.
fn file(skip: &[&str], change: impl Fn(&mut GgufWriter)) -> Vec<u8> {
    let mut writer = GgufWriter::new(32).unwrap();
    let keep = |key: &str| !skip.contains(&key);
    if keep(keys::MODEL) {
        writer.add(keys::MODEL, Value::Str("llama")).unwrap();
    }
    if keep(keys::TOKENS) {
        writer.add_array(keys::TOKENS, &PIECES).unwrap();
    }
    if keep(keys::SCORES) {
        writer.add_array(keys::SCORES, &[0.0f32; 8]).unwrap();
    }
    if keep(keys::TYPES) {
        writer.add_array(keys::TYPES, &TYPES).unwrap();
    }
    change(&mut writer);
    writer.begin(Vec::new()).unwrap().finish().unwrap()
}

fn error(bytes: &[u8]) -> TextError {
    let gguf = Gguf::parse(bytes).unwrap();
    Text::new(&gguf, &mut index(&gguf)).unwrap_err()
}

#[test]
fn a_text_comes_back_as_it_went_in() {
    let bytes = file(&[], |_| {});
    let gguf = Gguf::parse(&bytes).unwrap();
    let mut index = index(&gguf);
    let text = Text::new(&gguf, &mut index).unwrap();
    let tokens = text.encode("a aä").unwrap();
    assert_eq!(tokens, [1, 7, 7, 3, 4]);
    let mut stream = text.stream(true).unwrap();
    let pieces: Vec<String> = tokens.iter().map(|&t| stream.push(t).unwrap().into()).collect();
    assert_eq!(pieces, ["", "a", " a", "", "ä"]);
    assert_eq!(stream.finish(), "");
    let mut cut = text.stream(false).unwrap();
    assert_eq!(cut.push(7).unwrap(), " a");
    assert_eq!(cut.push(3).unwrap(), "");
    assert_eq!(cut.finish(), "\u{fffd}");
    assert_eq!([0, 1, 2, 3].map(|token| text.ends(token)), [false, true, true, false]);
    let outside = TextError::Tokenizer(TokenizerError::Token { token: 8, count: 8 });
    assert_eq!(text.stream(true).unwrap().push(8), Err(outside));
}

#[test]
fn every_space_may_take_three_tokens() {
    // Without a piece for the space, each one becomes the three bytes of its stand-in.
    let pieces = ["<s>", "<0xE2>", "<0x96>", "<0x81>"];
    let bytes = file(&[keys::TOKENS, keys::SCORES, keys::TYPES], |writer| {
        writer.add_array(keys::TOKENS, &pieces).unwrap();
        writer.add_array(keys::SCORES, &[0.0f32; 4]).unwrap();
        writer.add_array(keys::TYPES, &[3, 6, 6, 6]).unwrap();
        writer.add(keys::BOS, Value::U32(0)).unwrap();
    });
    let gguf = Gguf::parse(&bytes).unwrap();
    let mut index = index(&gguf);
    let text = Text::new(&gguf, &mut index).unwrap();
    assert_eq!(text.encode("  ").unwrap(), [0, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
}

#[test]
fn what_is_wrong_with_a_vocabulary_is_named() {
    for key in [keys::MODEL, keys::TOKENS, keys::SCORES] {
        assert_eq!(error(&file(&[key], |_| {})), TextError::MissingKey { key });
    }
    let other = file(&[keys::MODEL], |w| w.add(keys::MODEL, Value::Str("gpt2")).unwrap());
    let message = "metadata key tokenizer.ggml.model: expected \"llama\", found \"gpt2\"";
    assert_eq!(error(&other).to_string(), message);
    let other = file(&[keys::MODEL], |w| w.add(keys::MODEL, Value::U32(7)).unwrap());
    assert_eq!(error(&other), value(keys::MODEL, "\"llama\"", "u32"));
}

fn value(key: &'static str, expected: &'static str, found: &str) -> TextError {
    TextError::Value { key, expected, found: found.into() }
}

#[test]
fn arrays_of_another_type() {
    for key in [keys::TOKENS, keys::SCORES, keys::TYPES] {
        let single = file(&[key], |w| w.add(key, Value::Bool(true)).unwrap());
        assert_eq!(error(&single), value(key, "an array", "bool"));
    }
    let key = keys::SCORES;
    let expected = "an array of f32";
    let other = file(&[key], |w| w.add_array(key, &[1u8; 8]).unwrap());
    assert_eq!(error(&other), value(key, expected, "an array of u8"));
    let other = file(&[key], |w| w.add_array(key, &[1.0f64; 8]).unwrap());
    assert_eq!(error(&other), value(key, expected, "an array of f64"));
    let other = file(&[key], |w| w.add_array(key, &[1u32; 8]).unwrap());
    assert_eq!(error(&other), value(key, expected, "an array of u32"));
    let other = file(&[key], |w| w.add_array(key, &PIECES).unwrap());
    assert_eq!(error(&other), value(key, expected, "an array of string"));
    let key = keys::TOKENS;
    let other = file(&[key], |w| w.add_array(key, &[1u32; 8]).unwrap());
    assert_eq!(error(&other), value(key, "an array of strings", "an array of u32"));
    let key = keys::TYPES;
    let other = file(&[key], |w| w.add_array(key, &[1u32; 8]).unwrap());
    assert_eq!(error(&other), value(key, "an array of i32", "an array of u32"));
}

#[test]
fn arrays_whose_lengths_disagree() {
    for len in [0, 7, 9] {
        let other = file(&[keys::SCORES], |w| {
            w.add_array(keys::SCORES, &vec![0.0f32; len]).unwrap();
        });
        let wrong = TokenizerError::ScoresLength { expected: 32, actual: 4 * len };
        assert_eq!(error(&other), TextError::Tokenizer(wrong));
        let other = file(&[keys::TYPES], |w| w.add_array(keys::TYPES, &vec![1; len]).unwrap());
        let wrong = TokenizerError::TypesLength { expected: 32, actual: 4 * len };
        assert_eq!(error(&other), TextError::Tokenizer(wrong));
    }
    let none = file(&[keys::TOKENS, keys::SCORES, keys::TYPES], |w| {
        w.add_array(keys::TOKENS, &[""; 0]).unwrap();
        w.add_array(keys::SCORES, &[0.0f32; 0]).unwrap();
    });
    assert_eq!(error(&none), TextError::Tokenizer(TokenizerError::EmptyVocabulary));
}

#[test]
fn special_tokens_that_are_none() {
    for key in [keys::BOS, keys::EOS, keys::UNK] {
        for token in [8, 9, u32::MAX] {
            let far = file(&[], |w| w.add(key, Value::U32(token)).unwrap());
            let outside = TokenizerError::Token { token, count: 8 };
            assert_eq!(error(&far), TextError::Tokenizer(outside), "{key}");
        }
        for (other, found) in [
            (Value::I32(-1), "i32"),
            (Value::U64(1 << 32), "u64"),
            (Value::F32(1.0), "f32"),
            (Value::Str("<s>"), "string"),
        ] {
            let other = file(&[], |w| w.add(key, other).unwrap());
            assert_eq!(error(&other), value(key, "a token", found));
        }
    }
    for key in [keys::ADD_BOS, keys::ADD_SPACE_PREFIX] {
        let other = file(&[], |w| w.add(key, Value::U8(1)).unwrap());
        assert_eq!(error(&other), value(key, "a boolean", "u8"));
    }
    // A begin token is wanted, and the usual one is not there.
    let none = file(&[keys::TOKENS, keys::SCORES, keys::TYPES], |w| {
        w.add_array(keys::TOKENS, &["a"]).unwrap();
        w.add_array(keys::SCORES, &[0.0f32]).unwrap();
    });
    assert_eq!(error(&none), TextError::Tokenizer(TokenizerError::MissingBos));
}

#[test]
fn scores_types_and_byte_pieces_that_mean_nothing() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut scores = [0.0; 8];
        scores[6] = bad;
        let other = file(&[keys::SCORES], |w| w.add_array(keys::SCORES, &scores).unwrap());
        assert_eq!(error(&other), TextError::Tokenizer(TokenizerError::Score { token: 6 }));
    }
    for bad in [-1, 7, i32::MIN, i32::MAX] {
        let mut types = TYPES;
        types[5] = bad;
        let other = file(&[keys::TYPES], |w| w.add_array(keys::TYPES, &types).unwrap());
        let wrong = TokenizerError::Type { token: 5, value: bad };
        assert_eq!(error(&other), TextError::Tokenizer(wrong));
    }
    for bad in ["<0x-1>", "<0x+1>", "<0x 1>", "<0xC>", "<0xC3", "<0x0C3>", "<0xc3>", "<0XC3>", ""] {
        let mut pieces = PIECES;
        pieces[3] = bad;
        let other = file(&[keys::TOKENS], |w| w.add_array(keys::TOKENS, &pieces).unwrap());
        let wrong = TokenizerError::BytePiece { token: 3 };
        assert_eq!(error(&other), TextError::Tokenizer(wrong), "{bad:?}");
    }
}

#[test]
fn the_arena_is_as_long_as_asked_or_refused() {
    let header = Header {
        architecture: Architecture::Llama,
        vocabulary: 8,
        dim: 64,
        hidden: 96,
        activation: Activation::Silu,
        layers: 2,
        attention: Attention { heads: 4, kv_heads: 2, head_dim: 16 },
        rope_dim: 16,
        rope_base: 10_000.0,
        norm_eps: 1e-5,
        context: 128,
        sparse_rank: None,
    };
    for capacity in [1, 128] {
        let arena = memory::arena(&header, capacity).unwrap();
        assert_eq!(Some(arena.len()), header.arena_lines(capacity));
    }
    for capacity in [usize::MAX, usize::MAX >> 12] {
        let error = memory::arena(&header, capacity).unwrap_err();
        assert!(matches!(error, ModelError::Memory { actual: 0, .. }), "{error}");
    }
    // The largest numbers that a header may have, in all places at once.
    let most = 1 << 24;
    let hostile = Header {
        vocabulary: most,
        dim: most,
        hidden: most,
        layers: most,
        attention: Attention { heads: most, kv_heads: most, head_dim: 1 },
        context: most,
        ..header
    };
    for capacity in [1, most] {
        let error = memory::arena(&hostile, capacity).unwrap_err();
        let expected = hostile.arena_lines(capacity).unwrap_or(usize::MAX);
        let what = "the arena (lines of 64 bytes)";
        assert_eq!(error, ModelError::Memory { what, expected, actual: 0 });
    }
    let empty = file(&[], |_| {});
    let gguf = Gguf::parse(&empty).unwrap();
    assert_eq!(memory::layers(&gguf, &Header { layers: 1 << 24, ..header }).len(), 0);
}
