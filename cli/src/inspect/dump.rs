//! A tensor as little-endian floats.

use crate::args::lane_names;
use crate::error::Error;
use crate::load::{Model, is_perceptron, perceptron};
use crate::table::bytes;
use std::io::{self, Write};
use std::path::Path;
use trilane::core::gguf::blocks::{SUPPORTED, Stored};
use trilane::core::gguf::{Gguf, Tensor};
use trilane::core::lane::{PrecisionLane, dequantize_row};
use trilane::core::nn::Linear;
use trilane::std::gguf_writer::write_atomically;

/// Writes tensor `name` to the file `to`.
pub(super) fn dump(
    path: &Path,
    gguf: Gguf<'_>,
    name: &str,
    to: &Path,
    lane: Option<PrecisionLane>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if to.symlink_metadata().is_ok() {
        return Err(Error::Usage(format!("{}: exists", to.display())));
    }
    let (shape, read_at) = match gguf.tensor(name) {
        Some(tensor) => {
            if lane.is_some_and(|lane| lane != PrecisionLane::Float32) {
                let what = "is not stored in digit planes; it has no lane but float";
                return Err(Error::Usage(format!("{}: tensor {name} {what}", path.display())));
            }
            (blocks(path, &tensor, to)?, tensor.kind().to_string())
        }
        None => planes(path, gguf, name, to, lane)?,
    };
    let (rows, cols) = shape;
    writeln!(
        out,
        "wrote {} ({rows} × {cols} from {read_at}, {})",
        to.display(),
        bytes(4 * rows * cols)
    )?;
    Ok(())
}

/// A tensor in a block type.
fn blocks(path: &Path, tensor: &Tensor<'_>, to: &Path) -> Result<(usize, usize), Error> {
    let (rows, cols, kind) = (tensor.rows(), tensor.cols(), tensor.kind());
    let stored = Stored::new(kind, tensor.data()).map_err(|_| {
        Error::file(path, format!("tensor {}: expected {SUPPORTED}, found {kind}", tensor.name()))
    })?;
    write_rows(to, rows, cols, |row, y| stored.expand(row * cols, y).map_err(io::Error::other))?;
    Ok((rows, cols))
}

/// A tensor in digit planes, which its model knows how to put together.
fn planes(
    path: &Path,
    gguf: Gguf<'_>,
    name: &str,
    to: &Path,
    lane: Option<PrecisionLane>,
) -> Result<((usize, usize), String), Error> {
    let missing = Error::file(path, format!("tensor {name} is missing"));
    if !gguf.tensors().any(|t| t.name().strip_prefix(name).is_some_and(|s| s.starts_with('.'))) {
        return Err(missing);
    }
    if is_perceptron(&gguf) {
        let model = perceptron(path, &gguf)?;
        let mut matrices = model.matrices();
        let Some((_, view)) = matrices.find(|(n, _)| n.to_string() == name) else {
            return Err(missing);
        };
        check_lane(path, name, lane.unwrap_or(view.lane()), &[view.lane()])?;
        write_rows(to, view.rows(), view.cols(), |row, y| {
            dequantize_row(view, row, y);
            Ok(())
        })?;
        return Ok(((view.rows(), view.cols()), view.lane().to_string()));
    }
    let mut model = Model::read(path, gguf)?;
    let tied = model.is_tied();
    let weights = model.weights(path)?;
    let found = weights
        .linears()
        .filter(|(n, _)| !(tied && n.layer.is_none() && n.part == "output"))
        .find(|(n, _)| n.to_string() == name);
    let Some((_, Linear::Digits { matrix, floor })) = found else { return Err(missing) };
    let has: Vec<PrecisionLane> =
        PrecisionLane::ALL.into_iter().filter(|&l| matrix.lane(l).is_ok()).collect();
    let lane = lane.unwrap_or_else(|| matrix.top_lane());
    check_lane(path, name, lane, &has)?;
    // The floor is for running the model; a dump shows the lane asked for.
    let linear = Linear::Digits { matrix: *matrix, floor: lane.min(*floor) };
    write_rows(to, linear.rows(), linear.cols(), |row, y| {
        linear.row(lane, row, y).map_err(io::Error::other)
    })?;
    Ok(((linear.rows(), linear.cols()), lane.to_string()))
}

/// Refuses a lane that a tensor does not have.
fn check_lane(
    path: &Path,
    name: &str,
    lane: PrecisionLane,
    has: &[PrecisionLane],
) -> Result<(), Error> {
    if has.contains(&lane) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{}: tensor {name} is not stored at lane {lane}; it has {}",
        path.display(),
        lane_names(has)
    )))
}

/// Writes rows of floats, little-endian.
fn write_rows(
    to: &Path,
    rows: usize,
    cols: usize,
    mut read: impl FnMut(usize, &mut [f32]) -> io::Result<()>,
) -> Result<(), Error> {
    let mut floats = vec![0.0; cols];
    write_atomically(to, |file| {
        for row in 0..rows {
            read(row, &mut floats)?;
            for value in &floats {
                file.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    })
    .map_err(|error: io::Error| Error::io(to, error))
}
