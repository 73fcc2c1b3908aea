//! Finding and checking the weight tensors of a decoder.

use super::{Header, ModelError, TensorName};
use crate::digits::{DigitMatrix, DigitPlanes, Group, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use crate::gguf::{Gguf, Tensor, TensorType};
use crate::lane::PrecisionLane;
use crate::nn::{Linear, LinearError};
use core::fmt::Write;

/// Metadata keys that say which tensors are stored in digit planes; four arrays of one length.
pub mod keys {
    /// Names of the tensors (strings).
    pub const NAMES: &str = "trilane.tensor.names";
    /// Columns of each, padding not counted (u32).
    pub const COLS: &str = "trilane.tensor.cols";
    /// Weights that share a scale, 0 for the whole row (u32).
    pub const GROUP: &str = "trilane.tensor.group";
    /// Lowest lane that each may be read at (strings).
    pub const FLOOR: &str = "trilane.tensor.floor";
    /// Version of the layout (u32).
    pub const VERSION: &str = "trilane.version";
}

/// Suffixes of the tensors that a matrix in digit planes is stored in: I8 with as many rows as the
/// matrix, but for the row scales, which are F32, one row of the tensor for each lane, lowest first.
pub mod parts {
    /// The 1-bit plane.
    pub const HIGH: &str = ".high";
    /// The digit planes of a nested tensor, first tier first.
    pub const DIGITS: [&str; 3] = [".digits0", ".digits1", ".digits2"];
    /// The digit plane of a ternary tensor.
    pub const TERNARY: &str = ".trits";
    /// The u8 scales of the groups.
    pub const GROUP_SCALES: &str = ".group_scales";
    /// The f32 scales of the rows.
    pub const ROW_SCALES: &str = ".row_scales";
}

/// Layout version that this build reads and writes.
pub const LAYOUT_VERSION: u32 = 1;

/// The weights of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'m> {
    pub(super) attn_norm: &'m [f32],
    pub(super) attn_q: Linear<'m>,
    pub(super) attn_k: Linear<'m>,
    pub(super) attn_v: Linear<'m>,
    pub(super) attn_output: Linear<'m>,
    pub(super) ffn_norm: &'m [f32],
    pub(super) ffn_gate: Linear<'m>,
    pub(super) ffn_up: Linear<'m>,
    pub(super) ffn_down: Linear<'m>,
}

const NOTHING: Linear<'static> =
    Linear::Blocks { kind: TensorType::F32, rows: 0, cols: 0, data: &[] };

impl<'m> Layer<'m> {
    /// A place for a layer's weights.
    pub const EMPTY: Self = Self {
        attn_norm: &[],
        attn_q: NOTHING,
        attn_k: NOTHING,
        attn_v: NOTHING,
        attn_output: NOTHING,
        ffn_norm: &[],
        ffn_gate: NOTHING,
        ffn_up: NOTHING,
        ffn_down: NOTHING,
    };

    /// The linear layers, with their names.
    fn linears(&self) -> [(&'static str, &Linear<'m>); 7] {
        [
            ("attn_q", &self.attn_q),
            ("attn_k", &self.attn_k),
            ("attn_v", &self.attn_v),
            ("attn_output", &self.attn_output),
            ("ffn_gate", &self.ffn_gate),
            ("ffn_up", &self.ffn_up),
            ("ffn_down", &self.ffn_down),
        ]
    }
}

/// The weights of a llama-family decoder, borrowed from a file and checked.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, 'm> {
    pub(super) header: Header,
    pub(super) token_embd: Linear<'m>,
    pub(super) output: Linear<'m>,
    pub(super) output_norm: &'m [f32],
    pub(super) layers: &'a [Layer<'m>],
}

