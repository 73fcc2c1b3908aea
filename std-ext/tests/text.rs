//! The vocabulary of a file, and the memory of a decoder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use trilane_core::gguf::{Gguf, Value};
use trilane_core::model::tokenizer::TokenizerError;
use trilane_core::model::{Header, ModelError};
use trilane_core::nn::Attention;
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
    let mut stream = text.stream(true);
    let pieces: Vec<String> = tokens.iter().map(|&t| stream.push(t).unwrap().into()).collect();
    assert_eq!(pieces, ["", "a", " a", "", "ä"]);
    assert_eq!(stream.finish(), "");
    let mut cut = text.stream(false);
    assert_eq!(cut.push(7).unwrap(), " a");
    assert_eq!(cut.push(3).unwrap(), "");
    assert_eq!(cut.finish(), "\u{fffd}");
    assert_eq!([0, 1, 2, 3].map(|token| text.ends(token)), [false, true, true, false]);
    let outside = TextError::Tokenizer(TokenizerError::Token { token: 8, count: 8 });
    assert_eq!(text.stream(true).push(8), Err(outside));
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
    let other = file(&[keys::SCORES], |w| w.add_array(keys::SCORES, &[1u8]).unwrap());
    assert!(error(&other).to_string().contains("expected an array of f32, found an array of"));
    let other = file(&[keys::TYPES], |w| w.add(keys::TYPES, Value::Bool(true)).unwrap());
    assert!(error(&other).to_string().contains("expected an array, found"));
    let other = file(&[], |w| w.add(keys::EOS, Value::I32(-1)).unwrap());
    assert!(error(&other).to_string().contains("eos_token_id: expected a token"));
    let other = file(&[], |w| w.add(keys::ADD_BOS, Value::U8(1)).unwrap());
    assert!(error(&other).to_string().contains("add_bos_token: expected a boolean"));
    let far = file(&[], |w| w.add(keys::EOS, Value::U32(8)).unwrap());
    let outside = TokenizerError::Token { token: 8, count: 8 };
    assert_eq!(error(&far), TextError::Tokenizer(outside));
}

#[test]
fn the_arena_is_as_long_as_asked_or_refused() {
    let header = Header {
        vocabulary: 8,
        dim: 64,
        hidden: 96,
        layers: 2,
        attention: Attention { heads: 4, kv_heads: 2, head_dim: 16 },
        rope_dim: 16,
        rope_base: 10_000.0,
        norm_eps: 1e-5,
        context: 128,
    };
    for capacity in [1, 128] {
        let arena = memory::arena(&header, capacity).unwrap();
        assert_eq!(Some(arena.len()), header.arena_lines(capacity));
    }
    for capacity in [usize::MAX, usize::MAX >> 12] {
        let error = memory::arena(&header, capacity).unwrap_err();
        assert!(matches!(error, ModelError::Memory { actual: 0, .. }), "{error}");
    }
    let empty = file(&[], |_| {});
    let gguf = Gguf::parse(&empty).unwrap();
    assert_eq!(memory::layers(&gguf, &Header { layers: 1 << 24, ..header }).len(), 0);
}
