//! The vocabulary of a Llama: `tokenizer.model` of SentencePiece, or the same as merges in
//! `tokenizer.json`.

mod protobuf;

use super::FolderError;
use super::config::Config;
use crate::gguf_writer::{GgufWriter, WriteError};
use protobuf::{Field, fields};
use serde_json::json;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use trilane_core::gguf::Value;
use trilane_core::model::tokenizer::keys;

/// Kinds of token, as SentencePiece and GGUF number them.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// Pieces, scores and kinds by token.
pub(super) struct Pieces {
    pieces: Vec<String>,
    scores: Vec<f32>,
    kinds: Vec<i32>,
    bos: u32,
    eos: u32,
}

impl Pieces {
    /// Reads the vocabulary, which has to have `count` tokens or fewer.
    pub(super) fn read(path: &Path, config: &Config, count: usize) -> Result<Self, FolderError> {
        let model = path.join("tokenizer.model");
        let mut all = Self { pieces: vec![], scores: vec![], kinds: vec![], bos: 1, eos: 2 };
        all.bos = special(config, "bos_token_id", all.bos)?;
        all.eos = special(config, "eos_token_id", all.eos)?;
        let file = if model.is_file() {
            let bytes = fs::read(&model);
            let bytes = bytes.map_err(|error| FolderError::Io { path: model.clone(), error })?;
            let read = all.read_model(&bytes);
            let what = "no SentencePiece model: a field does not fit".to_owned();
            read.ok_or_else(|| FolderError::Format { path: model.clone(), what })?;
            model
        } else {
            let json = path.join("tokenizer.json");
            all.read_merges(&Config::read(&json)?)?;
            json
        };
        let len = all.pieces.len();
        if len > count || len == 0 {
            let what = format!("{len} tokens, but vocab_size is {count}");
            return Err(FolderError::Format { path: file, what });
        }
        // Rows of the embedding table without a piece.
        for token in len..count {
            all.push(format!("[PAD{token}]"), 0.0, UNUSED);
        }
        Ok(all)
    }

    fn push(&mut self, piece: String, score: f32, kind: i32) {
        self.pieces.push(piece);
        self.scores.push(score);
        self.kinds.push(kind);
    }

    /// Field 1 of the model, once for each token: its piece (1), score (2) and kind (3).
    fn read_model(&mut self, bytes: &[u8]) -> Option<()> {
        for field in fields(bytes) {
            let (1, Field::Bytes(token)) = field? else { continue };
            let (mut piece, mut score, mut kind) = (String::new(), 0.0, NORMAL);
            for field in fields(token) {
                match field? {
                    (1, Field::Bytes(bytes)) => piece = String::from_utf8(bytes.into()).ok()?,
                    (2, Field::Word(bits)) => score = f32::from_bits(bits),
                    (3, Field::Number(n)) => kind = i32::try_from(n).ok()?,
                    _ => {}
                }
            }
            self.push(piece, score, kind);
        }
        Some(())
    }

    /// Pieces of `tokenizer.json`: the score of a piece is the negative rank of the merge that makes
    /// it, which merges in the same order.
    fn read_merges(&mut self, config: &Config) -> Result<(), FolderError> {
        config.only("model.type", &json!("BPE"), "\"BPE\"")?;
        if !config.switch_or("model.byte_fallback", false)? {
            let expected = "true: other vocabularies than SentencePiece's are not read";
            return Err(config.wrong("model.byte_fallback", expected));
        }
        let mut ranks = HashMap::new();
        let key = "model.merges";
        let merges = config.get(key).and_then(|merges| merges.as_array());
        let merges = merges.ok_or_else(|| config.wrong(key, "a list"))?;
        for (rank, merge) in merges.iter().enumerate() {
            let piece = match (merge.as_str(), merge.as_array().map(Vec::as_slice)) {
                (Some(text), _) => text.split_once(' ').map(|(a, b)| format!("{a}{b}")),
                (None, Some([a, b])) => a.as_str().zip(b.as_str()).map(|(a, b)| format!("{a}{b}")),
                _ => None,
            };
            let piece = piece.ok_or_else(|| config.wrong(key, "pairs of pieces"))?;
            ranks.entry(piece).or_insert(rank);
        }
        let key = "model.vocab";
        let wrong = || config.wrong(key, "tokens from 0 on, each once");
        let vocab = config.object(key)?;
        let mut pieces = vec![None; vocab.len()];
        for (piece, token) in vocab {
            let to = token.as_u64().and_then(|token| pieces.get_mut(token as usize));
            *to.ok_or_else(wrong)? = Some(piece);
        }
        for (token, piece) in pieces.into_iter().enumerate() {
            let piece = piece.ok_or_else(wrong)?;
            let is_byte = piece.len() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
            let kind = match token as u32 {
                _ if piece == "<unk>" => UNKNOWN,
                token if token == self.bos || token == self.eos => CONTROL,
                _ if is_byte => BYTE,
                _ => NORMAL,
            };
            let score = ranks.get(piece).map_or(0.0, |&rank| -(rank as f32));
            self.push(piece.clone(), score, kind);
        }
        Ok(())
    }

    /// Adds the vocabulary.
    pub(super) fn add(&self, writer: &mut GgufWriter) -> Result<(), WriteError> {
        writer.add(keys::MODEL, Value::Str("llama"))?;
        writer.add_array(keys::TOKENS, &self.pieces)?;
        writer.add_array(keys::SCORES, &self.scores)?;
        writer.add_array(keys::TYPES, &self.kinds)?;
        writer.add(keys::BOS, Value::U32(self.bos))?;
        writer.add(keys::EOS, Value::U32(self.eos))?;
        if let Some(unknown) = self.kinds.iter().position(|&kind| kind == UNKNOWN) {
            writer.add(keys::UNK, Value::U32(unknown as u32))?;
        }
        Ok(())
    }
}

/// A token of `config.json`, of several the first.
fn special(config: &Config, key: &str, default: u32) -> Result<u32, FolderError> {
    let Some(value) = config.get(key) else { return Ok(default) };
    let value = value.as_array().and_then(|all| all.first()).unwrap_or(value);
    let token = value.as_u64().and_then(|token| u32::try_from(token).ok());
    token.ok_or_else(|| config.wrong(key, "a token"))
}
