//! Writes the trained model as an f32 GGUF file.

use crate::bpe::Vocabulary;
use crate::model::{Config, Param};
use std::path::Path;
use trilane_core::gguf::{TensorType, Value};
use trilane_std::gguf_writer::{GgufWriter, WriteError, write_atomically};

/// Writes `values` (one slice per parameter) to `path`, replacing it whole.
pub(crate) fn write(
    path: &Path,
    config: &Config,
    vocabulary: &Vocabulary,
    params: &[Param],
    values: &[Vec<f32>],
) -> Result<(), WriteError> {
    let mut file = GgufWriter::new(32)?;
    describe(&mut file, config, vocabulary)?;
    for param in params {
        // GGUF names the length of a row first.
        let dims: Vec<u64> = param.shape.iter().rev().map(|&n| n as u64).collect();
        file.declare(&param.name, TensorType::F32, &dims, 4 * param.len() as u64)?;
    }
    write_atomically(path, |out| {
        let mut data = file.begin(out)?;
        for (param, values) in params.iter().zip(values) {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            data.write_tensor(&param.name, &bytes)?;
        }
        data.finish().map(|_| ())
    })
}

fn describe(
    file: &mut GgufWriter,
    config: &Config,
    vocabulary: &Vocabulary,
) -> Result<(), WriteError> {
    let count = |n: usize| Value::U32(n as u32);
    for (key, value) in [
        ("general.architecture", Value::Str("llama")),
        ("general.name", Value::Str("trilane-shakespeare")),
        ("general.license", Value::Str("MIT")),
        ("llama.context_length", count(config.context)),
        ("llama.embedding_length", count(config.dim)),
        ("llama.block_count", count(config.layers)),
        ("llama.feed_forward_length", count(config.hidden)),
        ("llama.attention.head_count", count(config.heads)),
        ("llama.attention.head_count_kv", count(config.kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(config.norm_eps)),
        ("llama.rope.dimension_count", count(config.head_dim())),
        ("llama.rope.freq_base", Value::F32(config.rope_base)),
        ("llama.vocab_size", count(vocabulary.len())),
        ("tokenizer.ggml.model", Value::Str("llama")),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ("tokenizer.ggml.add_eos_token", Value::Bool(false)),
        ("tokenizer.ggml.add_space_prefix", Value::Bool(false)),
    ] {
        file.add(key, value)?;
    }
    let types: Vec<i32> = vocabulary.types.iter().map(|&kind| kind as i32).collect();
    file.add_array("tokenizer.ggml.tokens", &vocabulary.pieces)?;
    file.add_array("tokenizer.ggml.scores", &vocabulary.scores)?;
    file.add_array("tokenizer.ggml.token_type", &types)
}
