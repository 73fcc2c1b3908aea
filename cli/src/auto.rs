//! Lanes that a policy chooses: their memory, and what it chose beside the fixed lanes.

use crate::error::Error;
use crate::load::{Compute, lanes};
use crate::perplexity::loss;
use crate::table::{Table, bytes};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use trilane::core::kernel::Backend;
use trilane::core::lane::{GraduationConfig, Lanes, LayerTelemetry, PrecisionLane};
use trilane::core::model::{
    AutoError, AutoLanes, AutoLayer, AutoMemory, Decoder, Header, ModelError, Weights,
};
use trilane::std::eval::Loss;

/// What a policy remembers.
pub(crate) struct Memory {
    layers: Vec<AutoLayer>,
    lanes: Vec<PrecisionLane>,
    telemetry: Vec<LayerTelemetry>,
}

impl Memory {
    /// Memory for a model.
    pub(crate) fn new(header: &Header) -> Self {
        let len = header.layers + 1;
        Self {
            layers: vec![AutoLayer::default(); len],
            lanes: vec![PrecisionLane::Bit3; len],
            telemetry: vec![LayerTelemetry::default(); len],
        }
    }

    /// The policy.
    pub(crate) fn lanes(
        &mut self,
        weights: &Weights<'_, '_>,
        backend: impl Backend,
        config: GraduationConfig,
    ) -> Result<AutoLanes<'_>, AutoError> {
        let Self { layers, lanes, telemetry } = self;
        AutoLanes::new(weights, backend, config, AutoMemory { layers, lanes, telemetry })
    }
}

/// The texts that a model is measured on.
pub(crate) struct Measured<'r> {
    pub(crate) path: &'r Path,
    pub(crate) compute: &'r Compute,
    pub(crate) documents: &'r [Vec<u32>],
    pub(crate) json: bool,
}

/// Loss and mean bytes of a token.
struct Point {
    lanes: Lanes<'static>,
    bytes: f64,
    loss: Loss,
}

/// Measures the policy's loss and that of every fixed nested lane.
pub(crate) fn compare<B: Backend>(
    run: &Measured<'_>,
    decoder: &mut Decoder<'_, '_, B>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let refused = |e: ModelError| Error::file(run.path, e);
    let weights = *decoder.weights();
    let mut points = Vec::new();
    for lane in lanes(&weights).into_iter().filter(|lane| lane.tiers().is_some()) {
        let bytes = weights.bytes_per_token(lane).map_err(refused)? as f64;
        let fixed = Lanes::All(lane);
        let loss = loss(decoder, &run.compute.threads, fixed, run.documents).map_err(refused)?;
        points.push(Point { lanes: fixed, bytes, loss });
    }
    let lanes = Lanes::Auto;
    let loss = loss(decoder, &run.compute.threads, lanes, run.documents).map_err(refused)?;
    let Some(auto) = decoder.auto() else { return Err(refused(ModelError::NoPolicy)) };
    let chosen = Point { lanes, bytes: mean_bytes(auto), loss };
    let line = line(&points, chosen.bytes);
    if run.json {
        let point = |p: &Point| {
            json!({
                "lane": p.lanes.name(),
                "loss": p.loss.mean(),
                "perplexity": p.loss.perplexity(),
                "bytes_per_token": p.bytes,
            })
        };
        let value = json!({
            "lane": "auto",
            "loss": chosen.loss.mean(),
            "perplexity": chosen.loss.perplexity(),
            "tokens": chosen.loss.tokens,
            "documents": run.documents.len(),
            "bytes_per_token": chosen.bytes,
            "bits_per_weight": bits_per_weight(&weights, chosen.bytes),
            "line": line,
            "fixed": points.iter().map(point).collect::<Vec<Value>>(),
            "layers": layers_json(auto),
        });
        return Ok(writeln!(out, "{value}")?);
    }
    let headings = ["lane", "read per token", "bits per weight", "loss", "perplexity"];
    let mut table = Table::new(headings);
    for point in points.iter().chain([&chosen]) {
        table.row([
            point.lanes.name().to_owned(),
            bytes(point.bytes as usize),
            format!("{:.3}", bits_per_weight(&weights, point.bytes)),
            format!("{:.4}", point.loss.mean()),
            format!("{:.3}", point.loss.perplexity()),
        ]);
    }
    table.write(out)?;
    if let Some(line) = line {
        let difference = chosen.loss.mean() - line;
        writeln!(
            out,
            "\nThe straight line between the fixed lanes gives {line:.4} for as many bytes: auto is {:.4} {} it.",
            difference.abs(),
            if difference > 0.0 { "above" } else { "below" },
        )?;
    }
    writeln!(out)?;
    histogram(auto, out)
}

/// What was read, and at which lanes.
pub(crate) fn show(
    auto: &AutoLanes<'_>,
    weights: &Weights<'_, '_>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mean = mean_bytes(auto);
    let bits = bits_per_weight(weights, mean);
    writeln!(out, "[read per token: {}, {bits:.3} bits per weight]", bytes(mean as usize))?;
    histogram(auto, out)
}

/// Tokens of each layer at each lane.
fn histogram(auto: &AutoLanes<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let names = PrecisionLane::NESTED.map(PrecisionLane::name);
    let mut table = Table::new(["layer"].into_iter().chain(names).chain(["changes"]));
    let layers = auto.telemetry().layers();
    for (i, layer) in layers.iter().enumerate() {
        let name = if i + 1 == layers.len() { "output".into() } else { i.to_string() };
        let counts = layer.tokens.iter().chain([&layer.changes]).map(u64::to_string);
        table.row([name].into_iter().chain(counts));
    }
    Ok(table.write(out)?)
}

fn layers_json(auto: &AutoLanes<'_>) -> Vec<Value> {
    let layer = |l: &LayerTelemetry| json!({ "tokens": l.tokens, "changes": l.changes });
    auto.telemetry().layers().iter().map(layer).collect()
}

fn mean_bytes(auto: &AutoLanes<'_>) -> f64 {
    auto.telemetry().bits() as f64 / 8.0 / auto.telemetry().tokens().max(1) as f64
}

/// Bits read for each weight that a token is multiplied with.
fn bits_per_weight(weights: &Weights<'_, '_>, bytes: f64) -> f64 {
    let multiplied = weights.linears().skip(1);
    let count: usize = multiplied.map(|(_, linear)| linear.rows() * linear.cols()).sum();
    8.0 * bytes / count.max(1) as f64
}

/// The loss at that many bytes on the straight lines between neighbouring lanes.
fn line(points: &[Point], bytes: f64) -> Option<f64> {
    points.windows(2).find_map(|pair| {
        let [low, high] = pair else { return None };
        let at = (bytes - low.bytes) / (high.bytes - low.bytes);
        let within = (0.0..=1.0).contains(&at);
        within.then(|| (1.0 - at) * low.loss.mean() + at * high.loss.mean())
    })
}
