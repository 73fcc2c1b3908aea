//! From a Hugging Face folder to embeddings, against numpy, and everything that is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use trilane_core::digits::Group;
use trilane_core::gguf::{Gguf, Value};
use trilane_core::kernel::{Pool, Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::tokenizer::TokenizerError;
use trilane_core::model::wordpiece::WordPiece;
use trilane_core::model::{
    Digest, Encoder, EncoderHeader, EncoderWeights, ModelError, Pooling, TensorName, VERIFY_TOKENS,
    verify_encoder,
};
use trilane_std::convert::folder::{Folder, FolderError, convert_folder};
use trilane_std::convert::{ConvertError, ConvertOptions, convert as convert_file};
use trilane_std::embedding::{EmbeddingError, EmbeddingOptions, EmbeddingProvider, layers};
use trilane_std::gguf_writer::GgufWriter;
use trilane_std::mapped::MappedFile;
use trilane_std::{level, memory, text};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/tiny-bert");

/// A folder of a test's own, removed at its end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("encoder-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The tiny model's folder, copied without its reference.
    fn with_model(name: &str) -> Self {
        let folder = Self::new(name);
        for file in ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"] {
            fs::copy(Path::new(TINY).join(file), folder.0.join(file)).unwrap();
        }
        folder
    }

    /// Replaces text in a file, which has to hold it.
    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.0.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn convert(from: &Path, to: &Path, lane: PrecisionLane) -> Result<(), ConvertError> {
    let options = ConvertOptions { lane, group: Group::G32, keep: vec![] };
    let folder = Folder::open(from).map_err(ConvertError::Folder)?;
    convert_folder(&folder, to, &options, &mut |_| {}).map(|_| ())
}

fn converted(folder: &Temporary, lane: PrecisionLane) -> PathBuf {
    let path = folder.0.join(format!("{lane}.gguf"));
    convert(Path::new(TINY), &path, lane).unwrap();
    path
}

/// Text, tokens and embedding of each reference.
fn reference() -> Vec<(String, Vec<u32>, Vec<f64>)> {
    let text = fs::read_to_string(Path::new(TINY).join("reference.json")).unwrap();
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    all.iter()
        .map(|entry| {
            let tokens = entry["tokens"].as_array().unwrap().iter();
            let values = entry["embedding"].as_array().unwrap().iter();
            (
                entry["text"].as_str().unwrap().into(),
                tokens.map(|t| t.as_u64().unwrap() as u32).collect(),
                values.map(|v| v.as_f64().unwrap()).collect(),
            )
        })
        .collect()
}

fn open(path: &Path, lane: Option<PrecisionLane>) -> EmbeddingProvider {
    EmbeddingProvider::open(path, &EmbeddingOptions { lane, level: None }).unwrap()
}

#[test]
fn tokens_are_those_of_hugging_face() {
    let folder = Temporary::new("tokens");
    let file = MappedFile::open(&converted(&folder, PrecisionLane::Float32)).unwrap();
    let gguf = file.gguf().unwrap();
    let mut index = text::index(&gguf);
    let words = WordPiece::read(&gguf, &mut index).unwrap();
    for (text, expected, _) in reference() {
        let mut tokens = [0; 20];
        let encoded = words.encode(&text, &mut tokens).unwrap();
        assert_eq!(tokens[..encoded.len], expected, "{text:?}");
        let mut all = [0; 200];
        assert_eq!(words.encode(&text, &mut all).unwrap().total, encoded.total, "{text:?}");
    }
    assert_eq!(words.piece(7), Ok(&b"s"[..]));
    assert_eq!(words.piece(6), Ok("▁cat".as_bytes()));
    assert_eq!(words.piece(40), Err(TokenizerError::Token { token: 40, count: 40 }));
    let short = words.encode("cat", &mut [0; 1]);
    assert_eq!(short, Err(TokenizerError::Output { expected: 2, actual: 1 }));
}

