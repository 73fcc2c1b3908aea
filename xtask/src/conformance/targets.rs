//! Building and running the program for each target.

use super::{MODELS, Parts, Row, parts};
use crate::firmware;
use crate::invocation::Invocation;
use crate::npm;
use crate::steps::{SIMD128, for_aarch64};
use std::fs;
use std::path::{Path, PathBuf};

const WASM: &str = "wasm32-unknown-unknown";
const AARCH64: &str = "aarch64-unknown-linux-musl";

/// What the WebAssembly modules are served from.
const SITE: &str = "target/conformance";

/// Every row, this machine's first.
pub(super) fn run() -> Result<Vec<Row>, String> {
    let build = "cargo build --release -p trilane-conformance --features std";
    Invocation::new(build).run()?;
    let here =
        Invocation::new("cargo run --quiet --release -p trilane-conformance --features std --");
    let mut rows = levels(std::env::consts::ARCH, "this machine", &here.arguments(&MODELS))?;
    if !rows.iter().any(|row| row.level == "avx512") && cfg!(target_arch = "x86_64") {
        println!("   avx512: this processor does not have all of VBMI, VNNI and GFNI");
    }
    for_aarch64(Invocation::new(&format!("{build} --target {AARCH64}"))).run()?;
    let program = target(AARCH64)?.join("release/conformance");
    let emulated =
        Invocation::new("qemu-aarch64 -cpu max").arguments(&[&program.to_string_lossy()]);
    rows.extend(levels("aarch64", "qemu-aarch64", &emulated.arguments(&MODELS))?);
    rows.extend(modules()?);
    for (triple, output) in firmware::conformance()? {
        let (level, place) = ("lut".into(), "QEMU, bare metal");
        rows.push(Row { target: triple, level, place, parts: Parts::parse(&output)? });
    }
    Ok(rows)
}

/// A row for each level that the program prints.
fn levels(
    target: &'static str,
    place: &'static str,
    command: &Invocation,
) -> Result<Vec<Row>, String> {
    let output = command.capture()?;
    let mut levels: Vec<(&str, String)> = Vec::new();
    for line in output.lines() {
        let (level, part) =
            line.split_once('\t').ok_or_else(|| format!("expected a level, found {line:?}"))?;
        match levels.last_mut() {
            Some((last, parts)) if *last == level => *parts += &format!("{part}\n"),
            _ => levels.push((level, format!("{part}\n"))),
        }
    }
    let row = |(level, text): (&str, String)| {
        Ok(Row { target, level: level.into(), place, parts: Parts::parse(&text)? })
    };
    levels.into_iter().map(row).collect()
}

/// The modules without and with SIMD, in Node and in Chromium.
fn modules() -> Result<Vec<Row>, String> {
    npm::install_tools()?;
    fs::create_dir_all(SITE).map_err(|error| format!("{SITE}: {error}"))?;
    let page = Path::new(SITE).join("index.html");
    fs::write(&page, "<!doctype html>\n")
        .map_err(|error| format!("{}: {error}", page.display()))?;
    for file in MODELS.into_iter().chain(["tests/conformance/wasm/conformance.mjs"]) {
        copy(Path::new(file), &site_file(file))?;
    }
    let build = format!(
        "cargo build --release -p trilane-conformance --example conformance-wasm --target {WASM}"
    );
    let mut rows = Vec::new();
    for (level, flags) in [("lut", ""), ("simd128", SIMD128)] {
        Invocation::new(&build).target_flags(WASM, flags).run()?;
        let module = format!("{level}.wasm");
        let built = target(WASM)?.join("release/examples/conformance_wasm.wasm");
        copy(&built, &site_file(&module))?;
        for (place, script) in [("Node", "node"), ("Chromium", "chromium")] {
            let script = format!("tests/conformance/wasm/{script}.mjs");
            let run = Invocation::new("node").arguments(&[&script, SITE, &module]);
            rows.push(Row { target: "wasm32", level: level.into(), place, parts: parts(&run)? });
        }
    }
    Ok(rows)
}

/// A file of that name in the folder that is served.
fn site_file(path: &str) -> PathBuf {
    Path::new(SITE).join(Path::new(path).file_name().unwrap_or_default())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()))
}

/// Where Cargo puts what it builds for a target.
fn target(triple: &str) -> Result<PathBuf, String> {
    Ok(npm::cargo_target()?.join(triple))
}
