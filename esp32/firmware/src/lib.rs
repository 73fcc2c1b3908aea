//! What firmware needs of a board: a console, an exit status, and a count of instructions.
//!
//! The boards are emulated ones with the memory of an ESP32-C3, so that the same programs run on
//! RISC-V and Cortex-M wherever QEMU does. Console and exit go through semihosting, which reaches
//! the emulator's standard output and its own exit status.
#![no_std]

#[cfg(target_arch = "riscv32")]
#[path = "board/virt.rs"]
mod board;

#[cfg(target_arch = "arm")]
#[path = "board/mps2.rs"]
mod board;

pub use board::{INSTRUCTIONS_STEP, entry, instructions};
pub use semihosting::{print, println};

/// Ends the program; 0 is success.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}
