//! What a model takes of a device, and what the device has.

use crate::error::Error;
use crate::table::Table;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use trilane::core::lane::PrecisionLane;
use trilane::core::model::Header;
use trilane_esp32::footprint::{CODE_BYTES, STACK_BYTES, memory_bytes};

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
    /// RAM that is computed in.
    pub(super) arena: usize,
    /// RAM for the C interface: the arena, and where the weights are.
    pub(super) memory: usize,
    context: usize,
}

impl Budget {
    /// `None` when it is more than the address space.
    pub(super) fn new(header: &Header, context: usize, model: u64) -> Option<Self> {
        Some(Self {
            model: usize::try_from(model).ok()?,
            arena: header.arena_bytes(context)?,
            memory: memory_bytes(header, context)?,
            context,
        })
    }

    fn flash(&self) -> usize {
        self.model.saturating_add(CODE_BYTES)
    }

    fn ram(&self) -> usize {
        self.memory.saturating_add(STACK_BYTES)
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

    pub(super) fn json(
        &self,
        path: &Path,
        lane: PrecisionLane,
        digest: &str,
        feature: Option<&str>,
    ) -> Value {
        let (flash, ram) = self.left();
        json!({
            "model": path.display().to_string(),
            "lane": lane.name(),
            "digest": digest,
            "context": self.context,
            "feature": feature,
            "flash": { "model": self.model, "code": CODE_BYTES, "left": flash },
            "ram": {
                "arena": self.arena, "memory": self.memory, "stack": STACK_BYTES, "left": ram,
            },
            "device": DEVICE,
            "fits": self.fits(),
        })
    }

    pub(super) fn show(
        &self,
        lane: PrecisionLane,
        digest: &str,
        feature: Option<&str>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let kib = |bytes: usize| format!("{:.1} KiB", bytes as f64 / 1024.0);
        writeln!(out, "\n{lane}, digest {digest}, {} tokens of context\n", self.context)?;
        let mut table = Table::new(["", "flash", "RAM"]);
        table.row(["model".to_owned(), kib(self.model), String::new()]);
        table.row(["code, at most".to_owned(), kib(CODE_BYTES), String::new()]);
        table.row(["arena".to_owned(), String::new(), kib(self.arena)]);
        let layers = self.memory - self.arena;
        table.row(["layers".to_owned(), String::new(), kib(layers)]);
        table.row(["stack, at most".to_owned(), String::new(), kib(STACK_BYTES)]);
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
        if let Some(feature) = feature {
            writeln!(
                out,
                "Some tensors are above the first tier: build with feature `{feature}`."
            )?;
        }
        Ok(())
    }
}