/// Values of unit vectors after two layers of some fifty roundings each.
#[test]
fn floats_are_those_of_numpy() {
    let folder = Temporary::new("floats");
    let model = open(&converted(&folder, PrecisionLane::Float32), None);
    assert_eq!((model.dim(), model.max_tokens(), model.lane()), (16, 20, PrecisionLane::Float32));
    for (text, tokens, expected) in reference() {
        let embedding = model.embed(&text).unwrap();
        assert_eq!(embedding.tokens, tokens.len());
        assert_eq!(embedding.cut > 0, text.starts_with("cat ") || text.len() > 200, "{text:?}");
        for (value, expected) in embedding.vector.iter().zip(expected) {
            assert!((f64::from(*value) - expected).abs() < 2e-6, "{text:?}: {value}, {expected}");
        }
    }
}

#[test]
fn lanes_come_closer_to_numpy_bit_by_bit() {
    let folder = Temporary::new("lanes");
    let path = converted(&folder, PrecisionLane::Bit7);
    let least = PrecisionLane::NESTED.map(|lane| {
        let model = open(&path, Some(lane));
        let cosine = |(text, _, expected): (String, Vec<u32>, Vec<f64>)| {
            let vector = model.embed(&text).unwrap().vector;
            vector.iter().zip(expected).map(|(a, b)| f64::from(*a) * b).sum::<f64>()
        };
        reference().into_iter().map(cosine).fold(1.0, f64::min)
    });
    let [three, five, seven] = least;
    // A wide random model of few values: every bit that is left out shows.
    assert!(three < five && five < seven && five > 0.95 && seven > 0.99, "{least:?}");
}

/// With its embedding tables as they are, a text without words is what the centres were made of: no
/// lane changes it by more than the order of sums, whatever it makes of the weights.
#[test]
fn a_text_without_words_is_exact_at_every_lane() {
    let folder = Temporary::new("centred");
    let expected = open(&converted(&folder, PrecisionLane::Float32), None).embed("").unwrap();
    let path = folder.0.join("tables.gguf");
    let keep = ["token*", "position*"].map(|name| (name.into(), PrecisionLane::Float32)).to_vec();
    let options = ConvertOptions { lane: PrecisionLane::Bit7, group: Group::G32, keep };
    convert_folder(&Folder::open(Path::new(TINY)).unwrap(), &path, &options, &mut |_| {}).unwrap();
    for lane in PrecisionLane::NESTED {
        let model = open(&path, Some(lane));
        let pairs = model.embed("").unwrap().vector.into_iter().zip(&expected.vector);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5), "{lane}");
        assert_ne!(model.embed("cat").unwrap().vector, expected.vector);
    }
    // A GGUF file of floats gives what its folder gives.
    let floats = MappedFile::open(&folder.0.join("float.gguf")).unwrap();
    let from_file = folder.0.join("from-file.gguf");
    convert_file(&floats.gguf().unwrap(), &from_file, &options, &mut |_| {}).unwrap();
    assert_eq!(fs::read(&from_file).unwrap(), fs::read(&path).unwrap());
}

#[test]
fn a_batch_is_its_texts_in_order() {
    let folder = Temporary::new("batch");
    let model = open(&converted(&folder, PrecisionLane::Bit7), None);
    let texts: Vec<String> = reference().into_iter().map(|(text, ..)| text).collect();
    let batch = model.embed_batch(&texts).unwrap();
    assert_eq!(batch.len(), texts.len());
    for (text, embedding) in texts.iter().zip(&batch) {
        assert_eq!(*embedding, model.embed(text).unwrap());
    }
    assert!(model.embed_batch::<&str>(&[]).unwrap().is_empty());
}

