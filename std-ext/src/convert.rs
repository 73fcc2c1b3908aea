//! From the types that models come in, as GGUF files or as folders, to digit planes.

mod centre;
#[cfg(feature = "hugging-face")]
pub mod folder;
mod matrix;
mod plan;
mod source;

use crate::gguf_writer::{GgufWriter, WriteError, write_atomically};
use crate::packed_matrix::RowError;
use matrix::pack;
use plan::{Plan, Planned};
use source::Source;
use std::fmt;
use std::path::Path;
use trilane_core::digits::Group;
use trilane_core::gguf::blocks::SUPPORTED;
use trilane_core::gguf::{Gguf, TensorType};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{LAYOUT_VERSION, keys};

/// What to make of a file.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// The highest lane that is stored; a nested lane brings those below it. `Float32`, for folders,
    /// stores every matrix as it is.
    pub lane: PrecisionLane,
    /// How many weights share a u8 scale.
    pub group: Group,
    /// Tensors that stay at a lane of their own: the first pattern (`*` and `?`) that matches a
    /// tensor's name counts. `Float32` copies the tensor as it is.
    pub keep: Vec<(String, PrecisionLane)>,
}

/// Why a conversion failed. Nothing has then been written.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConvertError {
    /// `lane` is not one that is stored in digit planes.
    Lane(PrecisionLane),
    /// A pattern of `keep` matches no matrix of the file.
    Pattern(String),
    /// The file holds digit planes already.
    AlreadyConverted,
    /// The file holds no matrix.
    NothingToConvert,
    /// A tensor's type cannot be expanded.
    Unsupported {
        /// The tensor.
        tensor: String,
        /// Its type.
        kind: TensorType,
    },
    /// A weight is NaN or infinite.
    Quant {
        /// The tensor.
        tensor: String,
        /// The row.
        row: usize,
        /// Where in the row.
        error: RowError,
    },
    /// A folder's files.
    #[cfg(feature = "hugging-face")]
    Folder(folder::FolderError),
    /// A part of the new file cannot be written: a name too long, or the disk.
    Write(WriteError),
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lane(lane) => {
                write!(f, "lane {lane}: expected one of ternary, bit3, bit5, bit7")
            }
            Self::Pattern(pattern) => write!(f, "pattern {pattern:?} matches no matrix"),
            Self::AlreadyConverted => f.write_str("the file is stored in digit planes already"),
            Self::NothingToConvert => f.write_str("the file holds no matrix to convert"),
            Self::Unsupported { tensor, kind } => {
                write!(f, "tensor {tensor}: expected {SUPPORTED}, found {kind}")
            }
            Self::Quant { tensor, row, error } => write!(f, "tensor {tensor}, row {row}: {error}"),
            #[cfg(feature = "hugging-face")]
            Self::Folder(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConvertError {}

impl From<WriteError> for ConvertError {
    fn from(e: WriteError) -> Self {
        Self::Write(e)
    }
}

impl From<std::io::Error> for ConvertError {
    fn from(e: std::io::Error) -> Self {
        Self::Write(e.into())
    }
}

/// What became of one tensor.
#[derive(Clone, Debug)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// Its type before.
    pub kind: TensorType,
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Bytes before and after.
    pub bytes: (usize, usize),
    /// For each lane stored: bits read for a weight, scales included, and the relative error
    /// `√(Σ(w − w')² / Σw²)`. Empty for a tensor copied as it is.
    pub lanes: Vec<LaneReport>,
    /// The lowest lane that the tensor may be read at.
    pub floor: PrecisionLane,
}

/// One lane of a converted tensor.
#[derive(Clone, Copy, Debug)]
pub struct LaneReport {
    /// The lane.
    pub lane: PrecisionLane,
    /// Bytes read for the whole tensor, scales included.
    pub bytes: usize,
    /// `√(Σ(w − w')² / Σw²)`.
    pub relative_error: f64,
}

/// Converts a parsed file and writes the result to `out`, which appears complete or not at all.
///
/// Every matrix (two or more dimensions, more than one row) becomes digit planes unless `keep`
/// says otherwise; vectors, the taps of short convolutions and metadata are copied. `progress` is called after each tensor with
/// its report. The result does not depend on the number of threads. An encoder is centred (see
/// [`Encoder`](trilane_core::model::Encoder)).
///
/// # Errors
/// [`ConvertError`], naming the tensor, what was expected and what was found.
pub fn convert(
    file: &Gguf<'_>,
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(&TensorReport),
) -> Result<Vec<TensorReport>, ConvertError> {
    if options.lane == PrecisionLane::Float32 {
        return Err(ConvertError::Lane(options.lane));
    }
    write(Source::gguf(file)?, out, options, progress)
}

/// Writes a model, converted, to `out`.
fn write(
    source: Source<'_>,
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(&TensorReport),
) -> Result<Vec<TensorReport>, ConvertError> {
    let centred = options.lane != PrecisionLane::Float32;
    let source = if centred { centre::centred(source)? } else { source };
    let Source { mut writer, tensors } = source;
    let plan = Plan::new(&tensors, options)?;
    let converted: Vec<&Planned<'_>> = plan.tensors.iter().filter(|t| t.top.is_some()).collect();
    if !converted.is_empty() {
        list(&converted, options.group, &mut writer)?;
    }
    for t in &plan.tensors {
        t.declare(options.group, &mut writer)?;
    }
    write_atomically(out, |out| {
        let mut data = writer.begin(out)?;
        let mut reports = Vec::new();
        for planned in &plan.tensors {
            let tensor = planned.tensor;
            let mut report = TensorReport {
                name: tensor.name.clone(),
                kind: tensor.kind,
                shape: (tensor.rows(), tensor.cols()),
                bytes: (tensor.data.len(), tensor.data.len()),
                lanes: Vec::new(),
                floor: planned.floor,
            };
            if let Some(top) = planned.top {
                let (packed, lanes) = pack(tensor, top, options.group)?;
                report.bytes.1 = packed.bytes();
                report.lanes = lanes;
                for (suffix, bytes) in packed.parts() {
                    data.write_tensor(&format!("{}{suffix}", tensor.name), bytes)?;
                }
            } else {
                data.write_tensor(&tensor.name, &tensor.data)?;
            }
            progress(&report);
            reports.push(report);
        }
        data.finish()?;
        Ok(reports)
    })
}

/// Lists the matrices that are stored in digit planes in the metadata.
fn list(
    converted: &[&Planned<'_>],
    group: Group,
    writer: &mut GgufWriter,
) -> Result<(), ConvertError> {
    let names: Vec<&str> = converted.iter().map(|t| t.tensor.name.as_str()).collect();
    let cols: Vec<u32> = converted.iter().map(|t| t.tensor.cols() as u32).collect();
    let group = group.weights().unwrap_or(0) as u32;
    let floors: Vec<&str> = converted.iter().map(|t| t.floor.name()).collect();
    writer.add_array(keys::NAMES, &names)?;
    writer.add_array(keys::COLS, &cols)?;
    writer.add_array(keys::GROUP, &vec![group; names.len()])?;
    writer.add_array(keys::FLOOR, &floors)?;
    writer.add(keys::VERSION, trilane_core::gguf::Value::U32(LAYOUT_VERSION))?;
    Ok(())
}
