//! Compiles the kernels for the host, as C++ with a header that stands in for CUDA's.

#[path = "../../cuda/src/kernels.rs"]
#[allow(dead_code, unreachable_pub, reason = "a module of another crate")]
mod kernels;

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = env::var("OUT_DIR")?;
    let here = env::var("CARGO_MANIFEST_DIR")?;
    let folder = Path::new(&here).join("../../cuda/kernels").canonicalize()?;
    let shim = Path::new(&here).join("shim");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed={}", shim.display());
    println!("cargo::rerun-if-changed=../../cuda/src/kernels.rs");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").opt_level(2).warnings(false).include(&shim).include(&folder);
    // Floats are rounded after every operation.
    build.flag("-ffp-contract=off").flag("-Wno-unknown-pragmas");
    let mut list = String::from("#include \"emulation.h\"\n#include <cstddef>\n");
    let mut table = String::new();
    for (i, source) in kernels::SOURCES.iter().enumerate() {
        let mut unit = String::from("#include \"emulation.h\"\nnamespace {\n");
        writeln!(unit, "#include \"{}\"\n}}", source.name)?;
        writeln!(unit, "extern const EmulatedKernel KERNELS_{i}[] = {{")?;
        for kernel in source.kernels {
            writeln!(unit, "    emulated<&{kernel}>(\"{kernel}\"),")?;
        }
        writeln!(unit, "}};")?;
        let path = Path::new(&out).join(source.name).with_extension("cpp");
        fs::write(&path, unit)?;
        build.file(&path);
        writeln!(list, "extern const EmulatedKernel KERNELS_{i}[];")?;
        writeln!(table, "    {{\"{}\", KERNELS_{i}, {}}},", source.name, source.kernels.len())?;
    }
    list.push_str("struct EmulatedSource { const char *name; const EmulatedKernel *kernels; size_t count; };\n");
    writeln!(list, "extern const EmulatedSource EMULATED_SOURCES[] = {{\n{table}}};")?;
    let count = kernels::SOURCES.len();
    writeln!(list, "extern const size_t EMULATED_SOURCE_COUNT = {count};")?;
    let path = Path::new(&out).join("sources.cpp");
    fs::write(&path, list)?;
    build.file(&path).file(shim.join("emulation.cpp")).compile("trilane_emulation");
    Ok(())
}
