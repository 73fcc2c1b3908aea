//! A small llama with random weights, as a GGUF file.

use crate::random::Random;
use trilane::core::gguf::{TensorType, Value};
use trilane::core::model::Line;
use trilane::std::gguf_writer::GgufWriter;

pub(crate) const DIM: usize = 64;
/// Not a multiple of 64, so rows in digit planes have padding.
pub(crate) const HIDDEN: usize = 96;
pub(crate) const LAYERS: usize = 2;
pub(crate) const HEADS: usize = 4;
pub(crate) const KV_HEADS: usize = 2;
pub(crate) const HEAD_DIM: usize = 16;
pub(crate) const VOCABULARY: usize = 40;
pub(crate) const EPS: f32 = 1e-5;

/// A metadata value that owns its arrays.
pub(crate) enum Meta {
    One(Value<'static>),
    Numbers(Vec<u32>),
    #[allow(dead_code, reason = "not every program that this is a part of has such metadata")]
    Floats(Vec<f32>),
    Texts(Vec<String>),
}

/// A tensor to be written.
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) kind: TensorType,
    /// Row length first.
    pub(crate) dims: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

/// A file in parts, so that tests can spoil any of them.
pub(crate) struct File {
    pub(crate) metadata: Vec<(String, Meta)>,
    pub(crate) tensors: Vec<Stored>,
}

/// A matrix, or a vector of one row, with its name.
pub(crate) struct Matrix {
    pub(crate) name: String,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) data: Vec<f32>,
}

/// Every weight of the model: norms have one row.
pub(crate) fn weights(seed: u64) -> Vec<Matrix> {
    let mut random = Random(seed);
    let mut matrix = |name: String, rows: usize, cols: usize| {
        let norm = rows == 1;
        let factor = if norm { 0.2 } else { 1.7 / (cols as f32).sqrt() };
        let weights = random.floats(rows * cols);
        let data = weights.iter().map(|w| factor * w + if norm { 1.0 } else { 0.0 }).collect();
        Matrix { name: format!("{name}.weight"), rows, cols, data }
    };
    let (query, kv) = (HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM);
    let mut all = vec![matrix("token_embd".into(), VOCABULARY, DIM)];
    for layer in 0..LAYERS {
        for (part, rows, cols) in [
            ("attn_norm", 1, DIM),
            ("attn_q", query, DIM),
            ("attn_k", kv, DIM),
            ("attn_v", kv, DIM),
            ("attn_output", DIM, query),
            ("ffn_norm", 1, DIM),
            ("ffn_gate", HIDDEN, DIM),
            ("ffn_up", HIDDEN, DIM),
            ("ffn_down", DIM, HIDDEN),
        ] {
            all.push(matrix(format!("blk.{layer}.{part}"), rows, cols));
        }
    }
    all.push(matrix("output_norm".into(), 1, DIM));
    all.push(matrix("output".into(), VOCABULARY, DIM));
    all
}

pub(crate) fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A weight as it is, in F32.
pub(crate) fn stored_floats(matrix: &Matrix) -> Stored {
    let dims = if matrix.rows == 1 { vec![matrix.cols] } else { vec![matrix.cols, matrix.rows] };
    let data = float_bytes(&matrix.data);
    Stored { name: matrix.name.clone(), kind: TensorType::F32, dims, data }
}

/// The metadata of the model.
pub(crate) fn metadata() -> Vec<(String, Meta)> {
    let number = |n: usize| Value::U32(n as u32);
    [
        ("general.architecture", Value::Str("llama")),
        ("llama.embedding_length", number(DIM)),
        ("llama.feed_forward_length", number(HIDDEN)),
        ("llama.block_count", number(LAYERS)),
        ("llama.attention.head_count", number(HEADS)),
        ("llama.attention.head_count_kv", number(KV_HEADS)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(EPS)),
        ("llama.context_length", number(128)),
        ("llama.vocab_size", number(VOCABULARY)),
    ]
    .map(|(key, value)| (key.to_string(), Meta::One(value)))
    .into()
}

/// The model in F32.
pub(crate) fn float_file(seed: u64) -> File {
    File { metadata: metadata(), tensors: weights(seed).iter().map(stored_floats).collect() }
}

impl File {
    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut writer = GgufWriter::new(32).unwrap();
        for (key, value) in &self.metadata {
            match value {
                Meta::One(value) => writer.add(key, *value),
                Meta::Numbers(values) => writer.add_array(key, values),
                Meta::Floats(values) => writer.add_array(key, values),
                Meta::Texts(values) => writer.add_array(key, values),
            }
            .unwrap();
        }
        for Stored { name, kind, dims, data } in &self.tensors {
            let dims: Vec<u64> = dims.iter().map(|&n| n as u64).collect();
            writer.declare(name, *kind, &dims, data.len() as u64).unwrap();
        }
        let mut out = writer.begin(Vec::new()).unwrap();
        for tensor in &self.tensors {
            out.write_tensor(&tensor.name, &tensor.data).unwrap();
        }
        out.finish().unwrap()
    }

    /// The bytes at an address that is a multiple of 64, padded to whole lines.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let bytes = self.bytes();
        let mut lines = vec![Line::ZERO; bytes.len().div_ceil(64)];
        bytemuck::cast_slice_mut(&mut lines)[..bytes.len()].copy_from_slice(&bytes);
        lines
    }
}
