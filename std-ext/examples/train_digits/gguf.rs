//! Writes the trained network as a GGUF file in digit planes.

use crate::data::{CLASSES, PIXELS, WHITE};
use crate::network::{Layer, Network};
use crate::quantiser::{Quantised, Weights};
use std::error::Error;
use std::io::Write;
use trilane_core::digits::{
    UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, pack_nested_row, pack_ternary_row, units,
};
use trilane_core::gguf::{TensorType, Value};
use trilane_core::model::{LAYOUT_VERSION, keys, parts};
use trilane_std::gguf_writer::GgufWriter;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A tensor to be written.
struct Part {
    name: String,
    kind: TensorType,
    dims: [u64; 2],
    data: Vec<u8>,
}

/// Writes the network to `out`.
pub(crate) fn write<W: Write>(network: &Network, out: W) -> Result<W> {
    let mut file = GgufWriter::new(64)?;
    let count = |n: usize| Value::U32(n as u32);
    for (key, value) in [
        ("general.architecture", Value::Str("mlp")),
        ("general.name", Value::Str("trilane-digits")),
        ("general.license", Value::Str("MIT OR Apache-2.0")),
        ("mlp.block_count", count(network.layers.len())),
        ("mlp.feature_length", count(PIXELS)),
        ("mlp.class_count", count(CLASSES)),
        (keys::VERSION, Value::U32(LAYOUT_VERSION)),
    ] {
        file.add(key, value)?;
    }
    if network.layers.len() > 1 {
        file.add("mlp.feed_forward_length", count(network.layers[0].rows))?;
    }
    let indices = 0..network.layers.len();
    let names: Vec<String> = indices.map(|i| format!("blk.{i}.linear.weight")).collect();
    let cols: Vec<u32> = network.layers.iter().map(|layer| layer.cols as u32).collect();
    file.add_array(keys::NAMES, &names)?;
    file.add_array(keys::COLS, &cols)?;
    file.add_array(keys::GROUP, &vec![0u32; names.len()])?;
    file.add_array(keys::FLOOR, &vec![network.kind.lane().name(); names.len()])?;

    let mut tensors = Vec::new();
    for ((name, layer), weights) in names.iter().zip(&network.layers).zip(network.quantise()) {
        // The logits are in units of white pixels.
        let unit = if tensors.is_empty() { 1.0 / WHITE } else { 1.0 };
        tensors.extend(matrix(name, network.kind, layer, &weights, unit)?);
    }
    for Part { name, kind, dims, data } in &tensors {
        file.declare(name, *kind, dims, data.len() as u64)?;
    }
    let mut data = file.begin(out)?;
    for part in &tensors {
        data.write_tensor(&part.name, &part.data)?;
    }
    Ok(data.finish()?)
}

/// The parts of a matrix, as `docs/layout.md` has them.
fn matrix(
    name: &str,
    kind: Weights,
    layer: &Layer,
    weights: &Quantised,
    unit: f32,
) -> Result<Vec<Part>> {
    let units = units(layer.cols);
    let mut high = Vec::new();
    let mut digits = Vec::new();
    for r in 0..layer.rows {
        let row = weights.values.iter().skip(r).step_by(layer.rows);
        let codes: Vec<u8> = row.map(|&value| kind.code(value)).collect();
        let plane = || vec![0; units * UNIT_DIGIT_BYTES];
        let mut planes = [plane(), plane(), plane()];
        if kind == Weights::Ternary {
            pack_ternary_row(&codes, &mut planes[0])?;
        } else {
            let mut bits = vec![0; units * UNIT_HIGH_BYTES];
            pack_nested_row(&codes, &mut bits, planes.each_mut().map(|plane| &mut plane[..]))?;
            high.extend(bits);
        }
        digits.extend_from_slice(&planes[0]);
    }
    let part = |suffix: &str, kind, data: Vec<u8>, dims| Part {
        name: format!("{name}{suffix}"),
        kind,
        dims,
        data,
    };
    let rows = layer.rows as u64;
    let plane = |suffix, data: Vec<u8>| {
        let dims = [data.len() as u64 / rows, rows];
        part(suffix, TensorType::I8, data, dims)
    };
    let scales = (weights.scale * unit).to_le_bytes().repeat(layer.rows);
    let scales = part(parts::ROW_SCALES, TensorType::F32, scales, [rows, 1]);
    Ok(match kind {
        Weights::Ternary => vec![plane(parts::TERNARY, digits), scales],
        _ => vec![plane(parts::HIGH, high), plane(parts::DIGITS[0], digits), scales],
    })
}
