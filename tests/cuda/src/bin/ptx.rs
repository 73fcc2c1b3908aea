//! Compiles every kernel with NVRTC, which needs no device, and looks at what comes out: `ptx`, or
//! `ptx FOLDER` to keep it, for `ptxas -v` and its like.
//!
//! No float may be multiplied and added in one step, no array in shared memory may be larger than a
//! block has without asking for more, and every kernel has to be there.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;
use trilane_cuda::kernels::{SOURCES, Source};
use trilane_cuda::{CudaError, compile};

/// The oldest capability that the kernels are for, and that of the H100 and H200.
const CAPABILITIES: [(u32, u32); 2] = [(8, 0), (9, 0)];

/// What rounds once where the specification rounds twice, or is less exact than it.
const FORBIDDEN: [&str; 9] = [
    "fma.rn.f32",
    "fma.rn.ftz",
    "mad.rn.f32",
    "div.approx",
    "div.full",
    "sqrt.approx",
    "rsqrt.approx",
    "ex2.approx",
    ".ftz",
];

/// Bytes of shared memory that every block has.
const SHARED: usize = 48 << 10;

fn main() -> ExitCode {
    let folder = std::env::args_os().nth(1);
    for capability in CAPABILITIES {
        for source in SOURCES {
            match check(source, capability, folder.as_deref()) {
                Ok(summary) => println!("{summary}"),
                Err(error) => {
                    eprintln!("ptx: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn check(
    source: &'static Source,
    capability: (u32, u32),
    folder: Option<&OsStr>,
) -> Result<String, CudaError> {
    let ptx = compile(source, capability)?;
    let wrong = |reason: String| CudaError::Compile { source: source.name, log: reason };
    if let Some(folder) = folder {
        let (major, minor) = capability;
        let path = Path::new(folder).join(format!("{}.sm_{major}{minor}.ptx", source.name));
        std::fs::write(&path, &ptx.text).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
    }
    for (number, line) in ptx.text.lines().enumerate() {
        if let Some(found) = FORBIDDEN.iter().find(|forbidden| line.contains(*forbidden)) {
            return Err(wrong(format!("{found} in line {} of the PTX: {line}", number + 1)));
        }
    }
    let declared = ptx.text.lines().filter(|line| line.trim_start().starts_with(".shared"));
    for line in declared {
        let size = line.rsplit_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let bytes = size.and_then(|(size, _)| size.parse::<usize>().ok()).unwrap_or(0);
        if bytes > SHARED {
            return Err(wrong(format!(
                "{bytes} bytes of shared memory, {SHARED} are there: {line}"
            )));
        }
    }
    for (name, lowered) in &ptx.names {
        if !ptx.text.contains(&format!(".entry {lowered}(")) {
            return Err(wrong(format!("no entry {lowered} for {name}")));
        }
    }
    let (major, minor) = capability;
    let (kernels, lines) = (ptx.names.len(), ptx.text.lines().count());
    Ok(format!("{} for {major}.{minor}: {kernels} kernels, {lines} lines", source.name))
}
