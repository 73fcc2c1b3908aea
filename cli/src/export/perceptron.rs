//! A perceptron for firmware.

use super::budget::Budget;
use super::source::{Constants, Kind};
use super::{ExportArgs, feature, file_name, finish, outputs, write_model};
use crate::args::lane_names;
use crate::error::Error;
use crate::load::perceptron;
use std::io::Write;
use trilane::core::gguf::Gguf;
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Digest, Line, Mlp};
use trilane::std::level;
use trilane::std::mapped::MappedFile;

/// Writes the perceptron of a file.
pub(super) fn export(args: &ExportArgs, gguf: &Gguf<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let usage = |what: String| Error::Usage(format!("{}: {what}", args.input.display()));
    if args.context.is_some() {
        return Err(usage("a perceptron has no context; leave --context out".to_owned()));
    }
    let lanes = lanes(&perceptron(&args.input, gguf)?);
    if !lanes.contains(&args.lane) {
        let has = lane_names(&lanes);
        return Err(usage(format!("lane {} is not stored; the file has {has}", args.lane)));
    }
    let outputs = outputs(args)?;
    let len = write_model(args, gguf, &outputs, args.lane)?;
    // Each matrix is read at its highest lane, so the digest is that of what has been written.
    let written = MappedFile::open(&outputs.model)?;
    let model = perceptron(&outputs.model, &written.gguf()?)?;
    let header = *model.header();
    let mut layers = vec![Digest::default(); header.layers];
    let mut arena = vec![Line::ZERO; header.arena_lines()];
    let digest = model
        .verify(level::detect(), &mut layers, &mut arena)
        .map_err(|e| Error::file(&outputs.model, e))?;
    let feature = feature(model.matrices().map(|(_, weights)| weights.lane()));
    let budget = Budget::perceptron(&header, len, feature)
        .ok_or_else(|| usage("too much memory".to_owned()))?;
    let kind = Kind::Perceptron { features: header.features, classes: header.classes };
    let (name, lane) = (file_name(&outputs.model), args.lane);
    finish(args, &outputs, &Constants { name, lane, kind, budget: &budget, digest }, out)
}

/// The lanes that some matrix is stored at.
fn lanes(model: &Mlp<'_>) -> Vec<PrecisionLane> {
    let mut lanes: Vec<_> = model.matrices().map(|(_, weights)| weights.lane()).collect();
    let top = lanes.iter().filter(|lane| lane.tiers().is_some()).max().copied();
    lanes.extend(PrecisionLane::NESTED.into_iter().filter(|&lane| Some(lane) <= top));
    lanes.sort_unstable();
    lanes.dedup();
    lanes
}