/// The digest of the fixed run, and of each layer.
fn digests(
    gguf: &Gguf<'_>,
    backend: impl trilane_core::kernel::Backend,
    pool: &dyn Pool,
    lane: PrecisionLane,
) -> Vec<u64> {
    let header = EncoderHeader::read(gguf).unwrap();
    let mut layers = layers(gguf, &header);
    let weights = EncoderWeights::load(gguf, &mut layers).unwrap();
    // Not zeros: no buffer may count on them.
    let mut arena = memory::encoder_arena(&header, VERIFY_TOKENS).unwrap();
    bytemuck::cast_slice_mut::<_, u8>(&mut arena).fill(0x7F);
    let mut encoder = Encoder::new(weights, backend, VERIFY_TOKENS, &mut arena).unwrap();
    let mut digests = [Digest::default(); 3];
    let all = verify_encoder(&mut encoder, pool, lane, &mut digests).unwrap();
    digests.into_iter().chain([all]).map(Digest::value).collect()
}

/// Pieces of one unit and of three, in turn.
struct Pieces;

impl Pool for Pieces {
    fn spread(
        &self,
        y: &mut [f32],
        unit: usize,
        _: usize,
        each: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let (mut rest, mut first, mut units) = (y, 0, 1);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at_mut((units * unit).min(rest.len()));
            let len = piece.len();
            each(first, piece);
            (rest, first, units) = (after, first + len, 4 - units);
        }
    }
}

#[test]
fn every_instruction_set_and_pool_gives_the_same_bits() {
    let folder = Temporary::new("bits");
    let mut seen = vec![];
    for (top, lanes) in [
        (PrecisionLane::Float32, &[PrecisionLane::Float32][..]),
        (PrecisionLane::Ternary, &[PrecisionLane::Ternary]),
        (PrecisionLane::Bit7, &PrecisionLane::NESTED),
    ] {
        let file = MappedFile::open(&converted(&folder, top)).unwrap();
        let gguf = file.gguf().unwrap();
        for &lane in lanes {
            let expected = digests(&gguf, Scalar, &Serial, lane);
            assert_eq!(digests(&gguf, Scalar, &Pieces, lane), expected, "{lane}");
            for level in level::levels() {
                assert_eq!(digests(&gguf, level, &Serial, lane), expected, "{lane}, {level}");
                assert_eq!(digests(&gguf, level, &Pieces, lane), expected, "{lane}, {level}");
            }
            assert!(!seen.contains(&expected), "{lane}");
            seen.push(expected);
        }
    }
}

