//! The model as a file: what training starts from, and what it writes.

use super::TrainError;
use super::corpus::{Corpus, split};
use super::decoder::{Config, Param};
use super::ops::Activation;
use super::vocabulary::{BOS, Vocabulary};
use super::{ModelConfig, decoder};
use crate::gguf_writer::{GgufWriter, WriteError, write_atomically};
use crate::mapped::MappedFile;
use crate::{memory, text};
use std::path::{Path, PathBuf};
use trilane_core::gguf::{Gguf, TensorType, Value};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Architecture, Header, Weights};
use trilane_core::nn;

/// What a model is beside its weights: where its vocabulary and metadata come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// Learned from the text.
    Learned(Vocabulary),
    /// Those of a file.
    File(PathBuf),
}

/// A model before its first step.
pub(super) struct Start {
    pub(super) origin: Origin,
    pub(super) decoder: Config,
    pub(super) params: Vec<Param>,
    pub(super) values: Vec<Vec<f32>>,
    pub(super) corpus: Corpus,
}

/// The key of the function of the gate.
const ACTIVATION: &str = "trilane.feed_forward.activation";

/// Metadata of a file that its floats have no use for, by the beginning of its keys: those of digit
/// planes and sparse blocks, and what is written anew.
const REPLACED: [&str; 5] =
    ["general.alignment", "trilane.version", "trilane.tensor.", "trilane.sparse.", ACTIVATION];

/// A new model, with a vocabulary learned from the part of the text that is trained on.
pub(super) fn new(
    model: &ModelConfig,
    text: &str,
    share: f64,
    initial: impl Fn(&[Param]) -> Vec<Vec<f32>>,
) -> Result<Start, TrainError> {
    let (training, validation) = split(text, share);
    let vocabulary = Vocabulary::train(training, model.vocab_size);
    if vocabulary.len() < model.vocab_size {
        let expected = format!("a vocabulary of {} pieces", model.vocab_size);
        let found = format!("a text that gives {}", vocabulary.len());
        return Err(TrainError::Data { expected, found });
    }
    let decoder = Config {
        vocab: vocabulary.len(),
        dim: model.hidden_size,
        hidden: model.intermediate_size,
        layers: model.num_hidden_layers,
        heads: model.num_attention_heads,
        kv_heads: model.num_key_value_heads,
        context: model.max_position_embeddings,
        norm_eps: 1e-5,
        rope_base: 10_000.0,
        activation: Activation::Silu,
    };
    let params = decoder::params(&decoder);
    let corpus = Corpus {
        begin: BOS,
        training: vocabulary.encode(training),
        validation: vocabulary.encode(validation),
    };
    let values = initial(&params);
    Ok(Start { origin: Origin::Learned(vocabulary), decoder, params, values, corpus })
}

/// The model of a file: floats, block types that expand, or nested lanes, then those of the highest.
pub(super) fn base(path: &Path, content: &str, share: f64) -> Result<Start, TrainError> {
    let refused = |what: &dyn std::fmt::Display| TrainError::File {
        path: path.into(),
        what: what.to_string(),
    };
    let file = MappedFile::open(path).map_err(|e| refused(&e))?;
    let gguf = file.gguf().map_err(|e| refused(&e))?;
    let header = Header::read(&gguf).map_err(|e| refused(&e))?;
    let decoder = sizes(&gguf, &header).map_err(|what| refused(&what))?;
    let params = decoder::params(&decoder);
    let values = weights(&gguf, &header, &params).map_err(|e| refused(&e))?;
    let mut index = text::index(&gguf);
    let vocabulary = text::Text::new(&gguf, &mut index).map_err(|e| refused(&e))?;
    let begin = vocabulary.tokenizer().special().bos;
    let begin = begin.ok_or_else(|| refused(&"the vocabulary has no begin token"))?;
    let encode = |part: &str| {
        let mut tokens = vocabulary.encode(part)?;
        if tokens.first() == Some(&begin) {
            tokens.remove(0);
        }
        Ok::<_, text::TextError>(tokens)
    };
    let (training, validation) = split(content, share);
    let corpus = Corpus {
        begin,
        training: encode(training).map_err(|e| refused(&e))?,
        validation: encode(validation).map_err(|e| refused(&e))?,
    };
    Ok(Start { origin: Origin::File(path.into()), decoder, params, values, corpus })
}

