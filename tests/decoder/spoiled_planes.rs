//! Digit planes, and the metadata that describes them, with something wrong.

use crate::file::{File, Meta, Stored, float_bytes};
use crate::planes::{Digits, digit_file};
use crate::{refusal, with_weights};
use trilane::core::digits::{Group, MatrixError};
use trilane::core::gguf::{TensorType, Value};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{ModelError, TensorName, keys, parts};

/// Rows of 96 weights, so two units with 32 weights of padding.
const NAME: TensorName = TensorName { layer: Some(1), part: "ffn_down" };
/// Its position among the matrices: the embedding, seven of layer 0, and the seventh of layer 1.
const INDEX: usize = 14;

/// What a file is refused with after a change.
fn spoil(digits: Digits, group: Group, change: impl FnOnce(&mut File)) -> Option<ModelError> {
    let mut file = digit_file(1, digits, group);
    assert_eq!(refusal(&file), None);
    change(&mut file);
    refusal(&file)
}

/// As [`spoil`], changing a part of the matrix; three tiers and groups of 32.
fn spoil_part(suffix: &str, change: impl FnOnce(&mut Stored)) -> Option<ModelError> {
    spoil(Digits::Nested(3), Group::G32, |file| change(file.tensor(&format!("{NAME}{suffix}"))))
}

fn matrix_error(error: MatrixError) -> Option<ModelError> {
    Some(ModelError::Tensor { name: NAME, error: error.into() })
}

#[test]
fn a_lane_that_is_not_stored() {
    for tiers in 1..=3 {
        with_weights(&digit_file(1, Digits::Nested(tiers), Group::G64), |weights| {
            let weights = weights.unwrap();
            for lane in PrecisionLane::ALL {
                let name = TensorName { layer: None, part: "token_embd" };
                let stored = PrecisionLane::NESTED[..tiers].contains(&lane);
                let expected = if stored { Ok(()) } else { Err(ModelError::Lane { name, lane }) };
                assert_eq!(weights.check_lane(lane), expected);
                assert_eq!(weights.bytes_per_token(lane).map(|_| ()), expected);
            }
        });
    }
    with_weights(&digit_file(1, Digits::Ternary, Group::G64), |weights| {
        let weights = weights.unwrap();
        assert_eq!(weights.check_lane(PrecisionLane::Ternary), Ok(()));
        let (name, lane) = (TensorName { layer: None, part: "token_embd" }, PrecisionLane::Bit3);
        assert_eq!(weights.check_lane(lane), Err(ModelError::Lane { name, lane }));
    });
}

#[test]
fn a_part_that_is_missing() {
    let without = |digits, suffix: &str| {
        spoil(digits, Group::G32, |file| file.remove(&format!("{NAME}{suffix}")))
    };
    let missing = Some(ModelError::MissingTensor { name: NAME });
    for suffix in [parts::HIGH, parts::GROUP_SCALES, parts::ROW_SCALES] {
        assert_eq!(without(Digits::Nested(3), suffix), missing, "{suffix}");
    }
    for (suffix, lane) in parts::DIGITS.into_iter().zip(PrecisionLane::NESTED) {
        let error = matrix_error(MatrixError::Lane { lane });
        assert_eq!(without(Digits::Nested(3), suffix), error, "{suffix}");
    }
    assert_eq!(without(Digits::Ternary, parts::TERNARY), missing);
}

/// Only a model without any part of an output matrix shares the embedding.
#[test]
fn an_output_matrix_in_part() {
    let name = TensorName { layer: None, part: "output" };
    let missing = Some(ModelError::MissingTensor { name });
    for suffix in [parts::HIGH, parts::GROUP_SCALES, parts::ROW_SCALES] {
        let found = spoil(Digits::Nested(3), Group::G32, |file| {
            file.remove(&format!("{name}{suffix}"));
        });
        assert_eq!(found, missing, "{suffix}");
    }
    let found = spoil_key(keys::NAMES, |meta| match meta {
        Meta::Texts(names) => *names.last_mut().unwrap() = "another".into(),
        _ => panic!("not an array of text"),
    });
    assert_eq!(found, missing);
    let found = spoil(Digits::Nested(3), Group::G32, |file| {
        file.tensors.retain(|tensor| !tensor.name.starts_with("output.weight"));
        if let Meta::Texts(names) = file.meta(keys::NAMES) {
            *names.last_mut().unwrap() = "another".into();
        }
    });
    assert_eq!(found, None);
}

