//! The steps of `cargo xtask test`: what each needs and which commands it runs.
//!
//! In this order they share the most: lints and documentation check what the debug tests build,
//! the targets come after the host, and both runs under the emulator use one build.

use crate::conformance;
use crate::cpu;
use crate::cuda;
use crate::embeddings;
use crate::firmware;
use crate::invocation::{Invocation, target_key};
use crate::npm;
use crate::requirement::{
    AARCH64, CLANG, LLD, QEMU_ARM, QEMU_RISCV, RISCV, Requirement, THUMB, WASM,
};
use std::fmt::Write as _;

/// One row of the closing table.
#[derive(Debug)]
pub(crate) struct Step {
    /// The name that `--only` takes.
    pub(crate) name: &'static str,
    /// What it establishes, in one line.
    pub(crate) about: &'static str,
    /// Takes long, so only part of a run with `--full`.
    pub(crate) full: bool,
    /// What must be on the machine.
    pub(crate) needs: &'static [Requirement],
    /// The work.
    pub(crate) work: Work,
}

/// The work of a step.
#[derive(Debug)]
pub(crate) enum Work {
    /// Install what is missing.
    Setup,
    /// Run commands until one fails.
    Commands(fn() -> Vec<Invocation>),
    /// Run a check, which ends with a remark, or with why it failed.
    Check(fn() -> Result<String, String>),
}

/// Features that building the whole workspace does not switch on by itself; those that pull in a
/// tensor library are left to its own tests.
const LINTED_FEATURES: &str =
    "trilane/hugging-face,trilane/parallel,trilane-std/hugging-face,trilane-std/parallel";

/// The scalar code Miri interprets, by the start of the tests' names. SIMD tests are not among
/// them: Miri knows only part of the vector instructions.
const MIRI_TESTS: &[&str] = &[
    "digits::",
    "error::",
    "gguf::",
    "hyper::",
    "kernel::scalar::",
    "lane::",
    "quant::",
    "trit::",
];