/// The sizes of a file's model, when the decoder that trains is of its kind.
fn sizes(gguf: &Gguf<'_>, header: &Header) -> Result<Config, String> {
    let nn::Attention { heads, kv_heads, head_dim } = header.attention;
    let activation = match header.activation {
        nn::Activation::Silu => Activation::Silu,
        nn::Activation::Relu2 => Activation::Relu2,
        other => return Err(format!("expected the gate silu or relu2, found {other:?}")),
    };
    if header.architecture != Architecture::Llama {
        return Err("expected the architecture llama".into());
    }
    if header.sparse_rank.is_some() {
        return Err("expected a file before trilane calibrate".into());
    }
    if gguf.tensor("output.weight").is_some() || gguf.tensor("output.weight.row_scales").is_some() {
        return Err("expected the embeddings as output matrix, found output.weight".into());
    }
    if head_dim * heads != header.dim || header.rope_dim != head_dim {
        let found = format!("{heads} of {head_dim} rotated by {}", header.rope_dim);
        return Err(format!(
            "expected heads that make up {} and rotate whole, found {found}",
            header.dim
        ));
    }
    Ok(Config {
        vocab: header.vocabulary,
        dim: header.dim,
        hidden: header.hidden,
        layers: header.layers,
        heads,
        kv_heads,
        context: header.context,
        norm_eps: header.norm_eps,
        rope_base: header.rope_base,
        activation,
    })
}

/// The weights of a file, one vector per parameter.
fn weights(gguf: &Gguf<'_>, header: &Header, params: &[Param]) -> Result<Vec<Vec<f32>>, String> {
    let mut layers = memory::layers(gguf, header);
    let weights = Weights::load(gguf, &mut layers).map_err(|e| e.to_string())?;
    let mut all = Vec::new();
    for param in params {
        let values = if let Some(cols) = param.matrix_cols() {
            let mut linears = weights.linears();
            let found = linears.find(|(name, _)| name.to_string() == param.name);
            let (_, linear) = found.ok_or_else(|| format!("tensor {} is missing", param.name))?;
            let mut values = vec![0.0; linear.rows() * cols];
            for (i, row) in values.chunks_exact_mut(cols).enumerate() {
                let read = linear.row(PrecisionLane::Bit7, i, row);
                read.map_err(|e| format!("tensor {}: {e}", param.name))?;
            }
            values
        } else {
            let tensor = gguf.tensor(&param.name);
            let tensor = tensor.ok_or_else(|| format!("tensor {} is missing", param.name))?;
            let bytes = tensor.data().as_chunks::<4>().0.iter();
            bytes.map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        if values.len() != param.len() {
            let (expected, found) = (param.len(), values.len());
            return Err(format!(
                "tensor {}: expected {expected} weights, found {found}",
                param.name
            ));
        }
        all.push(values);
    }
    Ok(all)
}

/// Writes `values` (one vector per parameter) as floats to `path`, replacing it whole.
pub(super) fn write(
    path: &Path,
    origin: &Origin,
    name: &str,
    config: &Config,
    params: &[Param],
    values: &[Vec<f32>],
) -> Result<(), TrainError> {
    let failed = |e: WriteError| match e {
        WriteError::Io(error) => TrainError::io(path, error),
        e => TrainError::file(path, e),
    };
    let mut file = GgufWriter::new(32).map_err(failed)?;
    match origin {
        Origin::Learned(vocabulary) => describe(&mut file, name, config, vocabulary),
        Origin::File(base) => {
            let refused = |e: &dyn std::fmt::Display| TrainError::File {
                path: base.clone(),
                what: e.to_string(),
            };
            let from = MappedFile::open(base).map_err(|e| refused(&e))?;
            let gguf = from.gguf().map_err(|e| refused(&e))?;
            gguf.metadata()
                .filter(|(key, _)| !REPLACED.iter().any(|replaced| key.starts_with(replaced)))
                .try_for_each(|(key, value)| file.add(key, value))
        }
    }
    .map_err(failed)?;
    file.add(ACTIVATION, Value::Str(config.activation.name())).map_err(failed)?;
    for param in params {
        // GGUF names the length of a row first.
        let dims: Vec<u64> = param.shape.iter().rev().map(|&n| n as u64).collect();
        let bytes = 4 * param.len() as u64;
        file.declare(&param.name, TensorType::F32, &dims, bytes).map_err(failed)?;
    }
    write_atomically(path, |out| {
        let mut data = file.begin(out)?;
        for (param, values) in params.iter().zip(values) {
            data.write_tensor(&param.name, bytemuck::cast_slice(values))?;
        }
        data.finish().map(|_| ())
    })
    .map_err(failed)
}

/// Metadata and vocabulary of a new model.
fn describe(
    file: &mut GgufWriter,
    name: &str,
    config: &Config,
    vocabulary: &Vocabulary,
) -> Result<(), WriteError> {
    let count = |n: usize| Value::U32(n as u32);
    for (key, value) in [
        ("general.architecture", Value::Str("llama")),
        ("general.name", Value::Str(name)),
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
        ("tokenizer.ggml.bos_token_id", Value::U32(BOS)),
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