#[test]
fn a_plane_of_another_shape() {
    let rows = 64;
    let shape = |suffix, expected, found| {
        Some(ModelError::PartShape { name: NAME, suffix, expected, found })
    };
    let check = |digits, suffix, cols| {
        let reshaped = |dims: &[usize]| {
            let bytes = dims.iter().product();
            spoil(digits, Group::G32, |file| {
                let tensor = file.tensor(&format!("{NAME}{suffix}"));
                assert_eq!(tensor.dims, [cols, rows]);
                tensor.data.resize(bytes, 1);
                tensor.dims = dims.into();
            })
        };
        let refused = |found| shape(suffix, (rows, cols), found);
        assert_eq!(reshaped(&[cols, rows + 1]), refused((rows + 1, cols)));
        assert_eq!(reshaped(&[cols, rows - 1]), refused((rows - 1, cols)));
        assert_eq!(reshaped(&[cols - 1, rows]), refused((rows, cols - 1)));
        // As many bytes as there should be.
        assert_eq!(reshaped(&[rows, cols]), refused((cols, rows)));
        assert_eq!(reshaped(&[cols * rows]), refused((1, cols * rows)));
        assert_eq!(reshaped(&[cols / 2, rows * 2]), refused((rows * 2, cols / 2)));
    };
    check(Digits::Nested(3), parts::HIGH, 16);
    for suffix in parts::DIGITS {
        check(Digits::Nested(3), suffix, 32);
    }
    for digits in [Digits::Nested(3), Digits::Ternary] {
        check(digits, parts::GROUP_SCALES, 4);
    }
    check(Digits::Ternary, parts::TERNARY, 32);
}

/// Planes and group scales are I8 and nothing else that has as many bytes.
#[test]
fn a_plane_of_another_type() {
    let check = |digits, suffix: &'static str| {
        let found = spoil(digits, Group::G32, |file| {
            let tensor = file.tensor(&format!("{NAME}{suffix}"));
            tensor.kind = TensorType::F16;
            tensor.dims[0] /= 2;
        });
        let (expected, kind) = (TensorType::I8, TensorType::F16);
        let error = ModelError::PartType { name: NAME, suffix, expected, found: kind };
        assert_eq!(found, Some(error));
        let message = format!("tensor {NAME}{suffix}: expected type I8, found F16");
        assert_eq!(error.to_string(), message);
    };
    for suffix in [parts::HIGH, parts::GROUP_SCALES].into_iter().chain(parts::DIGITS) {
        check(Digits::Nested(3), suffix);
    }
    check(Digits::Ternary, parts::TERNARY);
}

#[test]
fn padding_that_is_not_zero() {
    // Weight 127 of row 2: unit 1, position 3, byte 15; bits 7:6 of the last digit plane.
    let found = spoil_part(parts::DIGITS[2], |tensor| tensor.data[3 * 32 - 1] ^= 0x40);
    assert_eq!(found, matrix_error(MatrixError::Padding { row: 2, index: 127 }));
}

#[test]
fn a_ternary_code_of_three() {
    let found = spoil(Digits::Ternary, Group::Row, |file| {
        file.tensor(&format!("{NAME}{}", parts::TERNARY)).data[77] |= 0x0C;
    });
    assert_eq!(found, matrix_error(MatrixError::TernaryCode { offset: 77 }));
}

