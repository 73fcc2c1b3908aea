//! Firmware on emulated boards: Rust and C, against what this machine computes.

use crate::elf::{sections, symbols};
use crate::invocation::Invocation;
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace of the firmware.
const FOLDER: &str = "esp32";
const DECODER: &str = "models/shakespeare.gguf";
const PERCEPTRON: &str = "models/digits.gguf";
const SAMPLES: &str = "models/digits-test.bin";

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
    let expected = Expected::compute()?;
    let mut remarks = Vec::new();
    for board in &BOARDS {
        board.run("instructions")?;
        print!("{}", board.run("matvec")?);
        let Expected { decoder, perceptron, text, correct } = &expected;
        same("digest", &board.run("digest")?, &format!("bit3 {}\n", decoder.digest))?;
        same("shakespeare", &board.run("shakespeare")?, text)?;
        let classified = format!("{correct}digest {}\n", perceptron.digest);
        same("digits", &board.run("digits")?, &classified)?;
        print!("{}", board.run("hostile")?);
        remarks.push(board.check_c(&expected)?);
    }
    Ok(remarks.join("; "))
}

/// What this machine computes, and a device has to.
struct Expected {
    decoder: Export,
    perceptron: Export,
    /// What the decoder says.
    text: String,
    /// How much of the test set the perceptron gets right, as a line.
    correct: String,
}

/// A model as `trilane export` has written it.
struct Export {
    folder: PathBuf,
    /// The file in it.
    model: PathBuf,
    digest: String,
    /// Bytes of code that it plans with.
    code: u32,
}

impl Expected {
    fn compute() -> Result<Self, String> {
        let decoder = Export::new(DECODER, "decoder", "--context 64")?;
        let perceptron = Export::new(PERCEPTRON, "perceptron", "")?;
        let verified = trilane(&format!("verify {PERCEPTRON} --lane bit3 --json"))?;
        let (_, lane) = verified.split_once("\"bit3\":").unwrap_or_default();
        same("digest of the exported perceptron", &perceptron.digest, field(lane, "digest")?)?;
        let report = trilane(&format!("classify {PERCEPTRON} --data {SAMPLES} --json"))?;
        let (correct, samples) = (field(&report, "correct")?, field(&report, "samples")?);
        let correct = format!("{correct} of {samples} correct\n");
        let text = trilane(&format!("run {DECODER} --prompt ROMEO: --lane bit3 --tokens 32"))?;
        Ok(Self { decoder, perceptron, text, correct })
    }
}

impl Export {
    fn new(model: &str, folder: &str, arguments: &str) -> Result<Self, String> {
        let root = fs::canonicalize(".").map_err(|e| e.to_string())?;
        let folder = root.join("target/export").join(folder);
        let out = folder.display();
        let report = trilane(&format!(
            "export {model} --target esp32 {arguments} --out {out} --force --json"
        ))?;
        Ok(Self {
            model: folder.join(Path::new(model).file_name().unwrap_or_default()),
            folder,
            digest: field(&report, "digest")?.to_owned(),
            code: field(&report, "code")?.parse().map_err(|e| format!("code: {e}"))?,
        })
    }
}

/// What the command prints.
fn trilane(arguments: &str) -> Result<String, String> {
    Invocation::new(&format!("cargo run --quiet --release -p trilane-cli -- {arguments}")).capture()
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

    /// Builds the library for C and runs its examples; the sizes of two of them.
    fn check_c(&self, expected: &Expected) -> Result<String, String> {
        let triple = self.triple;
        Invocation::new(&format!("cargo staticlib --target {triple}")).within(FOLDER).run()?;
        let Expected { decoder, perceptron, correct, .. } = expected;

        let (program, output) = self.run_c("shakespeare", decoder)?;
        let digest = format!("digest {}", decoder.digest);
        same("digest of the C program", output.lines().next().unwrap_or(""), &digest)?;
        let speaking = self.sizes(&program, decoder)?;

        let (program, output) = self.run_c("digits", perceptron)?;
        let classified = format!("{correct}digest {}\n", perceptron.digest);
        same("digits in C", &output, &classified)?;
        // Its digest takes in a float.
        if triple == SOFT_FLOAT && float_software(&program)?.is_empty() {
            return Err(format!("{triple}: no software for floats is found where it has to be"));
        }
        let (program, output) = self.run_c("class", perceptron)?;
        same("class of a vertical stroke", &output, "1\n")?;
        let found = float_software(&program)?;
        if !found.is_empty() {
            return Err(format!("{triple}: to classify takes software for floats: {found:?}"));
        }
        let classifying = self.sizes(&program, perceptron)?;
        Ok(format!("{triple}: decoder {speaking}, perceptron {classifying}"))
    }

    /// Links an example in C, which works only where the library cannot panic, and runs it; the
    /// linked file, and what it prints.
    fn run_c(&self, example: &str, export: &Export) -> Result<(Vec<u8>, String), String> {
        let Self { triple, memory, clang, qemu } = self;
        let built = target_folder()?.join(triple).join("release");
        let (library, program) =
            (built.join("libtrilane_esp32_c.a"), built.join(format!("{example}-c")));
        Invocation::new(&format!(
            "clang {clang} -std=c11 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -fuse-ld=lld \
             -Wl,--gc-sections,--fatal-warnings,-T,firmware/memory/{memory},-T,c/example/sections.ld \
             -Ic/include -I../models -I{} c/example/{example}.c c/example/board.c c/example/print.c \
             {} -o {}",
            export.folder.display(),
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
        Ok((read(&program)?, output))
    }

    /// Code without the model, and the variables of a linked program.
    fn sizes(&self, program: &[u8], export: &Export) -> Result<String, String> {
        let triple = self.triple;
        if program.windows(12).any(|bytes| bytes == b"__rust_alloc") {
            return Err(format!("{triple}: an allocator is linked"));
        }
        let sections = sections(program).ok_or("the linked program is not a 32-bit ELF file")?;
        let model = read(&export.model)?.len() as u32;
        let size = |name| sections.iter().filter(|s| s.0 == name).map(|s| s.2).sum::<u32>();
        let (code, most) = (size(".text") + size(".rodata") - model, export.code);
        if code > most {
            return Err(format!("{triple}: {code} bytes of code, at most {most} were promised"));
        }
        Ok(format!("(code {code}, model {model}, .bss {})", size(".bss")))
    }
}

/// The target without float instructions.
const SOFT_FLOAT: &str = "riscv32imc-unknown-none-elf";

/// The linked functions that compute with floats in software, which are named for their types:
/// `__mulsf3` for two floats, `__fixdfsi` from a double to an integer.
fn float_software(program: &[u8]) -> Result<Vec<&str>, String> {
    let symbols = symbols(program).ok_or("the linked program has no table of symbols")?;
    let is_float =
        |name: &&str| name.starts_with("__") && ["sf", "df"].iter().any(|kind| name.contains(kind));
    Ok(symbols.into_iter().filter(is_float).collect())
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
