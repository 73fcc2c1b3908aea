//! Files with something wrong, each refused by its exact error.

use crate::file::{File, Meta, Stored, float_bytes};
use crate::network::{Digits, Network};
use trilane::core::digits::{Group, MatrixError};
use trilane::core::gguf::{Gguf, TensorType, Value};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Mlp, MlpHeader, ModelError, TensorName, keys, parts};
use trilane::core::nn::LinearError;

/// Rows of 70 weights, so two units with 58 weights of padding.
const NAME: TensorName = TensorName { layer: Some(1), part: "linear" };

/// What a file of layers 40 → 70 → 70 → 5 is refused with after a change.
fn spoil(digits: Digits, change: impl FnOnce(&mut File)) -> Option<ModelError> {
    let mut file = Network::random(&[40, 70, 70, 5], digits, Group::G32, 3).file();
    let refusal = |file: &File| {
        let lines = file.lines();
        let gguf = Gguf::parse(bytemuck::cast_slice(&lines)).unwrap();
        Mlp::load(&gguf).err()
    };
    assert_eq!(refusal(&file), None);
    change(&mut file);
    refusal(&file)
}

fn spoil_key(key: &str, change: impl FnOnce(&mut Meta)) -> Option<ModelError> {
    spoil(Digits::Nested(2), |file| {
        change(&mut file.metadata.iter_mut().find(|(k, _)| k == key).unwrap().1);
    })
}

fn spoil_part(
    digits: Digits,
    suffix: &str,
    change: impl FnOnce(&mut Stored),
) -> Option<ModelError> {
    let name = format!("{NAME}{suffix}");
    spoil(digits, |file| change(file.tensors.iter_mut().find(|t| t.name == name).unwrap()))
}

fn value(key: &'static str, expected: &'static str) -> Option<ModelError> {
    Some(ModelError::Value { key, expected })
}

fn matrix_error(error: MatrixError) -> Option<ModelError> {
    Some(ModelError::Tensor { name: NAME, error: error.into() })
}

/// The keys without `mlp.`, and what each has to be.
const COUNTS: [(&str, &str); 4] = [
    ("block_count", "a count from 1 to 8"),
    ("feature_length", "a count from 1 to 2^16"),
    ("feed_forward_length", "a count from 1 to 2^16"),
    ("class_count", "a count from 1 to 2^16"),
];

#[test]
fn keys_that_are_missing() {
    for (key, _) in COUNTS {
        let found = spoil(Digits::Ternary, |file| {
            file.metadata.retain(|(k, _)| k.strip_prefix("mlp.") != Some(key));
        });
        assert_eq!(found, Some(ModelError::MissingKey { key }));
    }
    for key in ["general.architecture", keys::VERSION, keys::COLS, keys::GROUP, keys::FLOOR] {
        let found = spoil(Digits::Ternary, |file| file.metadata.retain(|(k, _)| k != key));
        assert_eq!(found, Some(ModelError::MissingKey { key }));
    }
}

#[test]
fn counts_that_cannot_be() {
    for (key, expected) in COUNTS {
        let too_large = if key == "block_count" { 9 } else { (1 << 16) + 1 };
        let bad = [0, too_large, u32::MAX].map(Value::U32);
        for bad in bad.into_iter().chain([Value::Str("4"), Value::F32(4.0), Value::I32(-1)]) {
            let found = spoil_key(&format!("mlp.{key}"), |meta| *meta = Meta::One(bad));
            assert_eq!(found, value(key, expected), "{bad:?}");
        }
    }
}

#[test]
fn another_architecture() {
    for bad in [Value::Str("llama"), Value::Str(""), Value::U32(1)] {
        let key = "general.architecture";
        let found = spoil_key(key, |meta| *meta = Meta::One(bad));
        assert_eq!(found, value(key, "\"mlp\""));
    }
}

/// The widths of neighbouring layers follow from the header, so no two matrices can disagree.
#[test]
fn shapes_that_are_not_those_of_the_header() {
    let shape = |layer, expected, found| {
        let name = TensorName { layer: Some(layer), part: "linear" };
        Some(ModelError::TensorShape { name, expected, found })
    };
    let set = |key: &str, n| spoil_key(key, |meta| *meta = Meta::One(Value::U32(n)));
    assert_eq!(set("mlp.feature_length", 41), shape(0, (70, 41), (70, 40)));
    assert_eq!(set("mlp.feed_forward_length", 64), shape(0, (64, 40), (70, 40)));
    assert_eq!(set("mlp.class_count", 6), shape(2, (6, 70), (5, 70)));
    assert_eq!(set("mlp.block_count", 2), shape(1, (5, 70), (70, 70)));
    // The last matrix is then a hidden one.
    assert_eq!(set("mlp.block_count", 4), shape(2, (70, 70), (5, 70)));
    let cols = spoil_key(keys::COLS, |meta| match meta {
        Meta::Numbers(cols) => cols[1] = 64,
        _ => panic!("not numbers"),
    });
    assert_eq!(cols, shape(1, (70, 70), (70, 64)));
}

