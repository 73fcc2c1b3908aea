//! A decoder for firmware.

use super::budget::Budget;
use super::source::{Constants, Kind};
use super::{ExportArgs, feature, file_name, finish, outputs, write_model};
use crate::error::Error;
use crate::load::{Compute, Model, choose_lanes, threads};
use crate::verify::digest;
use std::io::Write;
use trilane::core::gguf::Gguf;
use trilane::core::lane::GraduationConfig;
use trilane::std::level;

/// Tokens of context where none are asked for.
const CONTEXT: u32 = 64;

/// Writes the decoder of a file.
pub(super) fn export(args: &ExportArgs, gguf: Gguf<'_>, out: &mut dyn Write) -> Result<(), Error> {
    let mut model = Model::read(&args.input, gguf)?;
    let (gguf, header) = (model.gguf, model.header);
    let weights = model.weights(&args.input)?;
    let lane = args.lane;
    choose_lanes(&args.input, &weights, Some(lane.into()))?;
    let context = args.context.unwrap_or(CONTEXT) as usize;
    if context > header.context {
        let what = format!("the model's context has {} tokens, not {context}", header.context);
        return Err(Error::Usage(format!("{}: {what}", args.input.display())));
    }
    let outputs = outputs(args)?;
    let compute = Compute { threads: threads(1)?, level: level::detect() };
    let digest =
        digest(&args.input, weights, &compute, lane.into(), GraduationConfig::default())?.all;
    let len = write_model(args, &gguf, &outputs, lane)?;
    let feature = feature(weights.linears().map(|(_, linear)| linear.lane(lane)));
    let budget = Budget::decoder(&header, context, len, feature)
        .ok_or_else(|| Error::Usage(format!("a context of {context} tokens: too much memory")))?;
    let kind = Kind::Decoder { context, vocabulary: header.vocabulary };
    let name = file_name(&outputs.model);
    finish(args, &outputs, &Constants { name, lane, kind, budget: &budget, digest }, out)
}
