//! The report of `inspect`.

use super::encoder::Encoder;
use super::metadata;
use super::perceptron::Perceptron;
use crate::error::Error;
use crate::load::{Model, is_encoder, is_perceptron, lanes, stored};
use crate::table::{Table, bits_per_weight, bytes};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use trilane::core::gguf::{Gguf, TensorType};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::Header;

/// What it would take to run a file.
pub(super) enum Runnable {
    Decoder(Decoder),
    Encoder(Encoder),
    Perceptron(Perceptron),
}

impl Runnable {
    /// Checks whether a file can be run, as running it would.
    pub(super) fn read(path: &Path, gguf: Gguf<'_>) -> Result<Self, Error> {
        if is_perceptron(&gguf) {
            Ok(Self::Perceptron(Perceptron::read(path, &gguf)?))
        } else if is_encoder(&gguf) {
            Ok(Self::Encoder(Encoder::read(path, &gguf)?))
        } else {
            Ok(Self::Decoder(Decoder::read(path, gguf)?))
        }
    }
}

/// What it takes to run a decoder.
pub(super) struct Decoder {
    header: Header,
    weights: usize,
    lanes: Vec<LaneCost>,
}

/// What one lane costs.
struct LaneCost {
    lane: PrecisionLane,
    /// Bytes of all matrices.
    matrices: usize,
    /// Bytes read for a token.
    token: usize,
}

impl Decoder {
    fn read(path: &Path, gguf: Gguf<'_>) -> Result<Self, Error> {
        let mut model = Model::read(path, gguf)?;
        let (header, tied) = (model.header, model.is_tied());
        let weights = model.weights(path)?;
        let mut costs = Vec::new();
        let mut count = 0;
        for lane in lanes(&weights) {
            let sizes = stored(&weights, tied, lane)
                .and_then(|sizes| Ok((sizes, weights.bytes_per_token(lane)?)));
            let ((all, matrices), token) = sizes.map_err(|e| Error::file(path, e))?;
            count = all;
            costs.push(LaneCost { lane, matrices, token });
        }
        Ok(Self { header, weights: count, lanes: costs })
    }

    /// Context lengths of the memory table: powers of two from 128, and the model's own.
    fn contexts(&self) -> Vec<usize> {
        let own = self.header.context;
        let mut list: Vec<usize> = (7..24).map(|n| 1 << n).take_while(|&n| n < own).collect();
        list.push(own);
        list
    }
}

/// Tensors, weights and bytes of each type.
fn histogram(gguf: &Gguf<'_>) -> Vec<(TensorType, [usize; 3])> {
    let mut types = BTreeMap::new();
    for tensor in gguf.tensors() {
        let (_, [count, weights, bytes]) =
            types.entry(tensor.kind() as u32).or_insert((tensor.kind(), [0; 3]));
        *count += 1;
        *weights = usize::saturating_add(*weights, tensor.elements());
        *bytes += tensor.data().len();
    }
    types.into_values().collect()
}

/// For people.
pub(super) fn show(
    gguf: &Gguf<'_>,
    model: &Result<Runnable, Error>,
    list: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    writeln!(
        out,
        "GGUF version {}, {}, tensors at multiples of {} bytes",
        gguf.version(),
        bytes(gguf.bytes().len()),
        gguf.alignment()
    )?;
    writeln!(out, "\nMetadata")?;
    let width = gguf.metadata().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, value) in gguf.metadata() {
        writeln!(out, "  {:width$}  {}", key.escape_debug().to_string(), metadata::text(value))?;
    }
    writeln!(out, "\nTensors")?;
    let mut table = Table::new(["type", "tensors", "elements", "bytes"]);
    for (kind, [count, weights, len]) in histogram(gguf) {
        table.row([kind.to_string(), count.to_string(), weights.to_string(), bytes(len)]);
    }
    table.write(out)?;
    if list {
        writeln!(out)?;
        let mut table = Table::new(["tensor", "type", "dimensions", "offset", "bytes"]);
        for tensor in gguf.tensors() {
            let dims: Vec<String> = tensor.dims().iter().map(|d| d.to_string()).collect();
            table.row([
                tensor.name().escape_debug().to_string(),
                tensor.kind().to_string(),
                dims.join(" × "),
                tensor.file_offset().to_string(),
                bytes(tensor.data().len()),
            ]);
        }
        table.write(out)?;
    }
    match model {
        Ok(Runnable::Decoder(model)) => show_decoder(model, out),
        Ok(Runnable::Encoder(model)) => model.show(out),
        Ok(Runnable::Perceptron(model)) => model.show(out),
        Err(error) => Ok(writeln!(out, "\nThis file cannot be run.\n  {error}")?),
    }
}

fn show_decoder(model: &Decoder, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(out, "\nLanes ({} weights in matrices)", model.weights)?;
    let mut table = Table::new(["lane", "bits per weight", "all matrices", "read per token"]);
    for cost in &model.lanes {
        let bits = format!("{:.3}", bits_per_weight(cost.matrices, model.weights));
        table.row([cost.lane.name().into(), bits, bytes(cost.matrices), bytes(cost.token)]);
    }
    table.write(out)?;
    writeln!(out, "\nMemory beside the file")?;
    let mut table = Table::new(["context", "arena"]);
    for context in model.contexts() {
        let size = model.header.arena_bytes(context);
        table.row([context.to_string(), size.map_or("too large".into(), bytes)]);
    }
    Ok(table.write(out)?)
}

/// For programs.
pub(super) fn json(gguf: &Gguf<'_>, model: &Result<Runnable, Error>) -> Value {
    let metadata: Map<String, Value> =
        gguf.metadata().map(|(key, value)| (key.to_owned(), metadata::json(value))).collect();
    let types: Map<String, Value> = histogram(gguf)
        .into_iter()
        .map(|(kind, [tensors, elements, bytes])| {
            let value = json!({ "tensors": tensors, "elements": elements, "bytes": bytes });
            (kind.name().to_owned(), value)
        })
        .collect();
    let tensors: Vec<Value> = gguf
        .tensors()
        .map(|tensor| {
            json!({
                "name": tensor.name(),
                "type": tensor.kind().name(),
                "dimensions": tensor.dims(),
                "offset": tensor.file_offset(),
                "bytes": tensor.data().len(),
            })
        })
        .collect();
    let mut value = json!({
        "version": gguf.version(),
        "alignment": gguf.alignment(),
        "bytes": gguf.bytes().len(),
        "metadata": metadata,
        "types": types,
        "tensors": tensors,
    });
    let rest = match model {
        Ok(Runnable::Decoder(model)) => decoder_json(model),
        Ok(Runnable::Encoder(model)) => model.json(),
        Ok(Runnable::Perceptron(model)) => model.json(),
        Err(error) => json!({ "runs": false, "reason": error.to_string() }),
    };
    if let (Value::Object(value), Value::Object(rest)) = (&mut value, rest) {
        value.extend(rest);
    }
    value
}

fn decoder_json(model: &Decoder) -> Value {
    let lanes: Map<String, Value> = model
        .lanes
        .iter()
        .map(|cost| {
            let value = json!({
                "bytes": cost.matrices,
                "bits_per_weight": bits_per_weight(cost.matrices, model.weights),
                "bytes_per_token": cost.token,
            });
            (cost.lane.name().to_owned(), value)
        })
        .collect();
    let arena: Map<String, Value> = model
        .contexts()
        .into_iter()
        .map(|context| (context.to_string(), json!(model.header.arena_bytes(context))))
        .collect();
    json!({ "runs": true, "weights": model.weights, "lanes": lanes, "arena_bytes": arena })
}
