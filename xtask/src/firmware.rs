//! Firmware on emulated boards: Rust and C, against what this machine computes.

use crate::elf::sections;
use crate::invocation::Invocation;
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace of the firmware.
const FOLDER: &str = "esp32";
const MODEL: &str = "models/shakespeare.gguf";

/// An emulated board.
struct Board {
    triple: &'static str,
    /// The name of its memory layout.
    memory: &'static str,
    /// What clang has to know about the processor.
    clang: &'static str,
    qemu: &'static str,
}

const BOARDS: [Board; 2] = [
    Board {
        triple: "riscv32imc-unknown-none-elf",
        memory: "riscv32imc.x",
        clang: "--target=riscv32-unknown-none-elf -march=rv32imc -mabi=ilp32",
        qemu: "qemu-system-riscv32 -M virt -cpu rv32 -m 16M -bios none",
    },
    Board {
        triple: "thumbv7em-none-eabihf",
        memory: "thumbv7em.x",
        clang: "--target=thumbv7em-none-eabihf -mcpu=cortex-m4 -mfloat-abi=hard",
        qemu: "qemu-system-arm -M mps2-an386",
    },
];

/// Format, lints and tests of the crates that the firmware is made of.
pub(crate) fn lints() -> Vec<Invocation> {
    let cargo = |line: &str| Invocation::new(&format!("cargo {line}")).within(FOLDER);
    let mut commands = vec![
        cargo("fmt --all --check"),
        cargo(
            "clippy -p trilane-esp32 -p trilane-esp32-c -p trilane-esp32-macros --all-targets \
             -- -D warnings",
        ),
        cargo("test -p trilane-esp32 -p trilane-esp32-c --features trilane-esp32-c/lanes"),
        cargo("test -p trilane-esp32 -p trilane-esp32-c"),
    ];
    commands.extend(BOARDS.iter().map(|board| {
        cargo(&format!("clippy --release --bins --target {} -- -D warnings", board.triple))
    }));
    commands
}

/// The application for a real chip, whose memory the linker knows.
pub(crate) fn esp32c3() -> Vec<Invocation> {
    const FOLDER: &str = "esp32/esp32c3";
    ["fmt --check", "build --release"]
        .map(|line| Invocation::new(&format!("cargo {line}")).within(FOLDER))
        .into()
}

/// The library for a processor whose standard library nobody ships: `core` is built as well, which
/// only a compiler that takes itself for a nightly one does. Of the optimisation levels, LLVM's
/// Xtensa back end runs out of registers at all but those for size.
pub(crate) fn xtensa() -> Vec<Invocation> {
    let build = "cargo rustc --release -p trilane-esp32-c --features panic-halt \
                 --crate-type staticlib -Zbuild-std=core -Zjson-target-spec \
                 --target targets/xtensa-none-elf.json --config profile.release.opt-level=\"s\"";
    vec![Invocation::new(build).within(FOLDER).set("RUSTC_BOOTSTRAP", "1")]
}

/// Runs every program on every board.
pub(crate) fn check() -> Result<String, String> {
    let trilane = |arguments: &str| {
        Invocation::new(&format!("cargo run --quiet --release -p trilane-cli -- {arguments}"))
    };
    let export = fs::canonicalize(".").map_err(|e| e.to_string())?.join("target/export");
    let folder = export.display();
    let report = trilane(&format!(
        "export {MODEL} --target esp32 --context 64 --out {folder} --force --json"
    ))
    .capture()?;
    let digest = field(&report, "digest")?;
    let most: u32 = field(&report, "code")?.parse().map_err(|e| format!("code: {e}"))?;
    let text =
        trilane(&format!("run {MODEL} --prompt ROMEO: --lane bit3 --tokens 32")).capture()?;
    let mut remarks = Vec::new();
    for board in &BOARDS {
        board.run("instructions")?;
        same("digest", &board.run("digest")?, &format!("bit3 {digest}\n"))?;
        same("shakespeare", &board.run("shakespeare")?, &text)?;
        remarks.push(board.run_c(&export, digest, most)?);
    }
    Ok(remarks.join("; "))
}