/// Every step, in the order of the run.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "setup",
        about: "install the targets, components and the emulator that are missing",
        full: false,
        needs: &[],
        work: Work::Setup,
    },
    Step {
        name: "fmt",
        about: "the sources are formatted",
        full: false,
        needs: &[Requirement::Component("fmt")],
        work: Work::Commands(|| vec![Invocation::new("cargo fmt --all --check")]),
    },
    Step {
        name: "clippy",
        about: "no lint fires in any crate",
        full: false,
        needs: &[Requirement::Component("clippy")],
        work: Work::Commands(clippy),
    },
    Step {
        name: "clippy-simd",
        about: "no lint fires in the core's wasm and Arm vector code",
        full: false,
        needs: &[Requirement::Component("clippy"), WASM, AARCH64],
        work: Work::Commands(clippy_simd),
    },
    Step {
        name: "docs",
        about: "the documentation builds without warnings",
        full: false,
        needs: &[],
        work: Work::Commands(docs),
    },
    Step {
        name: "tests-debug",
        about: "every test, with overflow checks, no backend of this machine skipped",
        full: false,
        needs: &[],
        work: Work::Commands(|| vec![host_tests("--workspace")]),
    },
    Step {
        name: "tests-release",
        about: "every test of the libraries as users run them, no backend skipped",
        full: false,
        needs: &[],
        work: Work::Commands(|| vec![host_tests(LIBRARIES)]),
    },
    Step {
        name: "firmware-lints",
        about: "format, lints, C interface and header of the firmware",
        full: false,
        needs: &[THUMB, RISCV, Requirement::Component("fmt"), Requirement::Component("clippy")],
        work: Work::Commands(firmware::lints),
    },
    Step {
        name: "firmware",
        about: "firmware in Rust and C gives this machine's results, on emulated boards; C cannot panic",
        full: false,
        needs: &[THUMB, RISCV, QEMU_RISCV, QEMU_ARM, CLANG, LLD],
        work: Work::Check(firmware::check),
    },
    Step {
        name: "esp32c3",
        about: "the application for an ESP32-C3 builds",
        full: false,
        needs: &[RISCV, Requirement::Component("fmt")],
        work: Work::Commands(firmware::esp32c3),
    },
    Step {
        name: "xtensa",
        about: "the C library compiles for the Xtensa processors of the ESP32 and ESP32-S3",
        full: true,
        needs: &[Requirement::LibrarySource],
        work: Work::Commands(firmware::xtensa),
    },
    Step {
        name: "npm",
        about: "the npm package: its size, both builds in Node, checks of publishing",
        full: false,
        needs: &[WASM, Requirement::Node],
        work: Work::Check(|| npm::check().map(|()| String::new())),
    },
    Step {
        name: "npm-browser",
        about: "the npm package in a site made by Vite, run in Chromium",
        full: false,
        needs: &[WASM, Requirement::Node, Requirement::Chromium],
        work: Work::Check(|| npm::check_browser().map(|()| String::new())),
    },
    Step {
        name: "browser",
        about: "the demo page in Chromium writes and computes what the native engine does",
        full: false,
        needs: &[WASM, Requirement::Node, Requirement::Chromium],
        work: Work::Check(|| npm::demo::check().map(|()| String::new())),
    },
    Step {
        name: "aarch64-dotprod",
        about: "arithmetic under emulation of 64-bit Arm with the dot product instructions",
        full: false,
        needs: &[AARCH64, Requirement::QemuUser],
        work: Work::Commands(|| vec![aarch64_tests("max", "neon,neondot", ARITHMETIC)]),
    },
    Step {
        name: "aarch64-baseline",
        about: "kernels under emulation of 64-bit Arm without them",
        full: false,
        needs: &[AARCH64, Requirement::QemuUser],
        work: Work::Commands(|| {
            vec![aarch64_tests("cortex-a53", "neon", "-p trilane-core --test backends")]
        }),
    },
    Step {
        name: "conformance",
        about: "kernels, blocks and models give one digest on every target that can run here",
        full: false,
        needs: &[
            AARCH64,
            WASM,
            THUMB,
            RISCV,
            Requirement::QemuUser,
            QEMU_RISCV,
            QEMU_ARM,
            Requirement::Node,
            Requirement::Chromium,
        ],
        work: Work::Check(|| conformance::run(false)),
    },
    Step {
        name: "cuda",
        about: "every GPU kernel compiles, with no float multiplied and added in one step; the driver's side runs",
        full: false,
        needs: &[Requirement::Nvrtc],
        work: Work::Check(cuda::check),
    },
    Step {
        name: "embeddings",
        about: "all-MiniLM-L6-v2, converted, gives numpy's vectors of the same weights",
        full: true,
        needs: &[Requirement::Python, Requirement::MiniLm],
        work: Work::Check(embeddings::check),
    },
    Step {
        name: "training",
        about: "lints, documentation and tests of what trains models",
        full: false,
        needs: &[],
        work: Work::Commands(training),
    },
    Step {
        name: "benches",
        about: "lints of the benchmarks, which build the peers' crates",
        full: true,
        needs: &[],
        work: Work::Commands(|| {
            vec![Invocation::new(
                "cargo clippy --manifest-path benches/Cargo.toml --all-targets -- -D warnings",
            )]
        }),
    },
    Step {
        name: "exhaustive",
        about: "every test, over all inputs where the normal run samples",
        full: true,
        needs: &[],
        work: Work::Commands(|| {
            vec![host_tests("--workspace --profile release-test").set("TRILANE_FULL", "1")]
        }),
    },
    Step {
        name: "miri",
        about: "the core's scalar code under an interpreter that finds undefined behaviour",
        full: true,
        needs: &[Requirement::Miri],
        work: Work::Commands(miri),
    },
];

/// One line per step.
pub(crate) fn listing() -> String {
    let mut text = String::new();
    for step in STEPS {
        let mark = if step.full { " (--full)" } else { "" };
        let _ = writeln!(text, "    {:<18} {}{mark}", step.name, step.about);
    }
    text
}

fn clippy() -> Vec<Invocation> {
    vec![Invocation::new(&format!(
        "cargo clippy --workspace --all-targets --features {LINTED_FEATURES} -- -D warnings"
    ))]
}

fn clippy_simd() -> Vec<Invocation> {
    let lint = |triple: &str| {
        Invocation::new(&format!("cargo clippy -p trilane-core --target {triple} -- -D warnings"))
    };
    let wasm = "wasm32-unknown-unknown";
    vec![
        lint(wasm).target_flags(wasm, SIMD128),
        lint("aarch64-unknown-linux-musl"),
        lint("riscv32imc-unknown-none-elf"),
    ]
}