/// The float model with keys and tensors that `key` and `tensor` name changed: a value instead, or
/// `None` to leave it out; other dimensions, or none.
fn spoiled(
    name: &str,
    key: (&str, Option<Value<'_>>),
    tensor: (&str, Option<&[u64]>),
) -> EmbeddingError {
    let folder = Temporary::new(name);
    let file = MappedFile::open(&converted(&folder, PrecisionLane::Float32)).unwrap();
    let gguf = file.gguf().unwrap();
    let mut writer = GgufWriter::new(32).unwrap();
    for (k, value) in gguf.metadata().filter(|(k, _)| *k != "general.alignment") {
        let value = if k == key.0 { key.1 } else { Some(value) };
        if let Some(value) = value {
            writer.add(k, value).unwrap();
        }
    }
    let mut kept = vec![];
    for t in gguf.tensors() {
        let dims: Vec<u64> = t.dims().iter().map(|&d| d as u64).collect();
        let dims = if t.name() == tensor.0 { tensor.1.map(<[u64]>::to_vec) } else { Some(dims) };
        let Some(dims) = dims else { continue };
        let len = dims.iter().product::<u64>() as usize * 4;
        let mut data = t.data().to_vec();
        data.resize(len, 0);
        writer.declare(t.name(), t.kind(), &dims, len as u64).unwrap();
        kept.push((t.name(), data));
    }
    let mut data = writer.begin(Vec::new()).unwrap();
    for (name, bytes) in kept {
        data.write_tensor(name, &bytes).unwrap();
    }
    let path = folder.0.join("spoiled.gguf");
    fs::write(&path, data.finish().unwrap()).unwrap();
    EmbeddingProvider::open(&path, &EmbeddingOptions::default()).unwrap_err()
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    const KEY: (&str, Option<Value<'_>>) = ("", None);
    const TENSOR: (&str, Option<&[u64]>) = ("", None);
    let model = |error| match error {
        EmbeddingError::Model(error) => error,
        error => panic!("{error}"),
    };
    let layer = |part| TensorName { layer: Some(1), part };
    let missing = spoiled("a", KEY, ("blk.1.attn_q.bias", None));
    let name = layer("attn_q.bias");
    assert_eq!(model(missing), ModelError::MissingTensor { name });
    assert_eq!(name.to_string(), "blk.1.attn_q.bias");
    let missing = spoiled("b", KEY, ("position_embd.weight", None));
    let name = TensorName { layer: None, part: "position_embd" };
    assert_eq!(model(missing), ModelError::MissingTensor { name });
    let shape = spoiled("c", KEY, ("blk.1.ffn_up.weight", Some(&[16, 23])));
    let (expected, found) = ((24, 16), (23, 16));
    let name = layer("ffn_up");
    assert_eq!(model(shape), ModelError::TensorShape { name, expected, found });
    let shape = spoiled("d", KEY, ("blk.1.layer_output_norm.bias", Some(&[15])));
    let (expected, found) = ((1, 16), (1, 15));
    let name = layer("layer_output_norm.bias");
    assert_eq!(model(shape), ModelError::TensorShape { name, expected, found });
    let key = "attention.layer_norm_epsilon";
    let error = spoiled("e", ("bert.attention.layer_norm_epsilon", None), TENSOR);
    assert_eq!(model(error), ModelError::MissingKey { key });
    for (name, key, value, expected) in [
        ("f", "attention.causal", Value::Bool(true), "false"),
        ("g", "pooling_type", Value::U32(3), "1 (mean) or 2 (first token)"),
        ("h", "attention.head_count", Value::U32(3), "a divisor of embedding_length"),
        ("i", "block_count", Value::U32(0), "a count from 1 to 2^24"),
    ] {
        let error = spoiled(name, (&format!("bert.{key}"), Some(value)), TENSOR);
        assert_eq!(model(error), ModelError::Value { key, expected });
    }
    let error = spoiled("j", ("general.architecture", Some(Value::Str("llama"))), TENSOR);
    let (key, expected) = ("general.architecture", "\"bert\"");
    assert_eq!(model(error), ModelError::Value { key, expected });
    let error = spoiled("k", ("bert.block_count", Some(Value::U32(1 << 24))), TENSOR);
    assert!(matches!(model(error), ModelError::Memory { what: "layers", .. }));
    let error = spoiled("l", ("tokenizer.ggml.model", Some(Value::Str("llama"))), TENSOR);
    assert!(matches!(error, EmbeddingError::Tokenizer(TokenizerError::Value { .. })));
    let error = spoiled("m", ("tokenizer.ggml.cls_token_id", Some(Value::U32(40))), TENSOR);
    let token = TokenizerError::Token { token: 40, count: 40 };
    assert!(matches!(error, EmbeddingError::Tokenizer(e) if e == token));
}

#[test]
fn lanes_that_are_not_stored_are_refused() {
    let folder = Temporary::new("refused");
    let path = converted(&folder, PrecisionLane::Float32);
    let options = EmbeddingOptions { lane: Some(PrecisionLane::Bit3), level: None };
    let refused = EmbeddingProvider::open(&path, &options);
    assert!(matches!(refused, Err(EmbeddingError::Model(ModelError::Lane { .. }))));
}

#[test]
fn tokens_that_do_not_fit_are_refused() {
    let folder = Temporary::new("sequence");
    let file = MappedFile::open(&converted(&folder, PrecisionLane::Float32)).unwrap();
    let gguf = file.gguf().unwrap();
    let header = EncoderHeader::read(&gguf).unwrap();
    assert_eq!(header.pooling, Pooling::Mean);
    let mut layers = layers(&gguf, &header);
    let weights = EncoderWeights::load(&gguf, &mut layers).unwrap();
    let mut arena = memory::encoder_arena(&header, 4).unwrap();
    let expected = header.arena_lines(4).unwrap();
    let short = Encoder::new(weights, Scalar, 4, &mut arena[1..]).unwrap_err();
    let what = "the arena (in lines of 64 bytes)";
    assert_eq!(short, ModelError::Memory { what, expected, actual: expected - 1 });
    let mut encoder = Encoder::new(weights, Scalar, 4, &mut arena).unwrap();
    let lane = PrecisionLane::Float32;
    for tokens in [0, 5] {
        let refused = encoder.embed(&Serial, &vec![1; tokens], lane).unwrap_err();
        assert_eq!(refused, ModelError::Sequence { tokens, capacity: 4 });
    }
    let refused = encoder.embed(&Serial, &[1, 40], lane).unwrap_err();
    assert_eq!(refused, ModelError::Token { token: 40, vocabulary: 40 });
    assert_eq!(header.arena_lines(usize::MAX), None);
}

#[test]
fn a_vocabulary_of_lines_is_the_same() {
    let folder = Temporary::with_model("lines");
    let (first, second) = (folder.0.join("first.gguf"), folder.0.join("second.gguf"));
    convert(&folder.0, &first, PrecisionLane::Bit7).unwrap();
    fs::remove_file(folder.0.join("tokenizer.json")).unwrap();
    convert(&folder.0, &second, PrecisionLane::Bit7).unwrap();
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap());
}

/// What a folder is refused with, after `spoil`.
fn refusal(name: &str, spoil: impl FnOnce(&Temporary)) -> String {
    let folder = Temporary::with_model(name);
    spoil(&folder);
    let out = folder.0.join("out.gguf");
    let error = convert(&folder.0, &out, PrecisionLane::Bit7).unwrap_err();
    assert!(!out.exists());
    assert!(matches!(error, ConvertError::Folder(_)), "{error}");
    error.to_string().replace(&format!("{}/", folder.0.display()), "")
}

#[test]
fn folders_that_do_not_fit_are_refused_by_name() {
    let config = |name: &str, from: &str, to: &str, expected: &str| {
        let refused = refusal(name, |folder| folder.replace("config.json", from, to));
        assert!(refused.starts_with(expected), "{refused}");
    };
    let gelu = "config.json: key hidden_act: expected \"gelu\", found \"relu\"";
    config("r1", "\"gelu\"", "\"relu\"", gelu);
    let roberta = "config.json: key model_type: expected \"bert\" or \"llama\", found \"roberta\"";
    config("r2", "\"bert\"", "\"roberta\"", roberta);
    let missing = "config.json: key num_hidden_layers is missing";
    config("r3", "num_hidden_layers", "layers", missing);
    let tensor = "tensor encoder.layer.2.attention.self.query.weight is missing";
    config("r4", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", tensor);
    let shape = "tensor embeddings.position_embeddings.weight: expected dimensions [21, 16], found \
                 [20, 16]";
    config("r5", "20", "21", shape);
    config(
        "r6",
        "40",
        "39",
        "tokenizer.json: key model.vocab: expected tokens from 0 on, each once",
    );
    let normalizer = refusal("r7", |f| f.replace("tokenizer.json", "BertNormalizer", "Lowercase"));
    assert!(normalizer.starts_with("tokenizer.json: key normalizer.type"), "{normalizer}");
    let cut = refusal("r8", |folder| {
        let path = folder.0.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 4]).unwrap();
    });
    assert!(cut.starts_with("model.safetensors: "), "{cut}");
    let folder = Temporary::with_model("r9");
    fs::remove_file(folder.0.join("model.safetensors")).unwrap();
    assert!(matches!(Folder::open(&folder.0), Err(FolderError::Io { .. })));
}
