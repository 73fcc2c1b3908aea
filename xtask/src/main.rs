//! Development tasks: `cargo xtask help` lists them.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )
)]

mod arguments;
mod conformance;
mod cpu;
mod cuda;
mod elf;
mod embeddings;
mod firmware;
mod invocation;
mod npm;
mod report;
mod requirement;
mod setup;
mod steps;
mod test_run;

use arguments::Request;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match perform() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line asks for; `Ok(false)` when the work was done and found a fault.
fn perform() -> Result<bool, String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match arguments::parse(&words)? {
        Request::Help => {
            print!("{}", arguments::help());
            Ok(true)
        }
        Request::List => {
            print!("{}", steps::listing());
            Ok(true)
        }
        Request::Setup => {
            enter_repository()?;
            Ok(setup::install_missing().is_empty())
        }
        Request::Wasm => {
            enter_repository()?;
            npm::build().map(|()| true)
        }
        Request::Demo => {
            enter_repository()?;
            npm::demo::serve().map(|()| true)
        }
        Request::Gpu => {
            enter_repository()?;
            println!("{}", cuda::gpu()?);
            Ok(true)
        }
        Request::Conformance { bless } => {
            enter_repository()?;
            setup::install_missing();
            println!("{}", conformance::run(bless)?);
            Ok(true)
        }
        Request::Test(selection) => {
            enter_repository()?;
            Ok(test_run::run(&selection))
        }
    }
}

/// Every command runs from the root of the repository, wherever the user stands in it.
fn enter_repository() -> Result<(), String> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root =
        manifest.parent().ok_or_else(|| format!("{} has no parent folder", manifest.display()))?;
    std::env::set_current_dir(root).map_err(|error| format!("{}: {error}", root.display()))
}
