//! BERT and its kin: encoders with learnt positions.

use super::super::ConvertError;
use super::super::source::Source;
use super::config::Config;
use super::tensors::Tensors;
use super::{FolderError, word_piece};
use serde_json::json;
use std::path::Path;
use trilane_core::gguf::Value;

/// Parts of a layer: the name in the folder, in GGUF, and rows and columns in hidden sizes (0 for
/// the width of the model, 1 for the feed-forward block's).
const DENSE: [(&str, &str, [usize; 2]); 6] = [
    ("attention.self.query", "attn_q", [0, 0]),
    ("attention.self.key", "attn_k", [0, 0]),
    ("attention.self.value", "attn_v", [0, 0]),
    ("attention.output.dense", "attn_output", [0, 0]),
    ("intermediate.dense", "ffn_up", [1, 0]),
    ("output.dense", "ffn_down", [0, 1]),
];
const NORMS: [(&str, &str); 2] =
    [("attention.output.LayerNorm", "attn_output_norm"), ("output.LayerNorm", "layer_output_norm")];

/// The model of a folder.
pub(super) fn source<'a>(
    path: &Path,
    config: &Config,
    tensors: &Tensors<'a>,
) -> Result<Source<'a>, ConvertError> {
    let mut source = Source::new()?;
    let pooling = pooling(path).map_err(ConvertError::Folder)?;
    let layers = metadata(config, pooling, &mut source)?;
    let vocabulary = config.count("vocab_size").map_err(ConvertError::Folder)?;
    let words = word_piece::Words::read(path, vocabulary).map_err(ConvertError::Folder)?;
    words.add(&mut source.writer)?;
    weights(config, tensors, layers, &mut source).map_err(ConvertError::Folder)?;
    Ok(source)
}

/// How the vectors of tokens become one, as GGUF numbers it: the mean unless the folder says that
/// it is the first token's.
fn pooling(path: &Path) -> Result<u32, FolderError> {
    let path = path.join("1_Pooling").join("config.json");
    if !path.is_file() {
        return Ok(1);
    }
    let config = Config::read(&path)?;
    let first = config.switch_or("pooling_mode_cls_token", false)?;
    let mean = config.switch_or("pooling_mode_mean_tokens", false)?;
    match (mean, first) {
        (true, false) => Ok(1),
        (false, true) => Ok(2),
        _ => Err(config.wrong("pooling_mode_mean_tokens", "the mean or the first token alone")),
    }
}

/// Adds the numbers of the model; returns the number of layers.
fn metadata(config: &Config, pooling: u32, source: &mut Source<'_>) -> Result<usize, ConvertError> {
    let checked = || {
        config.only("hidden_act", &json!("gelu"), "\"gelu\"")?;
        config.only("position_embedding_type", &json!("absolute"), "\"absolute\"")?;
        config.only("is_decoder", &json!(false), "false")?;
        Ok([
            ("bert.block_count", config.count("num_hidden_layers")?),
            ("bert.context_length", config.count("max_position_embeddings")?),
            ("bert.embedding_length", config.count("hidden_size")?),
            ("bert.feed_forward_length", config.count("intermediate_size")?),
            ("bert.attention.head_count", config.count("num_attention_heads")?),
            ("bert.pooling_type", pooling),
            ("tokenizer.ggml.token_type_count", config.count("type_vocab_size")?),
        ])
    };
    let numbers = checked().map_err(ConvertError::Folder)?;
    let eps = config.number("layer_norm_eps").map_err(ConvertError::Folder)?;
    source.writer.add("general.architecture", Value::Str("bert"))?;
    for (key, value) in numbers {
        source.writer.add(key, Value::U32(value))?;
    }
    source.writer.add("bert.attention.layer_norm_epsilon", Value::F32(eps))?;
    source.writer.add("bert.attention.causal", Value::Bool(false))?;
    Ok(numbers[0].1 as usize)
}

/// Adds every tensor under its name in GGUF. The pooling layer of the original task is left out.
fn weights<'a>(
    config: &Config,
    tensors: &Tensors<'a>,
    layers: usize,
    source: &mut Source<'a>,
) -> Result<(), FolderError> {
    let size = |key| config.count(key).map(|n| n as usize);
    let sizes = [size("hidden_size")?, size("intermediate_size")?];
    let dim = sizes[0];
    // Models with a head for a task have one part more in every name.
    let prefix = if tensors.has("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
    // Old names of a norm's parts.
    let old = tensors.has(&format!("{prefix}embeddings.LayerNorm.gamma"));
    let parts = if old { ["gamma", "beta"] } else { ["weight", "bias"] };
    let mut take = |from: String, dims: &[usize], to: String| {
        source.tensors.push(tensors.take(&format!("{prefix}{from}"), dims, to)?);
        Ok::<(), FolderError>(())
    };
    for (from, key, to) in [
        ("word_embeddings", "vocab_size", "token_embd"),
        ("token_type_embeddings", "type_vocab_size", "token_types"),
        ("position_embeddings", "max_position_embeddings", "position_embd"),
    ] {
        let dims = [size(key)?, dim];
        take(format!("embeddings.{from}.weight"), &dims, format!("{to}.weight"))?;
    }
    for (part, suffix) in parts.into_iter().zip(["weight", "bias"]) {
        let to = format!("token_embd_norm.{suffix}");
        take(format!("embeddings.LayerNorm.{part}"), &[dim], to)?;
    }
    for layer in 0..layers {
        for (from, to, shape) in DENSE {
            let from = format!("encoder.layer.{layer}.{from}");
            let to = format!("blk.{layer}.{to}");
            let dims = shape.map(|i| sizes[i]);
            take(format!("{from}.weight"), &dims, format!("{to}.weight"))?;
            take(format!("{from}.bias"), &dims[..1], format!("{to}.bias"))?;
        }
        for (from, to) in NORMS {
            for (part, suffix) in parts.into_iter().zip(["weight", "bias"]) {
                let from = format!("encoder.layer.{layer}.{from}.{part}");
                take(from, &[dim], format!("blk.{layer}.{to}.{suffix}"))?;
            }
        }
    }
    Ok(())
}
