//! QEMU's RISC-V board `virt`.

pub use riscv_rt::entry;

/// Multiple in which [`instructions`] counts.
pub const INSTRUCTIONS_STEP: u64 = 1;

/// Instructions executed since the machine started. Exact under `-icount`.
pub fn instructions() -> u64 {
    riscv::register::minstret::read64()
}
