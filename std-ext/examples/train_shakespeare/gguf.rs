//! Writes the trained model as an f32 GGUF file, and reads a model to start from.

use crate::bpe::Vocabulary;
use std::error::Error;
use std::path::Path;
use trilane_core::gguf::{TensorType, Value};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Header, Weights};
use trilane_std::gguf_writer::{GgufWriter, WriteError, write_atomically};
use trilane_std::mapped::MappedFile;
use trilane_std::memory;
use trilane_std::train::decoder::{Config, Param};
use trilane_std::train::ops::Activation;

/// The weights of a model, in floats or in nested lanes (then those of the highest lane), one
/// vector per parameter.
pub(crate) fn read(path: &Path, params: &[Param]) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let file = MappedFile::open(path)?;
    let gguf = file.gguf()?;
    let mut layers = memory::layers(&gguf, &Header::read(&gguf)?);
    let weights = Weights::load(&gguf, &mut layers)?;
    let mut all = Vec::new();
    for param in params {
        let values = if let Some(cols) = param.matrix_cols() {
            let mut linears = weights.linears();
            let found = linears.find(|(name, _)| name.to_string() == param.name);
            let (_, linear) = found.ok_or_else(|| format!("no {}", param.name))?;
            let mut values = vec![0.0; linear.rows() * cols];
            for (i, row) in values.chunks_exact_mut(cols).enumerate() {
                linear.row(PrecisionLane::Bit7, i, row)?;
            }
            values
        } else {
            let tensor = gguf.tensor(&param.name).ok_or_else(|| format!("no {}", param.name))?;
            let bytes = tensor.data().as_chunks::<4>().0.iter();
            bytes.map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        if values.len() != param.len() {
            let (expected, found) = (param.len(), values.len());
            return Err(format!("{}: {found} weights, expected {expected}", param.name).into());
        }
        all.push(values);
    }
    Ok(all)
}

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
    let name = match config.activation {
        Activation::Silu => "trilane-shakespeare",
        Activation::Relu2 => "trilane-shakespeare-sparse",
    };
    for (key, value) in [
        ("general.architecture", Value::Str("llama")),
        ("general.name", Value::Str(name)),
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
        ("trilane.feed_forward.activation", Value::Str(config.activation.name())),
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::shakespeare;
    use trilane_std::train::decoder;

    #[test]
    fn a_model_is_read_or_refused_by_its_sizes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/shakespeare.gguf");
        let config = shakespeare(Activation::Silu);
        let params = decoder::params(&config);
        let values = read(path.as_ref(), &params).unwrap();
        let lens: Vec<usize> = values.iter().map(Vec::len).collect();
        assert_eq!(lens, params.iter().map(Param::len).collect::<Vec<_>>());
        assert!(values.iter().all(|v| v.iter().any(|w| *w != 0.0)));
        let other = decoder::params(&Config { vocab: 513, ..config });
        let error = read(path.as_ref(), &other).unwrap_err().to_string();
        assert_eq!(error, "token_embd.weight: 65536 weights, expected 65664");
    }
}
