//! What a model takes of a device, and what the device has.

use crate::error::Error;
use crate::table::Table;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Header, Line, MlpHeader};
use trilane_esp32::footprint;

/// The device that the budget is for.
const DEVICE: &str = "ESP32-C3";
/// Its SRAM, less the 16 KB that hold the flash's cache.
const DEVICE_RAM: usize = 384 * 1024;
/// Its flash, less the 64 KB before an application's partition.
const DEVICE_FLASH: usize = 4032 * 1024;

/// Bytes that a model takes.
#[derive(Debug)]
pub(super) struct Budget {
    /// Flash: the file.
    model: usize,
    /// Flash: what computes.
    code: usize,
    /// RAM that is computed in.
    pub(super) arena: usize,
    /// RAM for the C interface: the arena, and where the weights are.
    pub(super) memory: usize,
    stack: usize,
    /// Tokens, of a decoder.
    context: Option<usize>,
    /// Of the library, where one is needed.
    feature: Option<&'static str>,
}

impl Budget {
    /// `None` when it is more than the address space.
    pub(super) fn decoder(
        header: &Header,
        context: usize,
        model: u64,
        feature: Option<&'static str>,
    ) -> Option<Self> {
        Some(Self {
            model: usize::try_from(model).ok()?,
            code: footprint::CODE_BYTES,
            arena: header.arena_bytes(context)?,
            memory: footprint::memory_bytes(header, context)?,
            stack: stack(feature),
            context: Some(context),
            feature,
        })
    }

    /// `None` when it is more than the address space.
    pub(super) fn perceptron(
        header: &MlpHeader,
        model: u64,
        feature: Option<&'static str>,
    ) -> Option<Self> {
        Some(Self {
            model: usize::try_from(model).ok()?,
            code: footprint::CLASSIFIER_CODE_BYTES,
            arena: header.arena_lines() * size_of::<Line>(),
            memory: footprint::classifier_memory_bytes(header),
            stack: stack(feature),
            context: None,
            feature,
        })
    }

    fn flash(&self) -> usize {
        self.model.saturating_add(self.code)
    }

    fn ram(&self) -> usize {
        self.memory.saturating_add(self.stack)
    }

    /// Bytes left of flash and of RAM; negative ones are missing.
    fn left(&self) -> (i64, i64) {
        let left = |has: usize, takes: usize| has as i64 - i64::try_from(takes).unwrap_or(i64::MAX);
        (left(DEVICE_FLASH, self.flash()), left(DEVICE_RAM, self.ram()))
    }

    fn fits(&self) -> bool {
        let (flash, ram) = self.left();
        flash >= 0 && ram >= 0
    }

    pub(super) fn json(&self, path: &Path, lane: PrecisionLane, digest: &str) -> Value {
        let (flash, ram) = self.left();
        json!({
            "model": path.display().to_string(),
            "lane": lane.name(),
            "digest": digest,
            "context": self.context,
            "feature": self.feature,
            "flash": { "model": self.model, "code": self.code, "left": flash },
            "ram": {
                "arena": self.arena, "memory": self.memory, "stack": self.stack, "left": ram,
            },
            "device": DEVICE,
            "fits": self.fits(),
        })
    }

    pub(super) fn show(
        &self,
        lane: PrecisionLane,
        digest: &str,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let kib = |bytes: usize| format!("{:.1} KiB", bytes as f64 / 1024.0);
        write!(out, "\n{lane}, digest {digest}")?;
        if let Some(context) = self.context {
            write!(out, ", {context} tokens of context")?;
        }
        writeln!(out, "\n")?;
        let mut table = Table::new(["", "flash", "RAM"]);
        table.row(["model".to_owned(), kib(self.model), String::new()]);
        table.row(["code, at most".to_owned(), kib(self.code), String::new()]);
        table.row(["arena".to_owned(), String::new(), kib(self.arena)]);
        let layers = self.memory.saturating_sub(self.arena);
        table.row(["layers".to_owned(), String::new(), kib(layers)]);
        table.row(["stack, at most".to_owned(), String::new(), kib(self.stack)]);
        table.row(["all".to_owned(), kib(self.flash()), kib(self.ram())]);
        table.row([DEVICE.to_owned(), kib(DEVICE_FLASH), kib(DEVICE_RAM)]);
        table.write(out)?;
        let say = |bytes: i64| {
            let size = kib(usize::try_from(bytes.unsigned_abs()).unwrap_or(usize::MAX));
            format!("{size} {}", if bytes < 0 { "missing" } else { "left" })
        };
        let (flash, ram) = self.left();
        let fits = if self.fits() { "yes" } else { "no" };
        writeln!(out, "\nfits {DEVICE}: {fits} (flash: {}, RAM: {})", say(flash), say(ram))?;
        writeln!(
            out,
            "Code and stack are measured on firmware for RISC-V with this library alone, rounded up."
        )?;
        if let Some(feature) = self.feature {
            writeln!(
                out,
                "Some tensors are above the first tier: build with feature `{feature}`."
            )?;
        }
        Ok(())
    }
}

/// Bytes of stack of the library with that feature.
fn stack(feature: Option<&str>) -> usize {
    if feature.is_some() { footprint::LANES_STACK_BYTES } else { footprint::STACK_BYTES }
}
