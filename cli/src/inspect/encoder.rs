//! What `inspect` says about an encoder.

use crate::error::Error;
use crate::table::{Table, bits_per_weight, bytes};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;
use trilane::core::gguf::Gguf;
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{EncoderHeader, EncoderWeights, ModelError};
use trilane::std::embedding::layers;

/// What it takes to run an encoder.
pub(super) struct Encoder {
    header: EncoderHeader,
    /// Weights in matrices.
    weights: usize,
    /// Every lane with the bytes of all matrices at it, the tables at theirs.
    lanes: Vec<(PrecisionLane, usize)>,
}

impl Encoder {
    /// Checks that a file can be run.
    pub(super) fn read(path: &Path, gguf: &Gguf<'_>) -> Result<Self, Error> {
        let read = || {
            let header = EncoderHeader::read(gguf)?;
            let mut layers = layers(gguf, &header);
            let weights = EncoderWeights::load(gguf, &mut layers)?;
            let mut lanes = Vec::new();
            for lane in PrecisionLane::ALL {
                if weights.check_lane(lane).is_ok() {
                    let sizes = weights.linears().map(|(_, linear)| linear.bytes(lane));
                    lanes.push((lane, sizes.sum::<Result<usize, _>>()?));
                }
            }
            let weights = weights.linears().map(|(_, l)| l.rows() * l.cols()).sum();
            Ok(Self { header, weights, lanes })
        };
        read().map_err(|e: ModelError| Error::file(path, e))
    }

    /// Lengths of text of the memory table: powers of two from 32, and the longest.
    fn lengths(&self) -> Vec<usize> {
        let own = self.header.context;
        let mut list: Vec<usize> = (5..24).map(|n| 1 << n).take_while(|&n| n < own).collect();
        list.push(own);
        list
    }

    /// Bytes of memory for texts of that many tokens.
    fn arena_bytes(&self, tokens: usize) -> Option<usize> {
        self.header.arena_lines(tokens)?.checked_mul(64)
    }

    /// For people.
    pub(super) fn show(&self, out: &mut dyn Write) -> Result<(), Error> {
        writeln!(
            out,
            "\nEncoder of texts up to {} tokens, vectors of {} values\n\nLanes ({} weights in \
             matrices)",
            self.header.context, self.header.dim, self.weights
        )?;
        let mut table = Table::new(["lane", "bits per weight", "all matrices"]);
        for &(lane, size) in &self.lanes {
            let bits = format!("{:.3}", bits_per_weight(size, self.weights));
            table.row([lane.name().into(), bits, bytes(size)]);
        }
        table.write(out)?;
        writeln!(out, "\nMemory beside the file")?;
        let mut table = Table::new(["tokens", "arena"]);
        for tokens in self.lengths() {
            let size = self.arena_bytes(tokens);
            table.row([tokens.to_string(), size.map_or("too large".into(), bytes)]);
        }
        Ok(table.write(out)?)
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let lanes: Map<String, Value> = self
            .lanes
            .iter()
            .map(|&(lane, size)| {
                let bits = bits_per_weight(size, self.weights);
                (lane.name().into(), json!({ "bytes": size, "bits_per_weight": bits }))
            })
            .collect();
        let arena: Map<String, Value> = self
            .lengths()
            .into_iter()
            .map(|tokens| (tokens.to_string(), json!(self.arena_bytes(tokens))))
            .collect();
        json!({
            "runs": true,
            "weights": self.weights,
            "dimensions": self.header.dim,
            "lanes": lanes,
            "arena_bytes": arena,
        })
    }
}
