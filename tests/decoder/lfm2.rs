//! LFM2: short convolutions in some blocks, attention in the others, against numpy.

use crate::file::{File, Meta, Stored, float_bytes};
use crate::{levels, refusal, with_decoder, with_weights};
use std::path::Path;
use trilane::core::digits::Group;
use trilane::core::gguf::{ALIGNMENT_KEY, Gguf, TensorType, Value};
use trilane::core::kernel::{Backend, Isa, Scalar, Serial};
use trilane::core::lane::PrecisionLane::{self, Bit3, Bit5, Bit7, Float32};
use trilane::core::model::{Architecture, Decoder, ModelError, TensorName};
use trilane::core::nn::{Attention, CacheError, LinearError};
use trilane::std::convert::{ConvertOptions, convert};
use trilane::std::mapped::MappedFile;

/// Random weights, see `make_lfm2.py`: convolution, attention, convolution, attention.
static BYTES: &[u8] = include_bytes!("../fixtures/lfm2.gguf");
const BLOCKS: usize = 4;
const VOCABULARY: usize = 40;
const KV_HEADS: &str = "lfm2.attention.head_count_kv";

/// A file in parts; integers of arrays become u32.
fn parts(gguf: &Gguf<'static>) -> File {
    let meta = |value: Value<'static>| match value.as_array() {
        None => Meta::One(value),
        Some(array) => match (array.strs(), array.f32s()) {
            (Some(texts), _) => Meta::Texts(texts.map(str::to_owned).collect()),
            (_, Some(floats)) => Meta::Floats(floats.collect()),
            _ => Meta::Numbers(array.iter().map(|n| n.as_u32().unwrap()).collect()),
        },
    };
    let tensor = |t: trilane::core::gguf::Tensor<'_>| Stored {
        name: t.name().into(),
        kind: t.kind(),
        dims: t.dims().to_vec(),
        data: t.data().into(),
    };
    // The writer says for itself how tensors are aligned.
    let metadata = gguf.metadata().filter(|(key, _)| *key != ALIGNMENT_KEY);
    File {
        metadata: metadata.map(|(key, value)| (key.into(), meta(value))).collect(),
        tensors: gguf.tensors().map(tensor).collect(),
    }
}

fn model() -> File {
    parts(&Gguf::parse(BYTES).unwrap())
}

/// The model converted to nested lanes.
fn converted(name: &str) -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let options = ConvertOptions { lane: Bit7, group: Group::G32, keep: vec![] };
    convert(&Gguf::parse(BYTES).unwrap(), &path, &options, &mut |_| {}).unwrap();
    let bytes: &'static [u8] = Vec::leak(std::fs::read(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    parts(&Gguf::parse(bytes).unwrap())
}

/// Tokens of a text, and numpy's logits after each.
fn expected() -> Vec<(u32, Vec<f64>)> {
    let line = |line: &str| {
        let (token, logits) = line.split_once(',').unwrap();
        (token.parse().unwrap(), logits.split(',').map(|v| v.parse().unwrap()).collect())
    };
    include_str!("../fixtures/lfm2_logits.csv").lines().map(line).collect()
}

fn tokens() -> Vec<u32> {
    expected().into_iter().map(|(token, _)| token).collect()
}

type Bits = Result<Vec<u32>, ModelError>;

fn forward<B: Backend>(decoder: &mut Decoder<'_, '_, B>, token: u32, lane: PrecisionLane) -> Bits {
    let logits = decoder.forward(&Serial, token, lane)?;
    Ok(logits.iter().map(|v| v.to_bits()).collect())
}

/// Logits of a fresh sequence.
fn fresh<B: Backend>(file: &File, backend: B, tokens: &[u32], lane: PrecisionLane) -> Vec<Bits> {
    with_decoder(file, backend, tokens.len(), |decoder| {
        tokens.iter().map(|&token| forward(decoder, token, lane)).collect()
    })
}

