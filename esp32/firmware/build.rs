//! Gives the linker the memory of the board that the target stands for.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=memory");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let (memory, scripts) = match arch.as_str() {
        "riscv32" => ("memory/riscv32imc.x", &["memory.x", "link.x"][..]),
        "arm" => ("memory/thumbv7em.x", &["link.x"][..]),
        _ => return Ok(()),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::copy(memory, out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    for script in scripts {
        println!("cargo:rustc-link-arg-bins=-T{script}");
    }
    Ok(())
}
