//! Llama and its kin: decoders with rotary positions.

use super::super::ConvertError;
use super::super::source::{Source, SourceTensor};
use super::config::Config;
use super::tensors::Tensors;
use super::{FolderError, sentence_piece};
use serde_json::json;
use std::borrow::Cow;
use std::path::Path;
use trilane_core::gguf::Value;

/// Names in the folder and in GGUF.
const NORMS: [(&str, &str); 2] =
    [("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm")];

/// Sizes of a model.
struct Sizes {
    vocabulary: u32,
    dim: u32,
    hidden: u32,
    layers: u32,
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    context: u32,
    tied: bool,
}

impl Sizes {
    fn read(config: &Config) -> Result<Self, FolderError> {
        config.only("hidden_act", &json!("silu"), "\"silu\"")?;
        config.only("attention_bias", &json!(false), "false")?;
        config.only("mlp_bias", &json!(false), "false")?;
        unscaled(config)?;
        let (dim, heads) = (config.count("hidden_size")?, config.count("num_attention_heads")?);
        if config.get("head_dim").is_none() && dim % heads != 0 {
            let expected = "a divisor of hidden_size where head_dim is missing";
            return Err(config.wrong("num_attention_heads", expected));
        }
        let head_dim = config.count_or("head_dim", dim / heads)?;
        if head_dim % 2 != 0 {
            return Err(config.wrong("head_dim", "an even count"));
        }
        let kv_heads = config.count_or("num_key_value_heads", heads)?;
        if heads % kv_heads != 0 {
            return Err(config.wrong("num_key_value_heads", "a divisor of num_attention_heads"));
        }
        Ok(Self {
            vocabulary: config.count("vocab_size")?,
            dim,
            hidden: config.count("intermediate_size")?,
            layers: config.count("num_hidden_layers")?,
            heads,
            kv_heads,
            head_dim,
            context: config.count("max_position_embeddings")?,
            tied: config.switch_or("tie_word_embeddings", false)?,
        })
    }
}

/// Checks that positions are not scaled. What says so has had three names.
fn unscaled(config: &Config) -> Result<(), FolderError> {
    let keys = ["rope_parameters.rope_type", "rope_scaling.rope_type", "rope_scaling.type"];
    for key in keys {
        config.only(key, &json!("default"), "\"default\": positions are not scaled")?;
    }
    let scaling = config.get("rope_scaling").is_some();
    if scaling && keys.iter().all(|key| config.get(key).is_none()) {
        return Err(config.wrong("rope_scaling", "nothing: positions are not scaled"));
    }
    Ok(())
}

/// The model of a folder.
pub(super) fn source<'a>(
    path: &Path,
    config: &Config,
    tensors: &Tensors<'a>,
) -> Result<Source<'a>, ConvertError> {
    let mut source = Source::new()?;
    let sizes = Sizes::read(config).map_err(ConvertError::Folder)?;
    metadata(config, &sizes, &mut source)?;
    let vocabulary = sizes.vocabulary as usize;
    let pieces = sentence_piece::Pieces::read(path, config, vocabulary);
    pieces.map_err(ConvertError::Folder)?.add(&mut source.writer)?;
    weights(&sizes, tensors, &mut source).map_err(ConvertError::Folder)?;
    Ok(source)
}

fn metadata(config: &Config, sizes: &Sizes, source: &mut Source<'_>) -> Result<(), ConvertError> {
    let eps = config.number("rms_norm_eps").map_err(ConvertError::Folder)?;
    let mut places = ["rope_parameters.rope_theta", "rope_theta"].into_iter();
    let base = match places.find(|key| config.get(key).is_some()) {
        Some(key) => config.number(key).map_err(ConvertError::Folder)?,
        None => 10_000.0,
    };
    let writer = &mut source.writer;
    writer.add("general.architecture", Value::Str("llama"))?;
    for (key, value) in [
        ("llama.vocab_size", sizes.vocabulary),
        ("llama.context_length", sizes.context),
        ("llama.embedding_length", sizes.dim),
        ("llama.block_count", sizes.layers),
        ("llama.feed_forward_length", sizes.hidden),
        ("llama.attention.head_count", sizes.heads),
        ("llama.attention.head_count_kv", sizes.kv_heads),
        ("llama.attention.key_length", sizes.head_dim),
        ("llama.attention.value_length", sizes.head_dim),
        ("llama.rope.dimension_count", sizes.head_dim),
    ] {
        writer.add(key, Value::U32(value))?;
    }
    writer.add("llama.attention.layer_norm_rms_epsilon", Value::F32(eps))?;
    writer.add("llama.rope.freq_base", Value::F32(base))?;
    Ok(())
}

/// Adds every tensor under its name in GGUF.
fn weights<'a>(
    sizes: &Sizes,
    tensors: &Tensors<'a>,
    source: &mut Source<'a>,
) -> Result<(), FolderError> {
    let [dim, hidden, vocabulary] = [sizes.dim, sizes.hidden, sizes.vocabulary].map(|n| n as usize);
    let query = sizes.heads as usize * sizes.head_dim as usize;
    let kv = sizes.kv_heads as usize * sizes.head_dim as usize;
    let mut take = |from: String, dims: &[usize], to: String, rotated: bool| {
        let (from, to) = (format!("{from}.weight"), format!("{to}.weight"));
        let mut tensor = tensors.take(&from, dims, to)?;
        if rotated {
            interleave(&mut tensor, sizes.head_dim as usize);
        }
        source.tensors.push(tensor);
        Ok::<(), FolderError>(())
    };
    take("model.embed_tokens".into(), &[vocabulary, dim], "token_embd".into(), false)?;
    for layer in 0..sizes.layers {
        let from = |part: &str| format!("model.layers.{layer}.{part}");
        let to = |part: &str| format!("blk.{layer}.{part}");
        for (part, name) in NORMS {
            take(from(part), &[dim], to(name), false)?;
        }
        for (part, name, dims, rotated) in [
            ("self_attn.q_proj", "attn_q", [query, dim], true),
            ("self_attn.k_proj", "attn_k", [kv, dim], true),
            ("self_attn.v_proj", "attn_v", [kv, dim], false),
            ("self_attn.o_proj", "attn_output", [dim, query], false),
            ("mlp.gate_proj", "ffn_gate", [hidden, dim], false),
            ("mlp.up_proj", "ffn_up", [hidden, dim], false),
            ("mlp.down_proj", "ffn_down", [dim, hidden], false),
        ] {
            take(from(part), &dims, to(name), rotated)?;
        }
    }
    take("model.norm".into(), &[dim], "output_norm".into(), false)?;
    if !sizes.tied {
        take("lm_head".into(), &[vocabulary, dim], "output".into(), false)?;
    }
    Ok(())
}

/// Reorders the rows of every head: the folder's models rotate values `i` and `d/2 + i` together,
/// GGUF's `2i` and `2i + 1`.
fn interleave(tensor: &mut SourceTensor<'_>, head_dim: usize) {
    let row = tensor.data.len() / tensor.rows().max(1);
    let half = head_dim / 2;
    let mut data = Vec::with_capacity(tensor.data.len());
    for head in tensor.data.chunks_exact(row * head_dim) {
        for i in 0..half {
            for at in [i, half + i] {
                data.extend_from_slice(&head[at * row..(at + 1) * row]);
            }
        }
    }
    tensor.data = Cow::Owned(data);
}
