//! Writes the trained model as an f32 GGUF file (version 3, alignment 32).

use crate::bpe::Vocabulary;
use crate::model::{Config, Param};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

const ALIGNMENT: usize = 32;
const TYPE_U32: u32 = 4;
const TYPE_I32: u32 = 5;
const TYPE_F32: u32 = 6;
const TYPE_BOOL: u32 = 7;
const TYPE_STRING: u32 = 8;
const TYPE_ARRAY: u32 = 9;
const TENSOR_F32: u32 = 0;

/// The metadata section while it grows.
#[derive(Default)]
struct Metadata {
    bytes: Vec<u8>,
    count: u64,
}

impl Metadata {
    fn key(&mut self, key: &str, kind: u32) {
        put_string(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
        self.count += 1;
    }

    fn u32(&mut self, key: &str, value: usize) {
        self.key(key, TYPE_U32);
        self.bytes.extend((value as u32).to_le_bytes());
    }

    fn f32(&mut self, key: &str, value: f32) {
        self.key(key, TYPE_F32);
        self.bytes.extend(value.to_le_bytes());
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.key(key, TYPE_BOOL);
        self.bytes.push(u8::from(value));
    }

    fn string(&mut self, key: &str, value: &str) {
        self.key(key, TYPE_STRING);
        put_string(&mut self.bytes, value);
    }

    fn array(&mut self, key: &str, kind: u32, len: usize) {
        self.key(key, TYPE_ARRAY);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((len as u64).to_le_bytes());
    }
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Writes `values` (one slice per parameter) to `path`, replacing it whole.
pub(crate) fn write(
    path: &Path,
    config: &Config,
    vocabulary: &Vocabulary,
    params: &[Param],
    values: &[Vec<f32>],
) -> io::Result<()> {
    let metadata = describe(config, vocabulary);
    let mut head = Vec::new();
    head.extend(b"GGUF");
    head.extend(3_u32.to_le_bytes());
    head.extend((params.len() as u64).to_le_bytes());
    head.extend(metadata.count.to_le_bytes());
    head.extend(metadata.bytes);
    let mut offset = 0_usize;
    for param in params {
        put_string(&mut head, &param.name);
        head.extend((param.shape.len() as u32).to_le_bytes());
        for &n in param.shape.iter().rev() {
            head.extend((n as u64).to_le_bytes());
        }
        head.extend(TENSOR_F32.to_le_bytes());
        head.extend((offset as u64).to_le_bytes());
        offset += (4 * param.len()).next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
    replace_file(path, |out| {
        out.write_all(&head)?;
        for tensor in values {
            let mut bytes: Vec<u8> = tensor.iter().flat_map(|v| v.to_le_bytes()).collect();
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            out.write_all(&bytes)?;
        }
        Ok(())
    })
}

fn describe(config: &Config, vocabulary: &Vocabulary) -> Metadata {
    let mut m = Metadata::default();
    m.string("general.architecture", "llama");
    m.string("general.name", "trilane-shakespeare");
    m.string("general.license", "MIT");
    m.u32("llama.context_length", config.context);
    m.u32("llama.embedding_length", config.dim);
    m.u32("llama.block_count", config.layers);
    m.u32("llama.feed_forward_length", config.hidden);
    m.u32("llama.attention.head_count", config.heads);
    m.u32("llama.attention.head_count_kv", config.kv_heads);
    m.f32("llama.attention.layer_norm_rms_epsilon", config.norm_eps);
    m.u32("llama.rope.dimension_count", config.head_dim());
    m.f32("llama.rope.freq_base", config.rope_base);
    m.u32("llama.vocab_size", vocabulary.len());
    m.string("tokenizer.ggml.model", "llama");
    m.array("tokenizer.ggml.tokens", TYPE_STRING, vocabulary.len());
    for piece in &vocabulary.pieces {
        put_string(&mut m.bytes, piece);
    }
    m.array("tokenizer.ggml.scores", TYPE_F32, vocabulary.len());
    for score in &vocabulary.scores {
        m.bytes.extend(score.to_le_bytes());
    }
    m.array("tokenizer.ggml.token_type", TYPE_I32, vocabulary.len());
    for &kind in &vocabulary.types {
        m.bytes.extend((kind as i32).to_le_bytes());
    }
    m.u32("tokenizer.ggml.bos_token_id", 1);
    m.u32("tokenizer.ggml.eos_token_id", 2);
    m.u32("tokenizer.ggml.unknown_token_id", 0);
    m.bool("tokenizer.ggml.add_bos_token", true);
    m.bool("tokenizer.ggml.add_eos_token", false);
    m.bool("tokenizer.ggml.add_space_prefix", false);
    m
}

/// Writes a file beside `path` and renames it over `path` once it is complete.
pub(crate) fn replace_file(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut out = BufWriter::new(File::create(&partial)?);
    fill(&mut out)?;
    out.into_inner()?.sync_all()?;
    fs::rename(&partial, path)
}