#[test]
fn row_scales_that_are_wrong() {
    // Three rows of 64: each lane's scale of row 5.
    for (i, lane) in PrecisionLane::NESTED.into_iter().enumerate() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let found = spoil_part(parts::ROW_SCALES, |tensor| {
                let at = 4 * (i * 64 + 5);
                tensor.data[at..at + 4].copy_from_slice(&float_bytes(&[bad]));
            });
            assert_eq!(found, matrix_error(MatrixError::Scale { lane, row: 5 }));
        }
    }
    let found = spoil(Digits::Ternary, Group::Row, |file| {
        let tensor = file.tensor(&format!("{NAME}{}", parts::ROW_SCALES));
        tensor.data[4 * 63..].copy_from_slice(&float_bytes(&[f32::NAN]));
    });
    let error = MatrixError::Scale { lane: PrecisionLane::Ternary, row: 63 };
    assert_eq!(found, matrix_error(error));
    // For more lanes than there are, or can be.
    for (digits, lanes, most) in [(Digits::Nested(3), 4, 3), (Digits::Ternary, 2, 1)] {
        let suffix = parts::ROW_SCALES;
        let found = spoil(digits, Group::G32, |file| {
            let tensor = file.tensor(&format!("{NAME}{suffix}"));
            tensor.dims[1] = lanes;
            tensor.data.resize(4 * lanes * 64, 0);
        });
        let (expected, found_shape) = ((most, 64), (lanes, 64));
        let error = ModelError::PartShape { name: NAME, suffix, expected, found: found_shape };
        assert_eq!(found, Some(error));
        let message = format!(
            "tensor {NAME}.row_scales: expected {most}×64 (rows × columns), found {lanes}×64"
        );
        assert_eq!(error.to_string(), message);
    }
    let found = spoil(Digits::Nested(2), Group::G32, |file| {
        let tensor = file.tensor(&format!("{NAME}{}", parts::ROW_SCALES));
        tensor.dims[1] = 3;
        tensor.data.resize(4 * 3 * 64, 0);
    });
    assert_eq!(found, matrix_error(MatrixError::Lane { lane: PrecisionLane::Bit7 }));
    // For two lanes where there are three tiers.
    let found = spoil_part(parts::ROW_SCALES, |tensor| {
        tensor.dims[1] = 2;
        tensor.data.truncate(4 * 2 * 64);
    });
    assert_eq!(found, matrix_error(MatrixError::Lane { lane: PrecisionLane::Bit7 }));
    // For another number of rows.
    let found = spoil_part(parts::ROW_SCALES, |tensor| {
        tensor.dims[0] = 63;
        tensor.data.truncate(4 * 3 * 63);
    });
    let error = ModelError::TensorShape { name: NAME, expected: (64, 96), found: (63, 96) };
    assert_eq!(found, Some(error));
    // The same bytes under another type.
    let kind = TensorType::I32;
    let found = spoil_part(parts::ROW_SCALES, |tensor| tensor.kind = kind);
    let (suffix, expected) = (parts::ROW_SCALES, TensorType::F32);
    let error = ModelError::PartType { name: NAME, suffix, expected, found: kind };
    assert_eq!(found, Some(error));
}

/// As [`spoil`], changing an array of the metadata.
fn spoil_key(key: &str, change: impl FnOnce(&mut Meta)) -> Option<ModelError> {
    spoil(Digits::Nested(2), Group::G64, |file| change(file.meta(key)))
}

fn set_number(n: u32) -> impl FnOnce(&mut Meta) {
    move |meta| match meta {
        Meta::Numbers(numbers) => numbers[INDEX] = n,
        _ => panic!("not an array of numbers"),
    }
}

fn set_text(text: &str) -> impl FnOnce(&mut Meta) {
    move |meta| match meta {
        Meta::Texts(texts) => texts[INDEX] = text.into(),
        _ => panic!("not an array of text"),
    }
}

fn value(key: &'static str, expected: &'static str) -> Option<ModelError> {
    Some(ModelError::Value { key, expected })
}

const NUMBERS: &str = "as many u32 as trilane.tensor.names has entries";
const FLOORS: &str = "one lane name for each tensor";

