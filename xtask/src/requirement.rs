//! What a step needs from the machine beyond Cargo itself, and how to see whether it is there.

use crate::cuda;
use crate::embeddings;
use crate::invocation::Invocation;
use std::fmt;
use std::path::Path;

/// Something that can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// The standard library of a target.
    Target(&'static str),
    /// A Cargo subcommand that comes as a toolchain component.
    Component(&'static str),
    /// The user-mode emulator of 64-bit Arm.
    QemuUser,
    /// Node with npm, as new as the package's tools ask for.
    Node,
    /// The browser Chromium, where Debian's package has it.
    Chromium,
    /// A program, and the Debian package that brings it.
    Program(&'static str, &'static str),
    /// Python 3 that can make environments.
    Python,
    /// The encoder that embeddings are tested with, and what computes their reference.
    MiniLm,
    /// The compiler of GPU kernels.
    Nvrtc,
    /// The sources of the standard library, for targets that come without it built.
    LibrarySource,
    /// Miri, which only a nightly toolchain has. Used where present, never installed.
    Miri,
}

/// The targets the core is built for, other than the host.
pub(crate) const THUMB: Requirement = Requirement::Target("thumbv7em-none-eabihf");
/// The ESP32-C3's instruction set.
pub(crate) const RISCV: Requirement = Requirement::Target("riscv32imc-unknown-none-elf");
/// 64-bit Arm with a C library that links without a cross compiler.
pub(crate) const AARCH64: Requirement = Requirement::Target("aarch64-unknown-linux-musl");
/// The browser.
pub(crate) const WASM: Requirement = Requirement::Target("wasm32-unknown-unknown");

/// The emulators of the boards that firmware runs on, and what compiles and links C for them.
pub(crate) const QEMU_RISCV: Requirement =
    Requirement::Program("qemu-system-riscv32", "qemu-system-misc");
/// As above, for Cortex-M.
pub(crate) const QEMU_ARM: Requirement = Requirement::Program("qemu-system-arm", "qemu-system-arm");
/// A C compiler for every target.
pub(crate) const CLANG: Requirement = Requirement::Program("clang", "clang");
/// Its linker.
pub(crate) const LLD: Requirement = Requirement::Program("ld.lld", "lld");

/// What `setup` installs.
pub(crate) const INSTALLED_BY_SETUP: &[Requirement] = &[
    Requirement::Component("fmt"),
    Requirement::Component("clippy"),
    THUMB,
    RISCV,
    AARCH64,
    WASM,
    Requirement::QemuUser,
    Requirement::Node,
    Requirement::Chromium,
    QEMU_RISCV,
    QEMU_ARM,
    CLANG,
    LLD,
    Requirement::LibrarySource,
    Requirement::Python,
    Requirement::MiniLm,
    Requirement::Nvrtc,
];

/// Where the tests look for Chromium.
const CHROMIUM: &str = "/usr/bin/chromium";

impl Requirement {
    /// Whether it is on this machine now. Asks the compiler, not rustup, so that toolchains which
    /// came another way count as well.
    pub(crate) fn is_present(self) -> bool {
        match self {
            Self::Target(triple) => Invocation::new("rustc --print target-libdir --target")
                .arguments(&[triple])
                .output()
                .is_some_and(|folder| Path::new(folder.trim()).is_dir()),
            Self::Component(name) => {
                Invocation::new("cargo").arguments(&[name, "--version"]).output().is_some()
            }
            Self::QemuUser => Invocation::new("qemu-aarch64 --version").output().is_some(),
            Self::Chromium => Path::new(CHROMIUM).is_file(),
            Self::Node => {
                let npm = Invocation::new("npm --version").output().is_some();
                npm && Invocation::new("node --version").output().is_some_and(|v| is_recent(&v))
            }
            Self::Program(name, _) => {
                Invocation::new(name).arguments(&["--version"]).output().is_some()
            }
            Self::Python => Invocation::new("python3 -m ensurepip --version").output().is_some(),
            Self::MiniLm => embeddings::is_present(),
            Self::Nvrtc => cuda::is_present(),
            Self::LibrarySource => {
                Invocation::new("rustc --print sysroot").output().is_some_and(|root| {
                    Path::new(root.trim()).join("lib/rustlib/src/rust/library").is_dir()
                })
            }
            Self::Miri => Invocation::new("cargo +nightly miri --version").output().is_some(),
        }
    }
}

/// Whether Node's version, as it prints it, is 20.19 or later.
fn is_recent(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor)))
        if (major, minor) >= (20u32, 19u32))
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(triple) => write!(f, "target {triple}"),
            Self::Component(name) => write!(f, "cargo {name}"),
            Self::QemuUser => f.write_str("qemu-aarch64"),
            Self::Chromium => f.write_str(CHROMIUM),
            Self::Node => f.write_str("Node 20.19 with npm"),
            Self::Program(name, _) => f.write_str(name),
            Self::Python => f.write_str("python3 with venv"),
            Self::MiniLm => f.write_str("all-MiniLM-L6-v2"),
            Self::Nvrtc => f.write_str("NVRTC"),
            Self::LibrarySource => f.write_str("rust-src"),
            Self::Miri => f.write_str("nightly with miri"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_target_is_missing() {
        assert!(!Requirement::Target("pdp11-unknown-none").is_present());
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(is_recent("v20.19.0\n") && is_recent("v22.3.0") && is_recent("v100.0.0"));
        assert!(!is_recent("v20.9.9") && !is_recent("v18.20.1") && !is_recent("node"));
    }

    #[test]
    fn an_unknown_component_is_missing() {
        assert!(!Requirement::Component("no-such-subcommand").is_present());
    }
}
