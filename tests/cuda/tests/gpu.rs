//! The program that checks a device, on the emulated one.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

fn gpu(argument: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gpu"))
        .arg(argument)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn it_checks_and_times_what_it_is_to() {
    let (code, out, error) = gpu("--emulated");
    assert_eq!((code, error.as_str()), (Some(0), ""));
    for part in ["digest of the device", "A copy within the device", "| 40×600 | bit7 |"] {
        assert!(out.contains(part), "{part} is not in {out}");
    }
}

#[test]
fn a_wrong_argument_is_refused() {
    let (code, out, error) = gpu("--fast");
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.contains("--fast") && error.contains("--emulated"));
}