fn docs() -> Vec<Invocation> {
    vec![
        Invocation::new("cargo doc --workspace --lib --no-deps").set("RUSTDOCFLAGS", "-D warnings"),
    ]
}

/// What needs a tensor library, which nothing else is built with.
fn training() -> Vec<Invocation> {
    let library = "-p trilane-std --features candle";
    let test = |what: &str| Invocation::new(&format!("cargo test --profile tool {what}"));
    vec![
        Invocation::new(
            "cargo clippy -p trilane-std -p trilane-cli --features trilane-std/candle,trilane-cli/train \
             --all-targets -- -D warnings",
        ),
        // The documentation of the rest links to threads.
        Invocation::new(&format!("cargo doc {library},parallel --lib --no-deps"))
            .set("RUSTDOCFLAGS", "-D warnings"),
        test(&format!("{library} --lib train::")),
        test(&format!("{library} --examples --test train")),
        test(&format!("{library} --doc train")),
        test("-p trilane-cli --features train --test train"),
    ]
}

/// What computes, without the command around it.
const LIBRARIES: &str = "--profile release-test -p trilane -p trilane-core -p trilane-std \
    --features trilane/hugging-face,trilane/parallel,trilane-std/hugging-face,trilane-std/parallel";

fn host_tests(which: &str) -> Invocation {
    let tests = Invocation::new(&format!("cargo test --no-fail-fast {which}"));
    if std::env::var_os("TRILANE_REQUIRE").is_some() {
        return tests;
    }
    tests.set("TRILANE_REQUIRE", &cpu::required())
}

pub(crate) const SIMD128: &str = "-C target-feature=+simd128";

/// Tests on an emulated processor.
fn aarch64_tests(processor: &str, required: &str, tests: &str) -> Invocation {
    let triple = "aarch64-unknown-linux-musl";
    let line =
        format!("cargo test --no-fail-fast --profile release-test {tests} --target {triple}");
    for_aarch64(Invocation::new(&line))
        .set(&runner(triple), &format!("qemu-aarch64 -cpu {processor}"))
        .set("TRILANE_REQUIRE", required)
}

/// The tests of what computes. Those of files and of their errors do not depend on the processor, and
/// whole models are a part of the conformance program.
const ARITHMETIC: &str = "-p trilane-core -p trilane --lib --test backends --test definitions \
    --test math --test mlp --test no_alloc --test reduce --test sampler";

/// The variable that says what runs the programs of a target.
fn runner(triple: &str) -> String {
    format!("CARGO_TARGET_{}_RUNNER", target_key(triple))
}

/// A build for 64-bit Arm. The linker is the one that comes with the toolchain, so no cross
/// compiler is needed.
pub(crate) fn for_aarch64(build: Invocation) -> Invocation {
    let triple = "aarch64-unknown-linux-musl";
    build
        .set(&format!("CARGO_TARGET_{}_LINKER", target_key(triple)), "rust-lld")
        .target_flags(triple, "-C linker-flavor=ld.lld -C link-self-contained=yes")
}

fn miri() -> Vec<Invocation> {
    vec![
        Invocation::new("cargo +nightly miri test -p trilane-core --lib --")
            .arguments(MIRI_TESTS)
            .set("MIRIFLAGS", "-Zmiri-disable-isolation")
            .set("PROPTEST_CASES", "4")
            .set("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_the_table() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(step.name.len() <= 18, "{}", step.name);
            assert!(STEPS[..index].iter().all(|other| other.name != step.name), "{}", step.name);
        }
    }

    #[test]
    fn emulated_tests_choose_the_processor() {
        let shown = aarch64_tests("cortex-a53", "neon", "-p trilane-core").to_string();
        assert!(
            shown.contains("AARCH64_UNKNOWN_LINUX_MUSL_RUNNER='qemu-aarch64 -cpu cortex-a53' ")
        );
        assert!(shown.contains("TRILANE_REQUIRE=neon "));
    }

    #[test]
    fn listing_marks_the_long_steps() {
        let marked = listing().lines().filter(|line| line.ends_with("(--full)")).count();
        assert_eq!(marked, STEPS.iter().filter(|step| step.full).count());
    }
}
