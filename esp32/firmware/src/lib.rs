//! What firmware needs of a board: a console, an exit status, and measures of time and stack.
//!
//! The boards are emulated ones with the memory of an ESP32-C3, so that the same programs run on
//! RISC-V and Cortex-M wherever QEMU does. Console and exit go through semihosting, which reaches
//! the emulator's standard output, standard error and exit status.
#![no_std]

#[cfg(target_arch = "riscv32")]
#[path = "board/virt.rs"]
mod board;

#[cfg(target_arch = "arm")]
#[path = "board/mps2.rs"]
mod board;

mod stack;

pub use board::{INSTRUCTIONS_STEP, entry, instructions};
pub use semihosting::{eprintln, print, println};
pub use stack::{paint_stack, stack_bytes};

use core::fmt::Display;

/// Ends the program; 0 is success.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}

/// The value, or the end of the program with the error on standard error.
pub fn or_exit<T, E: Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        eprintln!("{error}");
        exit(1)
    })
}
