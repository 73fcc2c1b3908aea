//! The header: what is read, and every way that it is refused.

use crate::file::{File, Meta, metadata};
use trilane::core::gguf::{Gguf, TensorType, Value};
use trilane::core::model::{Architecture, Header, ModelError};
use trilane::core::nn::{Activation, Attention};

/// Reads the header of a file without tensors after its metadata has been changed: a value of
/// `None` takes a key out.
fn read(changes: &[(&str, Option<Value<'static>>)]) -> Result<Header, ModelError> {
    let mut file = File { metadata: metadata(), tensors: vec![] };
    for &(key, value) in changes {
        file.metadata.retain(|(k, _)| k != key);
        file.metadata.extend(value.map(|value| (key.to_string(), Meta::One(value))));
    }
    Header::read(&Gguf::parse(&file.bytes()).unwrap())
}

fn value<T>(key: &'static str, expected: &'static str) -> Result<T, ModelError> {
    Err(ModelError::Value { key, expected })
}

const EXPECTED: Header = Header {
    architecture: Architecture::Llama,
    vocabulary: 40,
    dim: 64,
    hidden: 96,
    activation: Activation::Silu,
    layers: 2,
    attention: Attention { heads: 4, kv_heads: 2, head_dim: 16 },
    rope_dim: 16,
    rope_base: 10_000.0,
    norm_eps: 1e-5,
    context: 128,
    sparse_rank: None,
};

#[test]
fn numbers_are_read_and_defaults_filled_in() {
    assert_eq!(read(&[]), Ok(EXPECTED));
    assert_eq!((EXPECTED.query_len(), EXPECTED.kv_len(), EXPECTED.longest_input()), (64, 32, 96));
    // Any unsigned type will do.
    assert_eq!(read(&[("llama.block_count", Some(Value::U64(2)))]), Ok(EXPECTED));
    assert_eq!(read(&[("llama.block_count", Some(Value::U8(2)))]), Ok(EXPECTED));
    let heads = Attention { heads: 4, kv_heads: 4, head_dim: 16 };
    let expected = Header { attention: heads, ..EXPECTED };
    assert_eq!(read(&[("llama.attention.head_count_kv", None)]), Ok(expected));
    let heads = Attention { heads: 4, kv_heads: 2, head_dim: 40 };
    let expected = Header { attention: heads, rope_dim: 8, rope_base: 5e5, ..EXPECTED };
    let found = read(&[
        ("llama.attention.key_length", Some(Value::U32(40))),
        ("llama.attention.value_length", Some(Value::U32(40))),
        ("llama.rope.dimension_count", Some(Value::U32(8))),
        ("llama.rope.freq_base", Some(Value::F32(5e5))),
        ("llama.rope.scaling.type", Some(Value::Str("none"))),
        ("llama.expert_count", Some(Value::U32(0))),
    ]);
    assert_eq!(found, Ok(expected));
    assert_eq!(expected.longest_input(), 160);
}

#[test]
fn the_vocabulary_is_counted_when_it_is_not_stated() {
    let mut file = File { metadata: metadata(), tensors: vec![] };
    file.metadata.retain(|(key, _)| key != "llama.vocab_size");
    let tokens = (0..33).map(|i| i.to_string()).collect();
    file.metadata.push(("tokenizer.ggml.tokens".into(), Meta::Texts(tokens)));
    let header = Header::read(&Gguf::parse(&file.bytes()).unwrap());
    assert_eq!(header, Ok(Header { vocabulary: 33, ..EXPECTED }));
    let missing = Err(ModelError::MissingKey { key: "vocab_size" });
    assert_eq!(read(&[("llama.vocab_size", None)]), missing);
}

#[test]
fn the_activation_of_the_gate_by_name() {
    let key = "trilane.feed_forward.activation";
    for (name, activation) in [
        ("identity", Activation::Identity),
        ("relu", Activation::Relu),
        ("relu2", Activation::Relu2),
        ("gelu", Activation::Gelu),
        ("silu", Activation::Silu),
    ] {
        let expected = Header { activation, ..EXPECTED };
        assert_eq!(read(&[(key, Some(Value::Str(name)))]), Ok(expected));
    }
    for bad in [Value::Str("ReLU"), Value::Str(""), Value::Str("swiglu"), Value::U32(1)] {
        let found = read(&[(key, Some(bad))]);
        let expected = "\"identity\", \"relu\", \"relu2\", \"gelu\" or \"silu\"";
        assert_eq!(found, value(key, expected), "{bad:?}");
    }
}

#[test]
fn another_architecture() {
    let key = "general.architecture";
    assert_eq!(read(&[(key, None)]), Err(ModelError::MissingKey { key }));
    for other in
        ["bert", "llama2", "lfm2moe", ""].map(Value::Str).into_iter().chain([Value::U32(1)])
    {
        assert_eq!(read(&[(key, Some(other))]), Err(ModelError::Architecture));
    }
}

#[test]
fn a_key_that_is_missing() {
    for (key, name) in [
        ("llama.embedding_length", "embedding_length"),
        ("llama.feed_forward_length", "feed_forward_length"),
        ("llama.block_count", "block_count"),
        ("llama.attention.head_count", "attention.head_count"),
        ("llama.attention.layer_norm_rms_epsilon", "attention.layer_norm_rms_epsilon"),
        ("llama.context_length", "context_length"),
    ] {
        assert_eq!(read(&[(key, None)]), Err(ModelError::MissingKey { key: name }));
    }
}

#[test]
fn a_count_of_another_type_or_outside_its_range() {
    let bad = [
        Value::U32(0),
        Value::U32((1 << 24) + 1),
        Value::U64(u64::MAX),
        Value::I32(-1),
        Value::F32(2.0),
        Value::Str("2"),
        Value::Bool(true),
        Value::F64(f64::NAN),
        Value::I64(i64::MIN),
    ];
    for key in [
        "embedding_length",
        "feed_forward_length",
        "block_count",
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "rope.dimension_count",
        "context_length",
        "vocab_size",
    ] {
        for bad in bad {
            let found = read(&[(&format!("llama.{key}"), Some(bad))]);
            assert_eq!(found, value(key, "a count from 1 to 2^24"), "{bad:?}");
        }
    }
}

#[test]
fn a_float_that_is_not_positive_and_finite() {
    for key in ["attention.layer_norm_rms_epsilon", "rope.freq_base"] {
        for bad in [
            Value::F32(0.0),
            Value::F32(-1.0),
            Value::F32(f32::NAN),
            Value::F32(f32::INFINITY),
            Value::U32(1),
            Value::Str("1"),
        ] {
            let found = read(&[(&format!("llama.{key}"), Some(bad))]);
            assert_eq!(found, value(key, "a positive, finite f32"), "{bad:?}");
        }
    }
}

#[test]
fn numbers_that_do_not_fit_together() {
    let one = |key: &str, n| read(&[(key, Some(Value::U32(n)))]);
    for heads in [3, 128] {
        let found = one("llama.attention.head_count", heads);
        assert_eq!(found, value("attention.head_count", "a divisor of embedding_length"));
    }
    for heads in [3, 8] {
        let found = one("llama.attention.head_count_kv", heads);
        assert_eq!(found, value("attention.head_count_kv", "a divisor of head_count"));
    }
    for length in [(1 << 22) + 1, 1 << 24] {
        let found = one("llama.attention.key_length", length);
        assert_eq!(found, value("attention.key_length", "at most 2^24 / head_count"));
    }
    assert_eq!(one("llama.attention.key_length", 1 << 22).map(|h| h.query_len()), Ok(1 << 24));
    let found = one("llama.attention.value_length", 8);
    assert_eq!(found, value("attention.value_length", "the same as key_length"));
    for dim in [15, 18, 1] {
        let found = one("llama.rope.dimension_count", dim);
        assert_eq!(found, value("rope.dimension_count", "even, at most the head size"));
    }
}

#[test]
fn what_is_not_computed_is_refused() {
    let key = "rope.scaling.type";
    for scaling in [Value::Str("linear"), Value::Str("yarn"), Value::U32(1)] {
        let found = read(&[("llama.rope.scaling.type", Some(scaling))]);
        assert_eq!(found, value(key, "no position scaling"), "{scaling:?}");
    }
    let mut file = File { metadata: metadata(), tensors: vec![] };
    file.tensors.push(crate::file::Stored {
        name: "rope_freqs.weight".into(),
        kind: TensorType::F32,
        dims: vec![8],
        data: vec![0; 32],
    });
    let found = Header::read(&Gguf::parse(&file.bytes()).unwrap());
    assert_eq!(found, value(key, "no position scaling"));
    let found = read(&[("llama.expert_count", Some(Value::U32(8)))]);
    assert_eq!(found, value("expert_count", "0: experts are not computed"));
}
