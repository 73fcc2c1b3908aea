//! Weights that are missing, of another shape or type, or not finite.

use crate::file::{File, Meta, Stored, float_bytes, float_file};
use crate::{refusal, with_weights};
use trilane::core::gguf::{Gguf, TensorType, Value};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Layer, Line, ModelError, TensorName, Weights};
use trilane::core::nn::LinearError;

impl File {
    pub(crate) fn tensor(&mut self, name: &str) -> &mut Stored {
        self.tensors.iter_mut().find(|t| t.name == name).unwrap()
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let before = self.tensors.len();
        self.tensors.retain(|t| t.name != name);
        assert_eq!(self.tensors.len(), before - 1, "{name}");
    }

    pub(crate) fn meta(&mut self, key: &str) -> &mut Meta {
        &mut self.metadata.iter_mut().find(|(k, _)| k == key).unwrap().1
    }
}

/// The parts of a layer.
pub(crate) const PARTS: [&str; 9] = [
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
];

/// Every tensor but the output matrix, which may be missing.
fn names() -> impl Iterator<Item = TensorName> {
    let inside = |layer| PARTS.map(|part| TensorName { layer: Some(layer), part });
    let outside = ["token_embd", "output_norm"].map(|part| TensorName { layer: None, part });
    (0..2).flat_map(inside).chain(outside)
}

#[test]
fn a_tensor_that_is_missing() {
    for name in names() {
        let mut file = float_file(1);
        file.remove(&name.to_string());
        assert_eq!(refusal(&file), Some(ModelError::MissingTensor { name }));
    }
}

#[test]
fn a_tensor_of_another_shape() {
    for name in names().chain([TensorName { layer: None, part: "output" }]) {
        let mut file = float_file(1);
        let tensor = file.tensor(&name.to_string());
        let (cols, rows) = (tensor.dims[0], tensor.dims.get(1).copied());
        // A row more; then, for matrices, rows and columns exchanged.
        let more = rows.map_or(vec![cols + 1], |rows| vec![cols, rows + 1]);
        let turned = rows.filter(|&rows| rows != cols).map(|rows| vec![rows, cols]);
        for dims in [Some(more), turned].into_iter().flatten() {
            let mut file = float_file(1);
            let tensor = file.tensor(&name.to_string());
            let found = (dims.get(1).copied().unwrap_or(1), dims[0]);
            tensor.data.resize(4 * found.0 * found.1, 0);
            tensor.dims = dims;
            let expected = (rows.unwrap_or(1), cols);
            let error = ModelError::TensorShape { name, expected, found };
            assert_eq!(refusal(&file), Some(error));
        }
    }
}

#[test]
fn a_weight_that_is_not_finite() {
    for name in names().chain([TensorName { layer: None, part: "output" }]) {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for from_end in [4, 100] {
                let mut file = float_file(1);
                let data = &mut file.tensor(&name.to_string()).data;
                let at = data.len() - from_end;
                data[at..at + 4].copy_from_slice(&float_bytes(&[bad]));
                assert_eq!(refusal(&file), Some(ModelError::NotFinite { name }));
            }
        }
    }
}

/// A matrix in another block type, all bytes zero.
fn retyped(part: &str, kind: TensorType) -> File {
    let mut file = float_file(1);
    let tensor = file.tensor(&format!("blk.1.{part}.weight"));
    tensor.kind = kind;
    let weights: usize = tensor.dims.iter().product();
    tensor.data = vec![0; weights / kind.block_len() * kind.block_bytes()];
    file
}