/// What the conformance program prints on every board.
pub(crate) fn conformance() -> Result<Vec<(&'static str, String)>, String> {
    BOARDS.iter().map(|board| Ok((board.triple, board.run("conformance")?))).collect()
}

impl Board {
    /// Builds and runs a program in Rust; what it prints.
    fn run(&self, program: &str) -> Result<String, String> {
        let line = format!("cargo run --release --bin {program} --target {}", self.triple);
        Invocation::new(&line).within(FOLDER).capture()
    }

    /// Builds the program in C, which links only where the library cannot panic, and runs it; the
    /// sizes of its sections. `most` bytes of code are what `trilane export` plans with.
    fn run_c(&self, export: &Path, digest: &str, most: u32) -> Result<String, String> {
        let Self { triple, memory, clang, qemu } = self;
        Invocation::new(&format!("cargo staticlib --target {triple}")).within(FOLDER).run()?;
        let built = target_folder()?.join(triple);
        let (library, program) =
            (built.join("release/libtrilane_esp32_c.a"), built.join("release/digest-c"));
        Invocation::new(&format!(
            "clang {clang} -std=c11 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -fuse-ld=lld \
             -Wl,--gc-sections,--fatal-warnings,-T,firmware/memory/{memory},-T,c/example/sections.ld \
             -Ic/include -I{} c/example/main.c c/example/board.c {} -o {}",
            export.display(),
            library.display(),
            program.display()
        ))
        .within(FOLDER)
        .run()?;
        let output = Invocation::new(&format!(
            "{qemu} -nographic -icount shift=0 -semihosting-config enable=on,target=native -kernel {}",
            program.display()
        ))
        .capture()?;
        print!("{output}");
        same(
            "digest of the C program",
            output.lines().next().unwrap_or(""),
            &format!("digest {digest}"),
        )?;
        let file = read(&program)?;
        if file.windows(12).any(|bytes| bytes == b"__rust_alloc") {
            return Err(format!("{triple}: an allocator is linked"));
        }
        let sections = sections(&file).ok_or("the linked program is not a 32-bit ELF file")?;
        let model = read(&export.join("shakespeare.gguf"))?.len() as u32;
        let size = |name| sections.iter().filter(|s| s.0 == name).map(|s| s.2).sum::<u32>();
        let code = size(".text") + size(".rodata") - model;
        if code > most {
            return Err(format!("{triple}: {code} bytes of code, at most {most} were promised"));
        }
        Ok(format!("{triple}: code {code}, model {model}, .bss {}", size(".bss")))
    }
}

/// Where Cargo puts what it builds of the firmware.
fn target_folder() -> Result<PathBuf, String> {
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(FOLDER).join("target"), PathBuf::from);
    fs::canonicalize(&folder).map_err(|e| format!("{}: {e}", folder.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The value of a name in one line of JSON, without quotes.
fn field<'a>(json: &'a str, name: &str) -> Result<&'a str, String> {
    let (_, value) = json
        .split_once(&format!("\"{name}\":"))
        .ok_or_else(|| format!("the report has no {name}: {json}"))?;
    let value = value.trim_start_matches('"');
    Ok(value.split(['"', ',', '}']).next().unwrap_or(value))
}

fn same(what: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, found {found:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_report() {
        let json = "{\"digest\":\"24d3\",\"flash\":{\"code\":98304}}";
        assert_eq!(field(json, "digest"), Ok("24d3"));
        assert_eq!(field(json, "code"), Ok("98304"));
        assert!(field(json, "stack").is_err());
    }

    #[test]
    fn a_difference_shows_both_sides() {
        assert_eq!(same("text", "a\n", "a\n"), Ok(()));
        let error = same("text", "a\n", "b\n").unwrap_err();
        assert_eq!(error, "text: expected \"b\\n\", found \"a\\n\"");
    }
}
