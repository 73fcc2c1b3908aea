//! The npm package: building it, and checking it as its users would have it.
//!
//! ```text
//! target/npm/tools     the development dependencies of wasm/package.json
//! target/npm/stage     the package while it is built
//! target/npm/trilane   the package
//! target/npm/check     a project that installed it, for the tests in Node
//! target/npm/site      another, for the tests in a browser
//! target/npm/demo      the demo page while it is built
//! target/demo          the demo page
//! ```

mod check;
pub(crate) mod demo;
mod package;

pub(crate) use check::{check, check_browser};

use crate::invocation::Invocation;
use std::fs;
use std::path::{Path, PathBuf};

const TOOLS: &str = "target/npm/tools";
const STAGE: &str = "target/npm/stage";
const PACKAGE: &str = "target/npm/trilane";
const CHECK: &str = "target/npm/check";
const SITE: &str = "target/npm/site";

/// Builds the package and the demo page.
///
/// # Errors
/// What failed.
pub(crate) fn build() -> Result<(), String> {
    package::build()?;
    demo::build()
}

/// Installs the development dependencies if they are not those of the lock file.
pub(crate) fn install_tools() -> Result<(), String> {
    let lock = read("wasm/package-lock.json")?;
    let installed = Path::new(TOOLS).join("package-lock.json");
    let complete = Path::new(TOOLS).join("node_modules/.package-lock.json");
    if complete.exists() && fs::read_to_string(&installed).is_ok_and(|found| found == lock) {
        return Ok(());
    }
    replace_folder(TOOLS)?;
    for file in ["package.json", "package-lock.json"] {
        copy(&Path::new("wasm").join(file), &Path::new(TOOLS).join(file))?;
    }
    Invocation::new("npm ci --no-audit --no-fund --ignore-scripts").within(TOOLS).run()
}

/// A command of the development dependencies.
fn tool(name: &str) -> Invocation {
    Invocation::new("node").arguments(&[&format!("{TOOLS}/node_modules/.bin/{name}")])
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()))
}

/// An empty folder, whatever was there.
fn replace_folder(path: &str) -> Result<(), String> {
    remove_folder(path)?;
    fs::create_dir_all(path).map_err(|error| format!("{path}: {error}"))
}

fn remove_folder(path: &str) -> Result<(), String> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{path}: {error}"))
        }
        _ => Ok(()),
    }
}

/// Where Cargo puts what it builds: this program runs from there.
pub(crate) fn cargo_target() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let folder = program.parent().and_then(Path::parent);
    folder.map(Path::to_path_buf).ok_or_else(|| format!("{} has no folder", program.display()))
}