#[test]
fn a_matrix_that_is_missing_or_not_in_digit_planes() {
    let unlisted = |name: &str| {
        spoil_key(keys::NAMES, |meta| match meta {
            Meta::Texts(names) => names[1] = name.into(),
            _ => panic!("not text"),
        })
    };
    assert_eq!(unlisted("another"), Some(ModelError::MissingTensor { name: NAME }));
    let found = spoil(Digits::Ternary, |file| {
        file.metadata.retain(|(k, _)| !k.starts_with("trilane."));
    });
    let first = TensorName { layer: Some(0), part: "linear" };
    assert_eq!(found, Some(ModelError::MissingTensor { name: first }));
    let found = spoil(Digits::Ternary, |file| {
        file.metadata.retain(|(k, _)| !k.starts_with("trilane."));
        let (name, kind) = (first.to_string(), TensorType::F32);
        file.tensors.push(Stored { name, kind, dims: vec![40, 70], data: vec![0; 4 * 40 * 70] });
    });
    let error = LinearError::Unsupported { kind: TensorType::F32 };
    assert_eq!(found, Some(ModelError::Tensor { name: first, error }));
    for suffix in [parts::HIGH, parts::GROUP_SCALES, parts::ROW_SCALES] {
        let found = spoil(Digits::Nested(1), |file| {
            file.tensors.retain(|t| t.name != format!("{NAME}{suffix}"));
        });
        assert_eq!(found, Some(ModelError::MissingTensor { name: NAME }), "{suffix}");
    }
}

#[test]
fn parts_of_another_length() {
    for (digits, suffix, cols) in [
        (Digits::Ternary, parts::TERNARY, 32),
        (Digits::Nested(1), parts::HIGH, 16),
        (Digits::Nested(1), parts::DIGITS[0], 32),
        (Digits::Nested(1), parts::GROUP_SCALES, 4),
    ] {
        for found_cols in [cols - 1, cols + 1] {
            let found = spoil_part(digits, suffix, |part| {
                part.dims[0] = found_cols;
                part.data.resize(70 * found_cols, 0);
            });
            let (expected, found_shape) = ((70, cols), (70, found_cols));
            let error = ModelError::PartShape { name: NAME, suffix, expected, found: found_shape };
            assert_eq!(found, Some(error), "{suffix}");
        }
    }
}

#[test]
fn codes_that_do_not_exist() {
    let found = spoil_part(Digits::Ternary, parts::TERNARY, |part| part.data[9] = 0b1101_0101);
    assert_eq!(found, matrix_error(MatrixError::TernaryCode { offset: 9 }));
    // Weight 70 is position 0, byte 6 of the second unit.
    let found = spoil_part(Digits::Ternary, parts::TERNARY, |part| part.data[22] ^= 0b11);
    assert_eq!(found, matrix_error(MatrixError::Padding { row: 0, index: 70 }));
}

#[test]
fn row_scales_that_are_not_one_positive_number() {
    let set = |row: usize, scale: f32| {
        spoil_part(Digits::Ternary, parts::ROW_SCALES, |part| {
            part.data[4 * row..4 * row + 4].copy_from_slice(&float_bytes(&[scale]));
        })
    };
    for found in [0.0, -0.0, -0.5] {
        let error = ModelError::RowScale { name: NAME, row: 0, found, expected: None };
        assert_eq!(set(0, found), Some(error));
    }
    let scale = Network::random(&[40, 70, 70, 5], Digits::Ternary, Group::G32, 3).0[1].scale;
    for row in [1, 30, 69] {
        for found in [0.0, -scale, f32::from_bits(scale.to_bits() + 1)] {
            let error = ModelError::RowScale { name: NAME, row, found, expected: Some(scale) };
            assert_eq!(set(row, found), Some(error));
        }
        let lane = PrecisionLane::Ternary;
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(set(row, bad), matrix_error(MatrixError::Scale { lane, row }));
        }
    }
}

/// Memory is known before any weight is read; nothing in a header makes it overflow.
#[test]
fn the_largest_header_has_an_arena() {
    let n = 1 << 16;
    let header = MlpHeader { layers: 8, features: n, hidden: n, classes: n };
    assert_eq!(64 * header.arena_lines(), 8 * n + n + n / 16 + n / 16);
}
