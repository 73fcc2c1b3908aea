//! What `inspect` says about a perceptron.

use crate::error::Error;
use crate::load::perceptron;
use crate::table::{Table, bits_per_weight, bytes};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use trilane::core::gguf::Gguf;
use trilane::core::model::MlpHeader;

/// What it takes to run a perceptron.
pub(super) struct Perceptron {
    header: MlpHeader,
    matrices: Vec<Matrix>,
}

/// One matrix, as it is read.
struct Matrix {
    name: String,
    rows: usize,
    cols: usize,
    lane: &'static str,
    bytes: usize,
}

impl Perceptron {
    /// Checks whether a file can be run, as running it would.
    pub(super) fn read(path: &Path, gguf: &Gguf<'_>) -> Result<Self, Error> {
        let model = perceptron(path, gguf)?;
        let matrices = model.matrices().map(|(name, w)| Matrix {
            name: name.to_string(),
            rows: w.rows(),
            cols: w.cols(),
            lane: w.lane().name(),
            bytes: w.bytes(),
        });
        Ok(Self { header: *model.header(), matrices: matrices.collect() })
    }

    fn weights(&self) -> usize {
        self.matrices.iter().map(|m| m.rows * m.cols).sum()
    }

    fn bytes(&self) -> usize {
        self.matrices.iter().map(|m| m.bytes).sum()
    }

    fn arena_bytes(&self) -> usize {
        64 * self.header.arena_lines()
    }

    /// For people.
    pub(super) fn show(&self, out: &mut dyn Write) -> Result<(), Error> {
        let (features, classes) = (self.header.features, self.header.classes);
        writeln!(out, "\nPerceptron ({features} features, {classes} classes)")?;
        let mut table = Table::new(["matrix", "size", "lane", "bits per weight", "bytes"]);
        for m in &self.matrices {
            let bits = format!("{:.3}", bits_per_weight(m.bytes, m.rows * m.cols));
            let size = format!("{} × {}", m.rows, m.cols);
            table.row([m.name.clone(), size, m.lane.into(), bits, bytes(m.bytes)]);
        }
        table.write(out)?;
        let (weights, arena) = (bytes(self.bytes()), bytes(self.arena_bytes()));
        writeln!(out, "\n{} weights in {weights}; arena {arena}", self.weights())?;
        Ok(())
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let matrices: Vec<Value> = self
            .matrices
            .iter()
            .map(|m| {
                json!({
                    "name": m.name,
                    "rows": m.rows,
                    "columns": m.cols,
                    "lane": m.lane,
                    "bytes": m.bytes,
                })
            })
            .collect();
        json!({
            "runs": true,
            "weights": self.weights(),
            "weight_bytes": self.bytes(),
            "matrices": matrices,
            "arena_bytes": self.arena_bytes(),
        })
    }
}
