//! Counts the instructions of loops whose length is known, and fails where the count is off.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "only assembly has a known number of instructions")]

use core::arch::asm;
use firmware::{INSTRUCTIONS_STEP, entry, exit, instructions, println};

/// Instructions around the loop that belong to reading the counter twice.
const OVERHEAD: u64 = 40;

/// Executes `2 · rounds` instructions, for at least one round.
fn spin(rounds: u32) {
    // SAFETY: counts a register down to zero and touches nothing else.
    #[cfg(target_arch = "riscv32")]
    unsafe {
        asm!("2:", "addi {0}, {0}, -1", "bnez {0}, 2b", inout(reg) rounds => _, options(nomem, nostack));
    }
    // SAFETY: as above; the flags are clobbered, which an assembly block may.
    #[cfg(target_arch = "arm")]
    unsafe {
        asm!("2:", "subs {0}, #1", "bne 2b", inout(reg) rounds => _, options(nomem, nostack));
    }
}

#[entry]
fn main() -> ! {
    let mut wrong = 0;
    for rounds in [1_000, 100_000, 10_000_000] {
        let start = instructions();
        spin(rounds);
        let counted = instructions() - start;
        let expected = 2 * u64::from(rounds);
        let off = counted.abs_diff(expected);
        println!("{expected} instructions, counted {counted}");
        wrong += i32::from(off > OVERHEAD + INSTRUCTIONS_STEP);
    }
    exit(wrong)
}
