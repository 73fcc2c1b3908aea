//! The tests of the package, in projects that installed it.

use super::{CHECK, PACKAGE, SITE, cargo_target, copy, package, replace_folder, tool};
use crate::invocation::Invocation;
use std::fs;
use std::path::{Path, PathBuf};

/// The page that Vite builds.
const PAGE: [&str; 2] = ["index.html", "main.js"];

/// How a user's project checks our types, those of dependencies too.
const STRICT: [&str; 8] = [
    "--ignoreConfig",
    "--noEmit",
    "--strict",
    "--exactOptionalPropertyTypes",
    "--module",
    "nodenext",
    "--lib",
    "es2022,dom,dom.asynciterable,esnext.disposable",
];

/// The .wasm files have no types, for what importing one means is the bundler's matter.
const UNTYPED: [&str; 5] = [
    "--exclude-entrypoints",
    "./trilane_baseline.wasm",
    "./trilane_simd.wasm",
    "./trilane_encoder_baseline.wasm",
    "./trilane_encoder_simd.wasm",
];

/// The tests in Node, for both builds, and what publishing asks of a package.
///
/// # Errors
/// The first command that failed.
pub(crate) fn check() -> Result<(), String> {
    package::ensure()?;
    let packed = pack()?;
    install(CHECK, &packed)?;
    let tests = tests()?;
    for file in &tests {
        copy(&Path::new("wasm/test").join(file), &Path::new(CHECK).join(file))?;
    }
    let names: Vec<&str> =
        tests.iter().map(String::as_str).filter(|file| file.ends_with(".test.mjs")).collect();
    copy(Path::new("wasm/test/types.ts"), &Path::new(CHECK).join("types.ts"))?;
    tool("tsc").arguments(&STRICT).arguments(&[&format!("{CHECK}/types.ts")]).run()?;
    for simd in ["true", "false"] {
        let run = Invocation::new("node --test").arguments(&names).within(CHECK);
        native(run)?.set("TRILANE_SIMD", simd).run()?;
    }
    tool("publint").arguments(&["--strict", &packed]).run()?;
    tool("attw").arguments(&["--profile", "esm-only", &packed]).arguments(&UNTYPED).run()
}

/// The package in a browser, in a site made by Vite and as it is.
///
/// # Errors
/// The first command that failed.
pub(crate) fn check_browser() -> Result<(), String> {
    package::ensure()?;
    install(SITE, &pack()?)?;
    for file in PAGE {
        copy(&Path::new("wasm/test/browser").join(file), &Path::new(SITE).join(file))?;
    }
    tool("vite").arguments(&["build", SITE, "--base", "./", "--logLevel", "warn"]).run()?;
    let run = Invocation::new("node --test wasm/test/browser/page.test.mjs");
    native(run)?.set("TRILANE_SITE", &absolute(&format!("{SITE}/dist"))?).run()
}

/// The files of the tests in Node.
fn tests() -> Result<Vec<String>, String> {
    let folder = "wasm/test";
    let entries = fs::read_dir(folder).map_err(|error| format!("{folder}: {error}"))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".mjs")).collect();
    names.sort();
    Ok(names)
}

/// Lets tests find the repository and the native command, which is built.
pub(super) fn native(run: Invocation) -> Result<Invocation, String> {
    Invocation::new("cargo build -p trilane-cli").run()?;
    let command: PathBuf = cargo_target()?.join("debug/trilane");
    Ok(run
        .set("TRILANE_ROOT", &absolute(".")?)
        .set("TRILANE_CLI", &absolute(&command.to_string_lossy())?))
}

/// The package as it is published; the path of the archive.
fn pack() -> Result<String, String> {
    let packed = Invocation::new("npm pack --silent --pack-destination ..").within(PACKAGE);
    let name = packed.output().ok_or("npm pack failed")?;
    absolute(&format!("{PACKAGE}/../{}", name.trim()))
}

/// A project that installed the archive, and nothing else.
fn install(folder: &str, packed: &str) -> Result<(), String> {
    replace_folder(folder)?;
    let manifest = Path::new(folder).join("package.json");
    let text = "{ \"private\": true, \"type\": \"module\" }\n";
    fs::write(&manifest, text).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let install = Invocation::new("npm install --offline --no-audit --no-fund");
    install.arguments(&[packed]).within(folder).run()
}

fn absolute(path: &str) -> Result<String, String> {
    let found = fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(found.to_string_lossy().into_owned())
}