#[test]
fn arrays_of_another_length_or_type() {
    for (key, expected) in [(keys::COLS, NUMBERS), (keys::GROUP, NUMBERS), (keys::FLOOR, FLOORS)] {
        for len in [0, 1, 15, 17] {
            let found = spoil_key(key, |meta| match meta {
                Meta::Numbers(numbers) => numbers.resize(len, 64),
                Meta::Texts(texts) => texts.resize(len, "bit3".into()),
                _ => panic!("neither numbers nor text"),
            });
            assert_eq!(found, value(key, expected), "{key}, {len}");
        }
        let found = spoil_key(key, |meta| *meta = Meta::One(Value::U32(64)));
        assert_eq!(found, value(key, "an array"));
        let found = spoil(Digits::Nested(2), Group::G64, |file| {
            file.metadata.retain(|(k, _)| k != key);
        });
        assert_eq!(found, Some(ModelError::MissingKey { key }));
    }
    for key in [keys::COLS, keys::GROUP] {
        let found = spoil_key(key, |meta| *meta = Meta::Texts(vec!["64".into(); 16]));
        assert_eq!(found, value(key, NUMBERS));
        let found = spoil_key(key, |meta| *meta = Meta::Floats(vec![64.0; 16]));
        assert_eq!(found, value(key, NUMBERS));
    }
    let found = spoil_key(keys::FLOOR, |meta| *meta = Meta::Numbers(vec![3; 16]));
    assert_eq!(found, value(keys::FLOOR, FLOORS));
}

#[test]
fn a_group_that_does_not_exist() {
    for group in [1, 16, 33, 63, 65, 128, u32::MAX] {
        let found = spoil_key(keys::GROUP, set_number(group));
        assert_eq!(found, value(keys::GROUP, "0, 32 or 64"), "{group}");
    }
    // One that exists, but for which there are too few scales.
    let found = spoil_key(keys::GROUP, set_number(32));
    let (suffix, expected, found_shape) = (parts::GROUP_SCALES, (64, 4), (64, 2));
    let error = ModelError::PartShape { name: NAME, suffix, expected, found: found_shape };
    assert_eq!(found, Some(error));
}

#[test]
fn a_floor_that_does_not_exist_or_is_not_stored() {
    for name in ["", "Bit3", "bit4", "nested"] {
        let found = spoil_key(keys::FLOOR, set_text(name));
        assert_eq!(found, value(keys::FLOOR, FLOORS), "{name}");
    }
    for lane in [PrecisionLane::Bit7, PrecisionLane::Float32, PrecisionLane::Ternary] {
        let found = spoil_key(keys::FLOOR, set_text(lane.name()));
        assert_eq!(found, matrix_error(MatrixError::Lane { lane }));
    }
    assert_eq!(spoil_key(keys::FLOOR, set_text("bit5")), None);
}

#[test]
fn columns_that_are_not_those_of_the_model() {
    for cols in [0, 95, 97, 128] {
        let found = spoil_key(keys::COLS, set_number(cols));
        let found_shape = (64, cols as usize);
        let error = ModelError::TensorShape { name: NAME, expected: (64, 96), found: found_shape };
        assert_eq!(found, Some(error));
    }
}

#[test]
fn a_name_that_is_not_listed() {
    let found = spoil_key(keys::NAMES, set_text("another"));
    assert_eq!(found, Some(ModelError::MissingTensor { name: NAME }));
}

#[test]
fn a_list_of_names_that_is_none() {
    let names = [Meta::Numbers(vec![0; 16]), Meta::Floats(vec![0.0; 16])];
    for other in names.into_iter().chain([Meta::One(Value::Str("output.weight"))]) {
        let found = spoil_key(keys::NAMES, |meta| *meta = other);
        assert_eq!(found, value(keys::NAMES, "an array of strings"));
    }
    // Names without tensors: more of them than the file has of those.
    let found = spoil_key(keys::NAMES, |meta| *meta = Meta::Texts(vec![String::new(); 1000]));
    assert_eq!(found, value(keys::NAMES, "no more names than the file has tensors"));
}

#[test]
fn a_layout_of_another_version() {
    for version in [Value::U32(0), Value::U32(2), Value::Str("1"), Value::F32(1.0)] {
        let found = spoil_key(keys::VERSION, |meta| *meta = Meta::One(version));
        assert_eq!(found, value(keys::VERSION, "1"));
    }
    let key = keys::VERSION;
    let found = spoil(Digits::Nested(2), Group::G64, |file| {
        file.metadata.retain(|(k, _)| k != key);
    });
    assert_eq!(found, Some(ModelError::MissingKey { key }));
}
