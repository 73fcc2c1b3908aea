//! Matrices in digit planes as a file stores them: several tensors each, and an entry in the metadata.

use super::{ModelError, TensorName};
use crate::digits::{DigitMatrix, DigitPlanes, Group, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use crate::gguf::{Array, Gguf, Tensor, TensorType};
use crate::lane::PrecisionLane;
use crate::nn::Linear;
#[cfg(feature = "stored")]
use crate::nn::{Extent, RowSource, StoredMatrix, StoredParts};
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
    /// Whether an encoder stores what the ends of a text bring to its matrices (bool).
    pub const CENTRED: &str = "trilane.centred";
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

/// Longest name of a tensor that is looked for.
type Name = heapless::String<96>;

/// The lists of the layout, looked up once and of one length.
pub(super) struct Listed<'m> {
    names: Array<'m>,
    cols: Array<'m>,
    group: Array<'m>,
    floors: Array<'m>,
}

/// What the lists say about one matrix.
pub(super) struct Entry {
    cols: usize,
    group: Group,
    floor: PrecisionLane,
}

const NUMBERS: &str = "as many u32 as trilane.tensor.names has entries";
const FLOORS: &str = "one lane name for each tensor";

impl<'m> Listed<'m> {
    /// The lists of a file, or `None` where it has no names and so nothing in digit planes.
    pub(super) fn read(file: &Gguf<'m>) -> Result<Option<Self>, ModelError> {
        let names = file.get(keys::NAMES);
        match file.get(keys::VERSION) {
            Some(v) if v.as_u32() == Some(LAYOUT_VERSION) => {}
            None if names.is_none() => {}
            None => return Err(ModelError::MissingKey { key: keys::VERSION }),
            Some(_) => return Err(ModelError::Value { key: keys::VERSION, expected: "1" }),
        }
        let Some(names) = names else { return Ok(None) };
        let wrong = |key, expected| ModelError::Value { key, expected };
        let names = names
            .as_array()
            .filter(|names| names.strs().is_some())
            .ok_or(wrong(keys::NAMES, "an array of strings"))?;
        // Also bounds the time that looking through them takes.
        if names.len() > file.tensors().len() {
            return Err(wrong(keys::NAMES, "no more names than the file has tensors"));
        }
        let list = |key, expected| {
            let value = file.get(key).ok_or(ModelError::MissingKey { key })?;
            let array = value.as_array().ok_or(wrong(key, "an array"))?;
            if array.len() == names.len() { Ok(array) } else { Err(wrong(key, expected)) }
        };
        Ok(Some(Self {
            names,
            cols: list(keys::COLS, NUMBERS)?,
            group: list(keys::GROUP, NUMBERS)?,
            floors: list(keys::FLOOR, FLOORS)?,
        }))
    }

    /// The entry of a matrix, if it is listed.
    pub(super) fn entry(&self, name: TensorName) -> Option<Result<Entry, ModelError>> {
        let mut text = Name::new();
        write!(text, "{name}").ok()?;
        let index = self.names.strs()?.position(|listed| listed == text.as_str())?;
        Some(self.entry_at(index))
    }

    fn entry_at(&self, index: usize) -> Result<Entry, ModelError> {
        let number = |key, array: &Array<'_>| {
            let value = array.get(index).and_then(|v| v.as_u32());
            value.map(|n| n as usize).ok_or(ModelError::Value { key, expected: NUMBERS })
        };
        let cols = number(keys::COLS, &self.cols)?;
        let group = Group::from_weights(number(keys::GROUP, &self.group)?)
            .ok_or(ModelError::Value { key: keys::GROUP, expected: "0, 32 or 64" })?;
        let floor = self
            .floors
            .strs()
            .and_then(|mut strs| strs.nth(index))
            .and_then(PrecisionLane::from_name)
            .ok_or(ModelError::Value { key: keys::FLOOR, expected: FLOORS })?;
        Ok(Entry { cols, group, floor })
    }
}

/// The tensor of that name and suffix.
pub(super) fn find<'m>(file: &Gguf<'m>, name: TensorName, suffix: &str) -> Option<Tensor<'m>> {
    let mut text = Name::new();
    write!(text, "{name}{suffix}").ok()?;
    file.tensor(&text)
}

/// Bytes as floats, which have to be aligned as such.
pub(super) fn as_floats(bytes: &[u8], name: TensorName) -> Result<&[f32], ModelError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| ModelError::Unaligned { name })
}

/// The parts of a matrix in digit planes, found in the file, each of its type and shape.
struct Found<'m> {
    group: Group,
    floor: PrecisionLane,
    group_scales: Option<Tensor<'m>>,
    /// `None` for a ternary matrix.
    high: Option<Tensor<'m>>,
    digits: [Option<Tensor<'m>>; 3],
    /// A row for each lane.
    row_scales: Tensor<'m>,
}

