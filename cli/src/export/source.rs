//! A model and its numbers as source text.

use super::budget::Budget;
use std::io::{self, Write};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::Digest;

/// Bytes on a line.
const PER_LINE: usize = 24;

/// What both sources say.
pub(super) struct Constants<'a> {
    pub(super) name: String,
    pub(super) lane: PrecisionLane,
    pub(super) kind: Kind,
    pub(super) budget: &'a Budget,
    pub(super) digest: Digest,
}

/// What the model is, and its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Decoder { context: usize, vocabulary: usize },
    Perceptron { features: usize, classes: usize },
}

impl Constants<'_> {
    fn made_from(&self) -> String {
        format!("{} at {}, made by `trilane export`.", self.name.escape_default(), self.lane)
    }
}

/// The model for C: its bytes, at a multiple of 64, and its numbers as macros.
pub(super) fn write_header(c: &Constants<'_>, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "// {}", c.made_from())?;
    writeln!(out, "#pragma once\n\n#include <stdint.h>\n")?;
    writeln!(out, "#define MODEL_LEN {}u", bytes.len())?;
    let (init, digest) = match c.kind {
        Kind::Decoder { context, vocabulary } => {
            writeln!(out, "// Tokens of context that the sizes below are for.")?;
            writeln!(out, "#define MODEL_CONTEXT {context}u")?;
            writeln!(out, "#define MODEL_VOCABULARY {vocabulary}u")?;
            ("trilane_init", "trilane_digest gives for a context of 16 tokens or more")
        }
        Kind::Perceptron { features, classes } => {
            writeln!(out, "#define MODEL_FEATURES {features}u")?;
            writeln!(out, "#define MODEL_CLASSES {classes}u")?;
            ("trilane_classifier_init", "trilane_classifier_digest gives")
        }
    };
    writeln!(out, "// Bytes to give to {init}, and how many of them are computed in.")?;
    writeln!(out, "#define MODEL_MEMORY_BYTES {}u", c.budget.memory)?;
    writeln!(out, "#define MODEL_ARENA_BYTES {}u", c.budget.arena)?;
    writeln!(out, "// What {digest}.")?;
    writeln!(out, "#define MODEL_DIGEST UINT64_C(0x{:016x})\n", c.digest.value())?;
    writeln!(out, "static const uint8_t MODEL[MODEL_LEN] __attribute__((aligned(64))) = {{")?;
    for line in bytes.chunks(PER_LINE) {
        for byte in line {
            write!(out, "{byte},")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "}};")
}

/// The model for Rust, which reads the file beside this one.
pub(super) fn write_module(c: &Constants<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "// {}", c.made_from())?;
    writeln!(out, "// To be a module of firmware that uses the crate trilane-esp32.\n")?;
    writeln!(out, "/// The model, in flash.")?;
    let name = c.name.escape_default();
    let (model, digest) = match c.kind {
        Kind::Decoder { .. } => {
            ("Model", "Engine::digest` gives for a context of 16 tokens or more")
        }
        Kind::Perceptron { .. } => ("Perceptron", "Classifier::digest` gives"),
    };
    writeln!(
        out,
        "pub const MODEL: trilane_esp32::{model} = trilane_esp32::include_model!(\"{name}\");"
    )?;
    if let Kind::Decoder { context, .. } = c.kind {
        writeln!(out, "/// Tokens of context.")?;
        writeln!(out, "pub const CONTEXT: usize = {context};")?;
        writeln!(out, "/// Lines of memory for that context.")?;
        writeln!(out, "pub const ARENA_LINES: usize = MODEL.arena_lines(CONTEXT);")?;
    } else {
        writeln!(out, "/// Lines of memory for an input.")?;
        writeln!(out, "pub const ARENA_LINES: usize = MODEL.arena_lines();")?;
    }
    writeln!(out, "/// What `{digest}.")?;
    writeln!(out, "pub const DIGEST: u64 = 0x{:016x};", c.digest.value())
}
