//! The demo page with all that it asks for, ready for any static host; and serving it.

use super::check::native;
use super::{PACKAGE, copy, package, remove_folder, replace_folder};
use crate::invocation::Invocation;
use std::fs;
use std::path::Path;

const DEMO: &str = "target/demo";
const STAGE: &str = "target/npm/demo";
const SOURCES: &str = "wasm/demo";
const MODEL: &str = "models/shakespeare.gguf";
const DIGESTS: &str = "shakespeare.digest.json";

/// Builds the page in `target/demo` from the package in `target/npm/trilane`.
///
/// # Errors
/// A file that cannot be copied, or a native engine that gives no digests.
pub(super) fn build() -> Result<(), String> {
    replace_folder(STAGE)?;
    copy_files(SOURCES, STAGE)?;
    let package = format!("{STAGE}/trilane");
    replace_folder(&package)?;
    copy_files(PACKAGE, &package)?;
    copy(Path::new(MODEL), &Path::new(STAGE).join("shakespeare.gguf"))?;
    let digests = format!("{STAGE}/{DIGESTS}");
    fs::write(&digests, native_digests()?).map_err(|error| format!("{digests}: {error}"))?;
    remove_folder(DEMO)?;
    fs::rename(STAGE, DEMO).map_err(|error| format!("{DEMO}: {error}"))?;
    println!("\n   {DEMO}: the demo page; `cargo xtask demo` serves it");
    Ok(())
}

/// Serves the page until it is interrupted.
///
/// # Errors
/// What the server says.
pub(crate) fn serve() -> Result<(), String> {
    package::ensure()?;
    build()?;
    Invocation::new("node wasm/serve.mjs").arguments(&[DEMO]).run()
}

/// Uses the page in a browser.
///
/// # Errors
/// The tests that failed.
pub(crate) fn check() -> Result<(), String> {
    package::ensure()?;
    build()?;
    native(Invocation::new("node --test --test-reporter=spec wasm/test/demo/demo.test.mjs"))?.run()
}

/// What the engine of this machine computes for the page's model.
fn native_digests() -> Result<String, String> {
    Invocation::new("cargo build -p trilane-cli").run()?;
    let verify = Invocation::new("cargo run --quiet -p trilane-cli -- verify --json");
    let digests = verify.arguments(&[MODEL]).output();
    digests.ok_or_else(|| format!("{MODEL}: the native engine computed no digests"))
}

/// Copies the files of a folder, but for what is written for readers of the repository.
fn copy_files(from: &str, to: &str) -> Result<(), String> {
    let failed = |error| format!("{from}: {error}");
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if name != "README.md" {
            copy(&entry.path(), &Path::new(to).join(name))?;
        }
    }
    Ok(())
}