/// How far logits are from others: the largest difference, and `√(Σ(a − b)² / Σb²)`.
fn difference(file: &File, lane: PrecisionLane, others: &[Vec<f64>]) -> (f64, f64) {
    let found = fresh(file, Scalar, &tokens(), lane);
    assert_eq!(found.len(), others.len());
    let (mut largest, mut squares, mut all) = (0.0f64, 0.0, 0.0);
    for (found, others) in found.into_iter().zip(others) {
        let found = found.unwrap();
        assert_eq!((found.len(), others.len()), (VOCABULARY, VOCABULARY));
        for (found, other) in found.into_iter().map(f32::from_bits).zip(others) {
            let difference = f64::from(found) - other;
            largest = largest.max(difference.abs());
            squares += difference * difference;
            all += other * other;
        }
    }
    let relative = (squares / all).sqrt();
    println!("{lane}: at most {largest:.2e}, relative {relative:.2e}");
    (largest, relative)
}

/// As with llama, some tens of sums of up to 48 products of floats each.
#[test]
fn float_logits_are_those_of_numpy() {
    let expected: Vec<Vec<f64>> = expected().into_iter().map(|(_, logits)| logits).collect();
    let (largest, relative) = difference(&model(), Float32, &expected);
    assert!(largest <= 1e-5 && relative <= 2e-6, "{largest} {relative}");
}

/// The model in floats that are the weights of a lane.
fn dequantized(file: &File, lane: PrecisionLane) -> File {
    let mut floats = model();
    with_weights(file, |weights| {
        let weights = weights.unwrap();
        // The last one is the embedding once more.
        for (name, linear) in weights.linears().take(weights.linears().count() - 1) {
            let tensor = floats.tensor(&name.to_string());
            let mut rows = vec![0.0; linear.rows() * linear.cols()];
            for (r, row) in rows.chunks_mut(linear.cols()).enumerate() {
                linear.row(lane, r, row).unwrap();
            }
            (tensor.kind, tensor.data) = (TensorType::F32, float_bytes(&rows));
        }
    });
    floats
}

/// What remains are the activations: eight bits, so about 1/250 of a vector's length for each of some
/// twenty inputs on the way.
#[test]
fn lanes_are_their_weights() {
    let file = converted("lanes.gguf");
    for lane in PrecisionLane::NESTED {
        let floats = fresh(&dequantized(&file, lane), Scalar, &tokens(), Float32);
        let widen = |bits: u32| f64::from(f32::from_bits(bits));
        let floats: Vec<Vec<f64>> =
            floats.into_iter().map(|bits| bits.unwrap().into_iter().map(widen).collect()).collect();
        let (_, relative) = difference(&file, lane, &floats);
        assert!(relative <= 0.05, "{lane}: {relative}");
    }
}

#[test]
fn every_instruction_set_has_the_same_bits() {
    let (floats, digits) = (model(), converted("bits.gguf"));
    for (file, lane) in [(&floats, Float32), (&digits, Bit3), (&digits, Bit7)] {
        let expected = fresh(file, Scalar, &tokens(), lane);
        for level in Isa::ALL.into_iter().filter_map(levels::level) {
            assert_eq!(fresh(file, level, &tokens(), lane), expected, "{lane} on {level}");
        }
    }
}

#[test]
fn going_back_and_on_gives_the_same_bits() {
    let tokens = tokens();
    for (file, lane) in [(model(), Float32), (converted("back.gguf"), Bit5)] {
        let expected = fresh(&file, Scalar, &tokens, lane);
        with_decoder(&file, Scalar, tokens.len(), |decoder| {
            for keep in [0, 5, 11, 1, 2, 12] {
                decoder.truncate(keep);
                // Another continuation in between must leave no trace.
                for token in [3, 9, 8].into_iter().take(tokens.len() - decoder.position()) {
                    forward(decoder, token, lane).unwrap();
                }
                decoder.truncate(keep);
                for i in decoder.position()..tokens.len() {
                    assert_eq!(forward(decoder, tokens[i], lane), expected[i], "token {i}");
                }
            }
            let capacity = tokens.len();
            let full = Err(ModelError::Cache(CacheError::Full { capacity }));
            assert_eq!(forward(decoder, 1, lane), full);
            assert_eq!(decoder.position(), capacity);
        });
    }
}

