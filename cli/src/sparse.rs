//! How much of the feed-forward blocks is computed: arguments, and what came of them.

use crate::error::Error;
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use trilane::core::gguf::Gguf;
use trilane::core::kernel::{Backend, Pool};
use trilane::core::lane::Lanes;
use trilane::core::model::{Decoder, FeedForwardMode, ModelError, PredictorKind, sparsity_keys};
use trilane::core::nn::{Selection, SparseReads, SparsityConfig};
use trilane::std::calibrate::choose_faster;

/// How much of the feed-forward blocks is computed, of a file made by `trilane calibrate`.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sparse feed-forward blocks (files of trilane calibrate)")]
pub(crate) struct SparseArgs {
    /// Neurons to compute: dense for all, a share such as 0.3, or auto for what the calibration
    /// found to be enough, if it is faster on this machine
    #[arg(long, value_name = "auto|dense|SHARE", value_parser = parse_active, default_value = "dense")]
    active: Active,
    /// Share of the dense blocks' bytes to read, spent on the neurons that matter most, each at its
    /// own lane
    #[arg(long, value_name = "SHARE", value_parser = parse_share, conflicts_with = "active")]
    ffn_bytes: Option<f32>,
    /// Shares of the neurons to compute at bit7, bit5 and bit3, such as 0.3,0,0.7
    #[arg(
        long,
        value_name = "BIT7,BIT5,BIT3",
        value_delimiter = ',',
        value_parser = parse_share,
        conflicts_with_all = ["active", "ffn_bytes"]
    )]
    ffn_lanes: Option<Vec<f32>>,
    /// What predicts the active neurons: tier0, tier0-gate, gate, magnitude or low-rank [default: as
    /// calibrated]
    #[arg(long, value_name = "NAME", value_parser = parse_predictor)]
    predictor: Option<PredictorKind>,
}

#[derive(Clone, Copy, Debug)]
enum Active {
    Auto,
    Dense,
    Share(f32),
}

fn parse_active(text: &str) -> Result<Active, String> {
    match text {
        "auto" => Ok(Active::Auto),
        "dense" => Ok(Active::Dense),
        share => parse_share(share)
            .map(Active::Share)
            .map_err(|_| "expected auto, dense or a share from 0 to 1".into()),
    }
}

/// Reads a share.
pub(crate) fn parse_share(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1".into()),
    }
}

/// Reads the name of a predictor.
pub(crate) fn parse_predictor(name: &str) -> Result<PredictorKind, String> {
    let names: Vec<&str> = PredictorKind::ALL.iter().map(|kind| kind.name()).collect();
    PredictorKind::from_name(name).ok_or_else(|| format!("expected one of {}", names.join(", ")))
}

/// What was asked for.
pub(crate) struct Asked {
    mode: FeedForwardMode,
    /// Whether dense blocks are taken where they are faster.
    if_faster: bool,
}

impl SparseArgs {
    /// The mode asked for, or `None` for dense blocks.
    pub(crate) fn mode(&self, path: &Path, file: &Gguf<'_>) -> Result<Option<Asked>, Error> {
        let selection = match (self.active, self.ffn_bytes, self.ffn_lanes.as_deref()) {
            (_, _, Some(&[seven, five, three])) => Selection::Lanes([seven, five, three]),
            (_, _, Some(shares)) => {
                let what = format!("--ffn-lanes: expected 3 shares, found {}", shares.len());
                return Err(Error::Usage(what));
            }
            (_, Some(share), _) => Selection::Bytes(share),
            (Active::Share(share), ..) => Selection::Share(share),
            (Active::Auto, ..) => match file.get(sparsity_keys::BYTES).and_then(|v| v.as_f32()) {
                Some(share) => Selection::Bytes(share),
                None => return Ok(None),
            },
            (Active::Dense, ..) => return Ok(None),
        };
        if file.get(sparsity_keys::RANK).is_none() {
            let what = "its feed-forward blocks are not stored by neuron; trilane calibrate does";
            return Err(Error::Usage(format!("{}: {what}", path.display())));
        }
        let config = SparsityConfig::new(selection).map_err(|e| Error::Usage(e.to_string()))?;
        let stored = file.get(sparsity_keys::PREDICTOR).and_then(|v| v.as_str());
        let predictor = self.predictor.or(stored.and_then(PredictorKind::from_name));
        let mode = FeedForwardMode { predictor: predictor.unwrap_or(PredictorKind::Tier0), config };
        let plain = self.ffn_bytes.is_none() && self.ffn_lanes.is_none();
        Ok(Some(Asked { mode, if_faster: plain && matches!(self.active, Active::Auto) }))
    }
}

impl Asked {
    /// Sets the mode, or leaves the blocks dense where they are faster; what runs, in words.
    pub(crate) fn apply<B: Backend>(
        &self,
        decoder: &mut Decoder<'_, '_, B>,
        pool: &dyn Pool,
        lanes: Lanes<'static>,
    ) -> Result<&'static str, ModelError> {
        if !self.if_faster {
            decoder.set_feed_forward(self.mode)?;
        } else if !choose_faster(decoder, pool, lanes, self.mode)? {
            return Ok("dense, which is faster on this machine");
        }
        Ok(self.mode.predictor.name())
    }
}

/// What the blocks read, in words.
pub(crate) fn reads(reads: &SparseReads) -> String {
    let share = |n: usize, of: usize| 100.0 * n as f64 / (of.max(1)) as f64;
    let computed: usize = reads.computed.iter().sum();
    format!(
        "feed-forward: {:.1}% of the neurons, {:.1}% of the bytes",
        share(computed, reads.neurons),
        share(reads.bytes, reads.dense_bytes)
    )
}

/// What the blocks read, as JSON.
pub(crate) fn json(reads: &SparseReads) -> Value {
    json!({
        "neurons": reads.neurons,
        "computed": { "bit7": reads.computed[0], "bit5": reads.computed[1], "bit3": reads.computed[2] },
        "bytes": reads.bytes,
        "dense_bytes": reads.dense_bytes,
    })
}