#[test]
fn a_scale_of_a_block_that_is_not_finite() {
    let name = TensorName { layer: Some(1), part: "ffn_up" };
    // Where the exponent of the last weight or scale is.
    for (kind, from_end) in [
        (TensorType::F16, 1),
        (TensorType::BF16, 1),
        (TensorType::Q8_0, 33),
        (TensorType::Q4_0, 17),
    ] {
        let mut file = retyped("ffn_up", kind);
        assert_eq!(refusal(&file), None, "{kind}");
        // NaN, infinity, and the infinity below zero; then the largest number that there is.
        let infinity = if kind == TensorType::BF16 { 0x7F80 } else { 0x7C00 };
        for (bits, finite) in
            [(0x7FFF, false), (infinity, false), (infinity | 0x8000, false), (infinity - 1, true)]
        {
            let data = &mut file.tensor("blk.1.ffn_up.weight").data;
            let at = data.len() - from_end;
            data[at - 1..=at].copy_from_slice(&u16::to_le_bytes(bits));
            let expected = (!finite).then_some(ModelError::NotFinite { name });
            assert_eq!(refusal(&file), expected, "{kind} {bits:x}");
        }
    }
}

#[test]
fn a_type_that_cannot_be_computed_on() {
    let kind = TensorType::I8;
    let error = LinearError::Unsupported { kind };
    let name = TensorName { layer: Some(1), part: "attn_v" };
    let expected = Some(ModelError::Tensor { name, error });
    assert_eq!(refusal(&retyped("attn_v", kind)), expected);
    // Norms are F32 and nothing else.
    let kind = TensorType::F16;
    let error = LinearError::Unsupported { kind };
    let name = TensorName { layer: Some(1), part: "ffn_norm" };
    let expected = Some(ModelError::Tensor { name, error });
    assert_eq!(refusal(&retyped("ffn_norm", kind)), expected);
}

#[test]
fn floats_at_an_odd_address() {
    let bytes = float_file(1).bytes();
    let mut lines = vec![Line::ZERO; bytes.len() / 64 + 2];
    let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut lines);
    let name = TensorName { layer: Some(0), part: "attn_norm" };
    for start in 0..8 {
        let place = &mut memory[start..start + bytes.len()];
        place.copy_from_slice(&bytes);
        let gguf = Gguf::parse(place).unwrap();
        let mut layers = [Layer::EMPTY; 2];
        let found = Weights::load(&gguf, &mut layers).err();
        let expected = (start % 4 != 0).then_some(ModelError::Unaligned { name });
        assert_eq!(found, expected, "{start}");
    }
}

#[test]
fn memory_for_too_few_layers() {
    let lines = float_file(1).lines();
    let gguf = Gguf::parse(bytemuck::cast_slice(&lines)).unwrap();
    for actual in 0..2 {
        let mut layers = vec![Layer::EMPTY; actual];
        let error = ModelError::Memory { what: "layers", expected: 2, actual };
        assert_eq!(Weights::load(&gguf, &mut layers).err(), Some(error));
    }
    assert!(Weights::load(&gguf, &mut [Layer::EMPTY; 3]).is_ok());
}

#[test]
fn a_header_that_is_refused_is_refused_with_the_weights() {
    let mut file = float_file(1);
    *file.meta("llama.block_count") = Meta::One(Value::Str("two"));
    let error = ModelError::Value { key: "block_count", expected: "a count from 1 to 2^24" };
    assert_eq!(refusal(&file), Some(error));
}

#[test]
fn float_models_have_the_float_lane_only() {
    with_weights(&float_file(1), |weights| {
        let weights = weights.unwrap();
        let name = TensorName { layer: None, part: "token_embd" };
        for lane in PrecisionLane::ALL {
            let float = lane == PrecisionLane::Float32;
            let expected = if float { Ok(()) } else { Err(ModelError::Lane { name, lane }) };
            assert_eq!(weights.check_lane(lane), expected);
        }
        let names: Vec<String> = weights.linears().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names.len(), 16);
        assert_eq!((&names[0][..], &names[15][..]), ("token_embd.weight", "output.weight"));
        assert_eq!(&names[8], "blk.1.attn_q.weight");
        // Norms, one embedding, the output, and the seven matrices of each layer.
        let layer = 64 * 64 * 2 + 32 * 64 * 2 + 3 * 96 * 64;
        let floats = 5 * 64 + 64 + 40 * 64 + 2 * layer;
        assert_eq!(weights.bytes_per_token(PrecisionLane::Float32), Ok(4 * floats));
    });
}
