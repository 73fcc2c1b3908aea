//! The vocabulary of a BERT: `tokenizer.json`, or `vocab.txt` with `tokenizer_config.json`.

use super::FolderError;
use super::config::Config;
use crate::gguf_writer::{GgufWriter, WriteError};
use serde_json::json;
use std::fs;
use std::path::Path;
use trilane_core::gguf::Value;
use trilane_core::model::tokenizer::keys as tokenizer;
use trilane_core::model::wordpiece::{LONGEST_WORD, keys};

/// Kinds of token, as GGUF numbers them.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// What begins every piece but the first of a word.
const CONTINUES: &str = "##";

/// Pieces by token, and whether they are without case.
pub(super) struct Words {
    pieces: Vec<String>,
    lowercase: bool,
}

impl Words {
    /// Reads the vocabulary, which has to have `count` tokens or fewer.
    pub(super) fn read(path: &Path, count: u32) -> Result<Self, FolderError> {
        let json = path.join("tokenizer.json");
        let (file, mut words) = if json.is_file() {
            let words = Self::from_json(&Config::read(&json)?, count)?;
            (json, words)
        } else {
            let text = path.join("vocab.txt");
            let words = Self::from_text(path, &text)?;
            (text, words)
        };
        let what = if words.pieces.len() > count as usize {
            Some(format!("{} tokens, but vocab_size is {count}", words.pieces.len()))
        } else {
            let needed = ["[CLS]", "[SEP]", "[UNK]"].into_iter();
            let mut missing = needed.filter(|special| words.token(special).is_none());
            missing.next().map(|special| format!("token {special} is missing"))
        };
        if let Some(what) = what {
            return Err(FolderError::Format { path: file, what });
        }
        // Rows of the embedding table without a piece.
        for token in words.pieces.len()..count as usize {
            words.pieces.push(format!("[PAD{token}]"));
        }
        Ok(words)
    }

    fn from_json(config: &Config, count: u32) -> Result<Self, FolderError> {
        config.only("model.type", &json!("WordPiece"), "\"WordPiece\"")?;
        config.only("model.continuing_subword_prefix", &json!(CONTINUES), "\"##\"")?;
        config.only("model.max_input_chars_per_word", &json!(LONGEST_WORD), "100")?;
        config.only("normalizer.type", &json!("BertNormalizer"), "\"BertNormalizer\"")?;
        config.only("normalizer.clean_text", &json!(true), "true")?;
        config.only("normalizer.handle_chinese_chars", &json!(true), "true")?;
        let key = "pre_tokenizer.type";
        config.only(key, &json!("BertPreTokenizer"), "\"BertPreTokenizer\"")?;
        let lowercase = config.switch_or("normalizer.lowercase", true)?;
        let key = "normalizer.strip_accents";
        config.only(key, &json!(lowercase), "the same as lowercase, or nothing")?;
        let key = "model.vocab";
        let vocab = config.object(key)?;
        let wrong = || config.wrong(key, "tokens from 0 on, each once");
        let mut pieces = vec![None; vocab.len()];
        for (piece, token) in vocab {
            let token = token.as_u64().filter(|&token| token < u64::from(count));
            let to = token.and_then(|token| pieces.get_mut(token as usize)).ok_or_else(wrong)?;
            *to = Some(piece.clone());
        }
        let pieces = pieces.into_iter().collect::<Option<_>>().ok_or_else(wrong)?;
        Ok(Self { pieces, lowercase })
    }

    fn from_text(folder: &Path, path: &Path) -> Result<Self, FolderError> {
        let read = fs::read_to_string(path);
        let text = read.map_err(|error| FolderError::Io { path: path.into(), error })?;
        let settings = folder.join("tokenizer_config.json");
        let lowercase = if settings.is_file() {
            let settings = Config::read(&settings)?;
            let lowercase = settings.switch_or("do_lower_case", true)?;
            let same = "the same as do_lower_case, or nothing";
            settings.only("strip_accents", &json!(lowercase), same)?;
            settings.only("tokenize_chinese_chars", &json!(true), "true")?;
            lowercase
        } else {
            true
        };
        Ok(Self { pieces: text.lines().map(|line| line.trim_end().into()).collect(), lowercase })
    }

    fn token(&self, piece: &str) -> Option<u32> {
        self.pieces.iter().position(|p| p == piece).map(|token| token as u32)
    }

    /// Adds the vocabulary as GGUF has it: `▁` begins the first piece of a word, the others are
    /// bare.
    pub(super) fn add(&self, writer: &mut GgufWriter) -> Result<(), WriteError> {
        let is_special = |piece: &str| piece.starts_with('[') && piece.ends_with(']');
        let stored = |piece: &String| match piece.strip_prefix(CONTINUES) {
            Some(rest) if !rest.is_empty() => rest.to_owned(),
            _ if is_special(piece) => piece.clone(),
            _ => format!("\u{2581}{piece}"),
        };
        let kind = |piece: &String| match piece.as_str() {
            "[UNK]" => UNKNOWN,
            "[CLS]" | "[SEP]" | "[PAD]" | "[MASK]" => CONTROL,
            piece if is_special(piece) && piece.len() > 2 => UNUSED,
            _ => NORMAL,
        };
        let pieces: Vec<String> = self.pieces.iter().map(stored).collect();
        let kinds: Vec<i32> = self.pieces.iter().map(kind).collect();
        writer.add(tokenizer::MODEL, Value::Str("bert"))?;
        writer.add_array(tokenizer::TOKENS, &pieces)?;
        writer.add_array(tokenizer::TYPES, &kinds)?;
        for (key, piece) in [
            (keys::CLS, "[CLS]"),
            (keys::SEP, "[SEP]"),
            (tokenizer::UNK, "[UNK]"),
            ("tokenizer.ggml.padding_token_id", "[PAD]"),
            ("tokenizer.ggml.mask_token_id", "[MASK]"),
        ] {
            if let Some(token) = self.token(piece) {
                writer.add(key, Value::U32(token))?;
            }
        }
        writer.add(keys::LOWERCASE, Value::Bool(self.lowercase))
    }
}