impl<'a, 'm> Weights<'a, 'm> {
    /// Finds and checks every tensor; `layers` is memory for as many layers as the header says.
    ///
    /// # Errors
    /// [`ModelError`] with the tensor's name, what was expected and what was found.
    pub fn load(file: &Gguf<'m>, layers: &'a mut [Layer<'m>]) -> Result<Self, ModelError> {
        let header = Header::read(file)?;
        let actual = layers.len();
        let expected = header.layers;
        let Some(layers) = layers.get_mut(..expected) else {
            return Err(ModelError::Memory { what: "layers", expected, actual });
        };
        check_layout(file)?;
        let (dim, hidden) = (header.dim, header.hidden);
        let (query, kv) = (header.query_len(), header.kv_len());
        for (i, layer) in layers.iter_mut().enumerate() {
            let name = |part| TensorName { layer: Some(i), part };
            *layer = Layer {
                attn_norm: floats(file, name("attn_norm"), dim)?,
                attn_q: linear(file, name("attn_q"), query, dim)?,
                attn_k: linear(file, name("attn_k"), kv, dim)?,
                attn_v: linear(file, name("attn_v"), kv, dim)?,
                attn_output: linear(file, name("attn_output"), dim, query)?,
                ffn_norm: floats(file, name("ffn_norm"), dim)?,
                ffn_gate: linear(file, name("ffn_gate"), hidden, dim)?,
                ffn_up: linear(file, name("ffn_up"), hidden, dim)?,
                ffn_down: linear(file, name("ffn_down"), dim, hidden)?,
            };
        }
        let name = |part| TensorName { layer: None, part };
        let token_embd = linear(file, name("token_embd"), header.vocabulary, dim)?;
        let output = match linear(file, name("output"), header.vocabulary, dim) {
            // Without an output matrix the embedding serves for both.
            Err(ModelError::MissingTensor { .. }) => token_embd,
            output => output?,
        };
        let output_norm = floats(file, name("output_norm"), dim)?;
        Ok(Self { header, token_embd, output, output_norm, layers })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Every linear layer with its name; the embedding table first, the output last.
    pub fn linears(&self) -> impl Iterator<Item = (TensorName, &Linear<'m>)> {
        let outside = |part, linear| (TensorName { layer: None, part }, linear);
        let inside = self.layers.iter().enumerate().flat_map(|(i, layer)| {
            layer.linears().map(|(part, linear)| (TensorName { layer: Some(i), part }, linear))
        });
        core::iter::once(outside("token_embd", &self.token_embd))
            .chain(inside)
            .chain(core::iter::once(outside("output", &self.output)))
    }

    /// Checks that the model can be read at a lane: that some tensor is, and for
    /// [`PrecisionLane::Float32`] that every tensor is. Tensors that are not stored at that lane,
    /// or kept above it, are read at the nearest lane that they have.
    ///
    /// # Errors
    /// [`ModelError::Lane`] with a tensor that is not.
    pub fn check_lane(&self, lane: PrecisionLane) -> Result<(), ModelError> {
        let mut others = self.linears().filter(|(_, linear)| linear.lane(lane) != lane);
        let Some((name, _)) = others.next() else { return Ok(()) };
        let none = others.count() + 1 == self.linears().count();
        if none || lane == PrecisionLane::Float32 {
            Err(ModelError::Lane { name, lane })
        } else {
            Ok(())
        }
    }

    /// Bytes of weights that one token reads at a lane: every linear layer once, of the embedding
    /// table one row, and the norms.
    ///
    /// # Errors
    /// [`ModelError::Lane`] when a tensor is not stored at that lane.
    pub fn bytes_per_token(&self, lane: PrecisionLane) -> Result<usize, ModelError> {
        self.check_lane(lane)?;
        let mut bytes = (2 * self.header.layers + 1) * self.header.dim * size_of::<f32>();
        for (name, linear) in self.linears() {
            let all = linear.bytes(lane).map_err(|_| ModelError::Lane { name, lane })?;
            let embedding = name.layer.is_none() && name.part == "token_embd";
            bytes += if embedding { all / linear.rows().max(1) } else { all };
        }
        Ok(bytes)
    }
}

/// Checks the keys of the layout as far as they hold for all tensors: a list of names has to be
/// one of strings, and comes with the version.
fn check_layout(file: &Gguf<'_>) -> Result<(), ModelError> {
    let names = file.get(keys::NAMES);
    if names.is_some_and(|v| v.as_array().is_none_or(|array| array.strs().is_none())) {
        return Err(ModelError::Value { key: keys::NAMES, expected: "an array of strings" });
    }
    match file.get(keys::VERSION) {
        Some(v) if v.as_u32() == Some(LAYOUT_VERSION) => Ok(()),
        None if names.is_none() => Ok(()),
        None => Err(ModelError::MissingKey { key: keys::VERSION }),
        Some(_) => Err(ModelError::Value { key: keys::VERSION, expected: "1" }),
    }
}

/// The tensor of that name and suffix.
fn find<'m>(file: &Gguf<'m>, name: TensorName, suffix: &str) -> Option<Tensor<'m>> {
    let mut text = heapless::String::<96>::new();
    write!(text, "{name}{suffix}").ok()?;
    file.tensor(&text)
}