#[test]
fn the_header_says_what_is_in_the_blocks() {
    with_weights(&model(), |weights| {
        let weights = weights.unwrap();
        let header = weights.header();
        assert_eq!(header.architecture, Architecture::Lfm2 { attention: 2, taps: 3 });
        assert_eq!((header.attention_blocks(), header.convolution_blocks()), (2, 2));
        assert_eq!(header.attention, Attention { heads: 4, kv_heads: 2, head_dim: 8 });
        assert_eq!((header.rope_dim, header.rope_base), (8, 1e6));
        let names: Vec<String> = weights.linears().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names.len(), 2 + 2 * 5 + 2 * 7);
        assert_eq!(&names[1], "blk.0.shortconv.in_proj.weight");
        assert_eq!(&names[2], "blk.0.shortconv.out_proj.weight");
        assert_eq!(&names[6], "blk.1.attn_q.weight");
        // Matrices in two bytes a weight; norms and taps in four.
        let (convolution, attention) = (4 * 32 * 32 + 3 * 48 * 32, 3 * 32 * 32 + 3 * 48 * 32);
        let floats = [2 * 32 + 3 * 32, 2 * 32 + 2 * 8];
        let bytes = [2 * convolution + 4 * floats[0], 2 * attention + 4 * floats[1]];
        for block in 0..BLOCKS {
            assert_eq!(weights.layer_bytes(block, Float32), Ok(bytes[block % 2]));
        }
        // Keys and values of half of the blocks, inputs of the other half.
        let lines = |capacity| header.arena_lines(capacity).unwrap();
        let per_token = 2 * 2 * 16 + 2 * 32 + header.attention.heads;
        assert_eq!(lines(1024) - lines(512), 512 * 4 * per_token / 64);
    });
}

/// What the model is refused with after a change of its metadata.
fn with_key(key: &str, value: Option<Meta>) -> Option<ModelError> {
    let mut file = model();
    file.metadata.retain(|(k, _)| k != key);
    file.metadata.extend(value.map(|value| (key.to_owned(), value)));
    refusal(&file)
}

fn value(key: &'static str, expected: &'static str) -> Option<ModelError> {
    Some(ModelError::Value { key, expected })
}

#[test]
fn blocks_that_are_not_said_clearly() {
    let key = "attention.head_count_kv";
    assert_eq!(with_key(KV_HEADS, None), Some(ModelError::MissingKey { key }));
    let array = "an array of block_count numbers";
    for meta in [
        Meta::One(Value::U32(2)),
        Meta::One(Value::Str("0, 2, 0, 2")),
        Meta::Numbers(vec![]),
        Meta::Numbers(vec![0, 2, 0]),
        Meta::Numbers(vec![0, 2, 0, 2, 0]),
    ] {
        assert_eq!(with_key(KV_HEADS, Some(meta)), value(key, array));
    }
    let counts = "0 for some blocks, for the others one count from 1 to 2^24";
    for meta in [
        Meta::Numbers(vec![0; 4]),
        Meta::Numbers(vec![0, 2, 0, 4]),
        Meta::Numbers(vec![0, u32::MAX, 0, u32::MAX]),
        Meta::Floats(vec![0.0, 2.0, 0.0, 2.0]),
        Meta::Texts(vec!["2".into(); 4]),
    ] {
        assert_eq!(with_key(KV_HEADS, Some(meta)), value(key, counts));
    }
    let divisor = value(key, "a divisor of head_count");
    assert_eq!(with_key(KV_HEADS, Some(Meta::Numbers(vec![0, 3, 0, 3]))), divisor);
    // Blocks of the other kind than their tensors.
    let name = TensorName { layer: Some(0), part: "attn_q" };
    let missing = Some(ModelError::MissingTensor { name });
    assert_eq!(with_key(KV_HEADS, Some(Meta::Numbers(vec![2, 2, 0, 2]))), missing);
    let name = TensorName { layer: Some(1), part: "shortconv.in_proj.weight" };
    let missing = Some(ModelError::MissingTensor { name });
    assert_eq!(with_key(KV_HEADS, Some(Meta::Numbers(vec![0, 0, 0, 2]))), missing);
}

