//! The reader and the expansions against files made by an independent implementation,
//! see `fixtures/make_gguf.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "std")]

use trilane::core::gguf::blocks::{expand, is_supported};
use trilane::core::gguf::{Gguf, TensorType, Value, ValueType};

const SAMPLE: &[u8] = include_bytes!("fixtures/sample.gguf");
const I2_S: &[u8] = include_bytes!("fixtures/i2_s.gguf");
const EXPANDED: &[u8] = include_bytes!("fixtures/expanded.gguf");
const TYPE_SIZES: &str = include_str!("fixtures/type_sizes.csv");

#[test]
fn every_value_type_reads_as_written() {
    let file = Gguf::parse(SAMPLE).unwrap();
    assert_eq!((file.version(), file.alignment()), (3, 32));
    let expected = [
        ("general.architecture", Value::Str("sample")),
        ("u8", Value::U8(250)),
        ("i8", Value::I8(-5)),
        ("u16", Value::U16(65_000)),
        ("i16", Value::I16(-30_000)),
        ("u32", Value::U32(4_000_000_000)),
        ("i32", Value::I32(-2_000_000_000)),
        ("u64", Value::U64(1 << 63)),
        ("i64", Value::I64(-(1 << 62))),
        ("f32", Value::F32(0.1)),
        ("f64", Value::F64(0.1)),
        ("yes", Value::Bool(true)),
        ("no", Value::Bool(false)),
        ("text", Value::Str("π ≈ 3")),
    ];
    let found: Vec<_> = file.metadata().take(expected.len()).collect();
    assert_eq!(found, expected);
    let arrays: Vec<_> = file.metadata().skip(expected.len()).map(|(key, _)| key).collect();
    assert_eq!(arrays, ["words", "ints", "floats", "bools", "bytes"]);
    let array = |key| file.get(key).unwrap().as_array().unwrap();
    assert_eq!(array("words").strs().unwrap().collect::<Vec<_>>(), ["", "a", "▁the"]);
    assert_eq!(array("ints").i32s().unwrap().collect::<Vec<_>>(), [1, -2, 3]);
    assert_eq!(array("floats").f32s().unwrap().collect::<Vec<_>>(), [0.5, -0.25]);
    let bools: Vec<_> = array("bools").iter().map(|value| value.as_bool()).collect();
    assert_eq!(bools, [Some(true), Some(false), Some(true)]);
    assert_eq!(array("bytes").u8s(), Some([1, 2, 255].as_slice()));
    assert_eq!(array("bytes").element(), ValueType::U8);
    assert_eq!(file.get("absent"), None);
}

#[test]
fn shapes_are_row_length_first() {
    let file = Gguf::parse(SAMPLE).unwrap();
    let shapes: Vec<_> =
        file.tensors().map(|t| (t.name(), t.kind(), t.dims().to_vec(), t.rows())).collect();
    let expected = [
        ("f32", TensorType::F32, vec![24, 4], 4),
        ("f16", TensorType::F16, vec![16, 3, 2], 6),
        ("bf16", TensorType::BF16, vec![32, 3], 3),
        ("q8_0", TensorType::Q8_0, vec![128, 3], 3),
        ("q4_0", TensorType::Q4_0, vec![128, 5], 5),
        ("q4_1", TensorType::Q4_1, vec![160, 2], 2),
        ("q5_0", TensorType::Q5_0, vec![160, 2], 2),
        ("q5_1", TensorType::Q5_1, vec![160, 2], 2),
        ("q2_k", TensorType::Q2_K, vec![1280, 2], 2),
        ("q3_k", TensorType::Q3_K, vec![1280, 2], 2),
        ("q4_k", TensorType::Q4_K, vec![1280, 2], 2),
        ("q5_k", TensorType::Q5_K, vec![1280, 2], 2),
        ("q6_k", TensorType::Q6_K, vec![1280, 2], 2),
        ("tq1_0", TensorType::TQ1_0, vec![1280, 2], 2),
        ("tq2_0", TensorType::TQ2_0, vec![1280, 2], 2),
    ];
    assert_eq!(shapes, expected);
}

#[test]
fn expansions_agree_bit_for_bit() {
    let stored = Gguf::parse(SAMPLE).unwrap();
    let of_the_fork = Gguf::parse(I2_S).unwrap();
    let expanded = Gguf::parse(EXPANDED).unwrap();
    assert_eq!(expanded.alignment(), 64);
    let mut kinds: Vec<_> = Vec::new();
    for tensor in stored.tensors().chain(of_the_fork.tensors()) {
        let reference = expanded.tensor(tensor.name()).unwrap();
        assert_eq!(reference.kind(), TensorType::F32);
        let expected: Vec<u32> =
            reference.data().as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let mut weights = vec![f32::NAN; tensor.elements()];
        expand(tensor.kind(), tensor.data(), &mut weights).unwrap();
        let found: Vec<u32> = weights.iter().map(|weight| weight.to_bits()).collect();
        assert_eq!(found, expected, "{tensor:?}");
        kinds.push(tensor.kind());
    }
    for &kind in TensorType::ALL.iter().filter(|&&kind| is_supported(kind)) {
        assert!(kinds.contains(&kind), "no fixture for {kind}");
    }
}

#[test]
fn block_sizes_agree() {
    let mut seen = Vec::new();
    for line in TYPE_SIZES.lines() {
        let [number, name, len, bytes] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
        let kind = TensorType::from_u32(number.parse().unwrap()).unwrap();
        assert_eq!((kind.name(), kind.block_len()), (name, len.parse().unwrap()));
        // The package keeps an older layout of this type, whose scale and sum were singles.
        let older = if kind == TensorType::Q8_1 { 4 } else { 0 };
        assert_eq!(kind.block_bytes() + older, bytes.parse::<usize>().unwrap(), "{kind}");
        seen.push(kind);
    }
    let missing: Vec<_> = TensorType::ALL.iter().filter(|kind| !seen.contains(kind)).collect();
    assert_eq!(missing, [&TensorType::I2_S, &TensorType::Q2_0]);
}