/// The tensor's bytes as floats, which it must hold `len` of.
fn floats<'m>(file: &Gguf<'m>, name: TensorName, len: usize) -> Result<&'m [f32], ModelError> {
    let tensor = find(file, name, "").ok_or(ModelError::MissingTensor { name })?;
    if tensor.elements() != len {
        let found = (tensor.rows(), tensor.cols());
        return Err(ModelError::TensorShape { name, expected: (1, len), found });
    }
    if tensor.kind() != TensorType::F32 {
        let error = LinearError::Unsupported { kind: tensor.kind() };
        return Err(ModelError::Tensor { name, error });
    }
    let values = as_floats(tensor.data(), name)?;
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(ModelError::NotFinite { name })
    }
}

fn as_floats(bytes: &[u8], name: TensorName) -> Result<&[f32], ModelError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| ModelError::Unaligned { name })
}

/// A matrix: from digit planes when the metadata lists it, else from the tensor of that name.
fn linear<'m>(
    file: &Gguf<'m>,
    name: TensorName,
    rows: usize,
    cols: usize,
) -> Result<Linear<'m>, ModelError> {
    let mut text = heapless::String::<96>::new();
    let listed = write!(text, "{name}").is_ok().then(|| planes_entry(file, &text)).flatten();
    if let Some(index) = listed {
        return digits(file, name, index, rows, cols);
    }
    let tensor = find(file, name, "").ok_or(ModelError::MissingTensor { name })?;
    if (tensor.rows(), tensor.cols()) != (rows, cols) {
        let found = (tensor.rows(), tensor.cols());
        return Err(ModelError::TensorShape { name, expected: (rows, cols), found });
    }
    let linear = Linear::blocks(tensor.kind(), rows, cols, tensor.data())
        .map_err(|error| ModelError::Tensor { name, error })?;
    if !scales_are_finite(tensor.kind(), tensor.data()) {
        return Err(ModelError::NotFinite { name });
    }
    if tensor.kind() == TensorType::F32 {
        as_floats(tensor.data(), name)?;
    }
    Ok(linear)
}

/// Position of a tensor in the list of those stored in digit planes.
pub(super) fn planes_entry(file: &Gguf<'_>, name: &str) -> Option<usize> {
    file.get(keys::NAMES)?.as_array()?.strs()?.position(|n| n == name)
}

/// The column count, group and floor of entry `index`.
fn entry(file: &Gguf<'_>, index: usize) -> Result<(usize, Group, PrecisionLane), ModelError> {
    let array = |key: &'static str| {
        let value = file.get(key).ok_or(ModelError::MissingKey { key })?;
        value.as_array().ok_or(ModelError::Value { key, expected: "an array" })
    };
    let names = array(keys::NAMES)?.len();
    let number = |key: &'static str| {
        let array = array(key)?;
        let value = array.get(index).filter(|_| array.len() == names).and_then(|v| v.as_u32());
        value.map(|n| n as usize).ok_or(ModelError::Value {
            key,
            expected: "as many u32 as trilane.tensor.names has entries",
        })
    };
    let cols = number(keys::COLS)?;
    let group = Group::from_weights(number(keys::GROUP)?)
        .ok_or(ModelError::Value { key: keys::GROUP, expected: "0, 32 or 64" })?;
    let floors = array(keys::FLOOR)?;
    let floor = floors
        .strs()
        .filter(|_| floors.len() == names)
        .and_then(|mut strs| strs.nth(index))
        .and_then(PrecisionLane::from_name)
        .ok_or(ModelError::Value { key: keys::FLOOR, expected: "one lane name for each tensor" })?;
    Ok((cols, group, floor))
}

