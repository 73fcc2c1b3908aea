//! `cargo xtask wasm`: from the crate and the TypeScript to a package.

use super::{PACKAGE, STAGE, cargo_target, copy, install_tools, read, replace_folder, tool};
use crate::invocation::Invocation;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

const TRIPLE: &str = "wasm32-unknown-unknown";

/// What the package is made of.
const SOURCES: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "core",
    "std-ext",
    "wasm/Cargo.toml",
    "wasm/README.md",
    "wasm/js",
    "wasm/package-lock.json",
    "wasm/package.json",
    "wasm/src",
    "wasm/tsconfig.json",
    "xtask",
];

/// The largest that a .wasm file may be.
const BUDGET_BYTES: u64 = 250_000;

/// Feature and glue of each engine.
const ENGINES: [(&str, &str); 2] = [("decoder", "trilane"), ("encoder", "trilane_encoder")];

/// Name and compiler flags of each build of an engine.
const BUILDS: [(&str, &str); 2] = [("baseline", ""), ("simd", "-C target-feature=+simd128")];

/// What both builds may use beside vectors: in every browser since 2021.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Builds the package in `target/npm/trilane` and prints its sizes.
///
/// # Errors
/// What failed: a command, a file, a .wasm file above the budget, or builds that need different
/// glue.
pub(super) fn build() -> Result<(), String> {
    install_tools()?;
    replace_folder(STAGE)?;
    for (feature, engine) in ENGINES {
        let mut glue = Vec::new();
        for (name, flags) in BUILDS {
            compile(feature, engine, name, flags)?;
            glue.push(read(&format!("{STAGE}/{engine}.js"))?);
        }
        // Both export and import the same, so one glue serves both.
        if glue.first() != glue.last() {
            return Err(format!("the glue of the two builds of {engine} differs"));
        }
    }
    copy_text("wasm/package.json", "package.json")?;
    copy_text("wasm/README.md", "README.md")?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        copy_text(licence, licence)?;
    }
    tool("tsc").arguments(&["-p", "wasm"]).run()?;
    super::remove_folder(PACKAGE)?;
    fs::rename(STAGE, PACKAGE).map_err(|error| format!("{PACKAGE}: {error}"))?;
    sizes()
}

/// Builds the package if any source is newer than it.
///
/// # Errors
/// As [`build`].
pub(crate) fn ensure() -> Result<(), String> {
    let built = fs::metadata(format!("{PACKAGE}/package.json")).and_then(|file| file.modified());
    match built {
        Ok(built) if SOURCES.iter().all(|path| newest(Path::new(path)) < Some(built)) => {
            println!("   {PACKAGE} is newer than every source");
            Ok(())
        }
        _ => build(),
    }
}

/// When anything in a folder was last changed.
fn newest(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = fs::read_dir(path) else {
        return fs::metadata(path).and_then(|file| file.modified()).ok();
    };
    entries.flatten().filter_map(|entry| newest(&entry.path())).max()
}

fn copy_text(from: &str, name: &str) -> Result<(), String> {
    copy(Path::new(from), &Path::new(STAGE).join(name))
}

/// Inlines less than usual: what the kernels need inlined says so itself, and the rest is an eighth
/// smaller.
const INLINE_LESS: &str = "-C llvm-args=--inline-threshold=60";

/// Compiles one build of an engine into `ENGINE_NAME.wasm`, and its glue.
fn compile(feature: &str, engine: &str, name: &str, flags: &str) -> Result<(), String> {
    let build = format!("cargo build -p trilane-wasm --no-default-features --features {feature}");
    Invocation::new(&format!("{build} --profile wasm --target {TRIPLE}"))
        .target_flags(TRIPLE, format!("{flags} {INLINE_LESS}").trim())
        .run()?;
    let compiled = cargo_target()?.join(TRIPLE).join("wasm/trilane_wasm.wasm");
    Invocation::new(
        "cargo run --quiet --profile tool -p xtask --features bindgen --bin bindgen --",
    )
    .arguments(&[&compiled.to_string_lossy(), STAGE, engine])
    .run()?;
    let (bound, types) =
        (format!("{STAGE}/{engine}_bg.wasm"), format!("{STAGE}/{engine}_bg.wasm.d.ts"));
    let optimised = format!("{STAGE}/{engine}_{name}.wasm");
    let simd: &[&str] = if flags.is_empty() { &[] } else { &["--enable-simd"] };
    tool("wasm-opt")
        .arguments(&["-O3", "--strip-debug", "--strip-producers", &bound, "-o", &optimised])
        .arguments(&FEATURES)
        .arguments(simd)
        .run()?;
    for made in [bound, types] {
        fs::remove_file(&made).map_err(|error| format!("{made}: {error}"))?;
    }
    Ok(())
}

/// Prints the sizes of what a page downloads.
fn sizes() -> Result<(), String> {
    println!("\n   {:<30} {:>9} {:>9}", "file", "bytes", "gzip");
    let of_engine = |(_, engine)| {
        let builds = BUILDS.map(|(name, _)| format!("{engine}_{name}.wasm"));
        builds.into_iter().chain([format!("{engine}.js")])
    };
    for file in ENGINES.into_iter().flat_map(of_engine) {
        let path = format!("{PACKAGE}/{file}");
        let bytes = fs::metadata(&path).map_err(|error| format!("{path}: {error}"))?.len();
        let gzip = Invocation::new("node -p")
            .arguments(&["zlib.gzipSync(fs.readFileSync(process.argv[1]), {level: 9}).length"])
            .arguments(&[&path])
            .output()
            .ok_or_else(|| format!("{path}: cannot be compressed"))?;
        println!("   {file:<30} {bytes:>9} {:>9}", gzip.trim());
        if file.ends_with(".wasm") && bytes > BUDGET_BYTES {
            return Err(format!("{file}: {bytes} bytes, more than {BUDGET_BYTES}"));
        }
    }
    Ok(())
}