#[test]
fn taps_and_windows_that_are_refused() {
    let (full, key) = ("lfm2.shortconv.l_cache", "shortconv.l_cache");
    assert_eq!(with_key(full, None), Some(ModelError::MissingKey { key }));
    for bad in [Value::U32(0), Value::U32((1 << 24) + 1), Value::I32(-3), Value::F32(3.0)] {
        let expected = value(key, "a count from 1 to 2^24");
        assert_eq!(with_key(full, Some(Meta::One(bad))), expected, "{bad:?}");
    }
    let name = TensorName { layer: Some(0), part: "shortconv.conv.weight" };
    for taps in [1, 2, 4, 1 << 24] {
        let (expected, found) = ((32, taps), (32, 3));
        let error = Some(ModelError::TensorShape { name, expected, found });
        assert_eq!(with_key(full, Some(Meta::One(Value::U32(taps as u32)))), error);
    }
    let (full, key) = ("lfm2.attention.sliding_window", "attention.sliding_window");
    let expected = value(key, "0: windows are not computed");
    assert_eq!(with_key(full, Some(Meta::One(Value::U32(64)))), expected);
    assert_eq!(with_key(full, Some(Meta::One(Value::U32(0)))), None);
}

#[test]
fn a_tensor_that_is_missing_or_of_another_shape() {
    let convolution = ["shortconv.in_proj", "shortconv.conv", "shortconv.out_proj"];
    let attention = ["attn_q", "attn_k", "attn_v", "attn_output", "attn_q_norm", "attn_k_norm"];
    let inside = |block, parts: &[&str]| -> Vec<String> {
        parts.iter().map(|part| format!("blk.{block}.{part}.weight")).collect()
    };
    let mut names = vec!["token_embd_norm.weight".into()];
    names.extend([inside(2, &convolution), inside(3, &attention)].concat());
    for text in names {
        let named = |name: TensorName| assert_eq!(name.to_string(), text);
        let mut file = model();
        file.remove(&text);
        match refusal(&file) {
            Some(ModelError::MissingTensor { name }) => named(name),
            other => panic!("{text}: {other:?}"),
        }
        let mut file = model();
        let tensor = file.tensor(&text);
        // As many values in another arrangement, or of a vector one more.
        if tensor.dims.len() == 2 {
            tensor.dims = vec![tensor.dims[0] * tensor.dims[1]];
        } else {
            tensor.dims[0] += 1;
            tensor.data.extend([0; 4]);
        }
        match refusal(&file) {
            Some(ModelError::TensorShape { name, expected, found }) => {
                named(name);
                assert_ne!(expected, found);
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn taps_are_finite_floats() {
    let name = TensorName { layer: Some(2), part: "shortconv.conv.weight" };
    let mut file = model();
    file.tensor(&name.to_string()).data[8..12].copy_from_slice(&float_bytes(&[f32::NAN]));
    assert_eq!(refusal(&file), Some(ModelError::NotFinite { name }));
    let (mut file, kind) = (model(), TensorType::F16);
    let tensor = file.tensor(&name.to_string());
    tensor.kind = kind;
    tensor.data.truncate(2 * 3 * 32);
    let error = LinearError::Unsupported { kind };
    assert_eq!(refusal(&file), Some(ModelError::Tensor { name, error }));
}

/// Values that overflow in a convolution are found in its block, and leave no trace.
#[test]
fn a_convolution_that_diverges_changes_nothing() {
    for (mut file, lane) in [(model(), Float32), (converted("diverges.gguf"), Bit7)] {
        let tensor = file.tensor("blk.2.shortconv.conv.weight");
        tensor.data = float_bytes(&[f32::MAX; 96]);
        let found = fresh(&file, Scalar, &tokens()[..1], lane);
        assert_eq!(found, [Err(ModelError::Diverged { layer: 2 })]);
        with_decoder(&file, Scalar, 2, |decoder| {
            forward(decoder, 1, lane).unwrap_err();
            assert_eq!(decoder.position(), 0);
        });
    }
}

/// A mapped file is computed with as it lies.
#[test]
fn the_file_itself_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lfm2.gguf");
    let mapped = MappedFile::open(&path).unwrap();
    let gguf = mapped.gguf().unwrap();
    let header = trilane::core::model::Header::read(&gguf).unwrap();
    let mut layers = trilane::std::memory::layers(&gguf, &header);
    let weights = trilane::core::model::Weights::load(&gguf, &mut layers).unwrap();
    let mut arena = trilane::std::memory::arena(&header, 12).unwrap();
    let mut decoder = Decoder::new(weights, Scalar, 12, &mut arena).unwrap();
    let bits: Vec<Bits> = tokens().iter().map(|&t| forward(&mut decoder, t, Float32)).collect();
    assert_eq!(bits, fresh(&model(), Scalar, &tokens(), Float32));
}