fn digits<'m>(
    file: &Gguf<'m>,
    name: TensorName,
    index: usize,
    rows: usize,
    cols: usize,
) -> Result<Linear<'m>, ModelError> {
    let (found, group, floor) = entry(file, index)?;
    let scales = find(file, name, parts::ROW_SCALES).ok_or(ModelError::MissingTensor { name })?;
    if (scales.cols(), found) != (rows, cols) {
        let found = (scales.cols(), found);
        return Err(ModelError::TensorShape { name, expected: (rows, cols), found });
    }
    let units = units(cols);
    // A part of that many bytes a unit, if the file has it.
    let plane = |suffix, unit_bytes: usize| match find(file, name, suffix) {
        Some(t) => part(t, name, suffix, TensorType::I8, (rows, units * unit_bytes)).map(Some),
        None => Ok(None),
    };
    let missing = ModelError::MissingTensor { name };
    let group_scales = match group {
        Group::Row => &[][..],
        _ => plane(parts::GROUP_SCALES, group.scales_per_unit())?.ok_or(missing)?,
    };
    // The row scales of that many lanes at most.
    let row_scales = |lanes: usize| {
        let shape = (scales.rows().min(lanes), rows);
        as_floats(part(scales, name, parts::ROW_SCALES, TensorType::F32, shape)?, name)
    };
    let planes = match plane(parts::TERNARY, UNIT_DIGIT_BYTES)? {
        Some(digits) => DigitPlanes::Ternary { digits, row_scales: row_scales(1)? },
        None => {
            let high = plane(parts::HIGH, UNIT_HIGH_BYTES)?.ok_or(missing)?;
            let mut digits = [None; 3];
            for (to, suffix) in digits.iter_mut().zip(parts::DIGITS) {
                *to = plane(suffix, UNIT_DIGIT_BYTES)?;
            }
            let mut rows_of_scales = row_scales(digits.len())?.chunks_exact(rows);
            let row_scales = core::array::from_fn(|_| rows_of_scales.next());
            DigitPlanes::Nested { high, digits, row_scales }
        }
    };
    let matrix = DigitMatrix::new(rows, cols, group, group_scales, planes)
        .map_err(|error| ModelError::Tensor { name, error: error.into() })?;
    matrix.lane(floor).map_err(|e| ModelError::Tensor { name, error: e.into() })?;
    Ok(Linear::Digits { matrix, floor })
}

/// The bytes of a part of a matrix, which has to be of that type and of that many rows and columns.
fn part<'m>(
    tensor: Tensor<'m>,
    name: TensorName,
    suffix: &'static str,
    kind: TensorType,
    shape: (usize, usize),
) -> Result<&'m [u8], ModelError> {
    if tensor.kind() != kind {
        let found = tensor.kind();
        return Err(ModelError::PartType { name, suffix, expected: kind, found });
    }
    let found = (tensor.rows(), tensor.cols());
    if found != shape {
        return Err(ModelError::PartShape { name, suffix, expected: shape, found });
    }
    Ok(tensor.data())
}

/// Whether no stored float, or scale of a block, is NaN or infinite.
fn scales_are_finite(kind: TensorType, data: &[u8]) -> bool {
    let half =
        |b: &[u8]| b.first_chunk().is_some_and(|b| u16::from_le_bytes(*b) & 0x7C00 != 0x7C00);
    let upper =
        |b: &[u8]| b.last_chunk().is_some_and(|b| u16::from_le_bytes(*b) & 0x7F80 != 0x7F80);
    let mut blocks = data.chunks_exact(kind.block_bytes().max(1));
    match kind {
        TensorType::F32 | TensorType::BF16 => blocks.all(upper),
        // The scale is the first half of a block, and a half is a block of its own.
        _ => blocks.all(half),
    }
}