/// Finds the parts of that matrix, which have to fit `entry` and the rows and columns that the model
/// asks for.
fn find_parts<'m>(
    file: &Gguf<'m>,
    name: TensorName,
    entry: Entry,
    rows: usize,
    cols: usize,
) -> Result<Found<'m>, ModelError> {
    let Entry { cols: found, group, floor } = entry;
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
        Group::Row => None,
        _ => Some(plane(parts::GROUP_SCALES, group.scales_per_unit())?.ok_or(missing)?),
    };
    let (high, digits, lanes) = match plane(parts::TERNARY, UNIT_DIGIT_BYTES)? {
        Some(digits) => (None, [Some(digits), None, None], 1),
        None => {
            let high = plane(parts::HIGH, UNIT_HIGH_BYTES)?.ok_or(missing)?;
            let mut digits = [None; 3];
            for (to, suffix) in digits.iter_mut().zip(parts::DIGITS) {
                *to = plane(suffix, UNIT_DIGIT_BYTES)?;
            }
            (Some(high), digits, digits.len())
        }
    };
    let shape = (scales.rows().min(lanes), rows);
    let row_scales = part(scales, name, parts::ROW_SCALES, TensorType::F32, shape)?;
    Ok(Found { group, floor, group_scales, high, digits, row_scales })
}

/// The matrix of that name in the planes of the file, all parts of which have to fit `entry` and the
/// rows and columns that the model asks for.
pub(super) fn digits<'m>(
    file: &Gguf<'m>,
    name: TensorName,
    entry: Entry,
    rows: usize,
    cols: usize,
) -> Result<Linear<'m>, ModelError> {
    let Found { group, floor, group_scales, high, digits, row_scales } =
        find_parts(file, name, entry, rows, cols)?;
    let data = |tensor: Option<Tensor<'m>>| tensor.map(|tensor| tensor.data());
    let mut rows_of_scales = as_floats(row_scales.data(), name)?.chunks_exact(rows.max(1));
    let row_scales = core::array::from_fn(|_| rows_of_scales.next());
    let planes = match high {
        None => DigitPlanes::Ternary {
            digits: data(digits[0]).unwrap_or(&[]),
            row_scales: row_scales[0].unwrap_or(&[]),
        },
        Some(high) => {
            DigitPlanes::Nested { high: high.data(), digits: digits.map(data), row_scales }
        }
    };
    let group_scales = data(group_scales).unwrap_or(&[]);
    let matrix = DigitMatrix::new(rows, cols, group, group_scales, planes)
        .map_err(|error| ModelError::Tensor { name, error: error.into() })?;
    matrix.lane(floor).map_err(|e| ModelError::Tensor { name, error: e.into() })?;
    Ok(Linear::Digits { matrix, floor })
}

/// As [`digits`], of a file whose tensors stay there.
#[cfg(feature = "stored")]
pub(super) fn stored_digits<'m>(
    file: &Gguf<'_>,
    source: &'m dyn RowSource,
    name: TensorName,
    entry: Entry,
    rows: usize,
    cols: usize,
) -> Result<Linear<'m>, ModelError> {
    let Found { group, floor, group_scales, high, digits, row_scales } =
        find_parts(file, name, entry, rows, cols)?;
    let all_scales = extent(&row_scales);
    let scales = |lane: usize| {
        let len = all_scales.len / row_scales.rows().max(1);
        (lane < row_scales.rows()).then_some(Extent { offset: all_scales.offset + lane * len, len })
    };
    let place = |tensor: Option<Tensor<'_>>| tensor.map(|tensor| extent(&tensor));
    let parts = StoredParts::Digits {
        group,
        floor,
        group_scales: place(group_scales).unwrap_or_default(),
        high: place(high),
        digits: digits.map(place),
        row_scales: core::array::from_fn(scales),
    };
    let matrix = StoredMatrix::new(rows, cols, parts);
    let matrix = matrix.map_err(|error| ModelError::Tensor { name, error })?;
    Ok(Linear::Stored { matrix, source })
}

/// Where a tensor's bytes lie.
#[cfg(feature = "stored")]
pub(super) fn extent(tensor: &Tensor<'_>) -> Extent {
    // What does not fit the address space has been refused with the file.
    let len = usize::try_from(tensor.data_len()).unwrap_or(usize::MAX);
    Extent { offset: tensor.file_offset(), len }
}

/// A part of a matrix, which has to be of that type and of that many rows and columns.
fn part<'m>(
    tensor: Tensor<'m>,
    name: TensorName,
    suffix: &'static str,
    kind: TensorType,
    shape: (usize, usize),
) -> Result<Tensor<'m>, ModelError> {
    if tensor.kind() != kind {
        let found = tensor.kind();
        return Err(ModelError::PartType { name, suffix, expected: kind, found });
    }
    let found = (tensor.rows(), tensor.cols());
    if found != shape {
        return Err(ModelError::PartShape { name, suffix, expected: shape, found });
    }
    Ok(tensor)
}
