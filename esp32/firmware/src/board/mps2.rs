//! QEMU's Cortex-M4F board `mps2-an386`.

pub use cortex_m_rt::entry;

/// Multiple in which [`instructions`] counts.
pub const INSTRUCTIONS_STEP: u64 = NANOSECONDS_PER_TICK;

/// The timers of the board run at 25 MHz of the machine's own time.
const NANOSECONDS_PER_TICK: u64 = 40;

/// Registers of the board's timer 0 (Arm's CMSDK timer), which counts down.
const CONTROL: *mut u32 = 0x4000_0000 as *mut u32;
const VALUE: *mut u32 = 0x4000_0004 as *mut u32;
const RELOAD: *mut u32 = 0x4000_0008 as *mut u32;
const ENABLE: u32 = 1;

/// Instructions executed since the first call, in steps of [`INSTRUCTIONS_STEP`]; begins again
/// after 2³² steps.
///
/// The core's own cycle counters stand still or drift in QEMU. A timer follows the machine's time,
/// in which under `-icount shift=0` every instruction takes one nanosecond.
pub fn instructions() -> u64 {
    #[allow(unsafe_code, reason = "a device is its registers")]
    // SAFETY: on this board these addresses are the aligned registers of a timer that nothing else
    // uses and that has no interrupt enabled; the build for another board has another file.
    let ticks = unsafe {
        if CONTROL.read_volatile() & ENABLE == 0 {
            RELOAD.write_volatile(u32::MAX);
            VALUE.write_volatile(u32::MAX);
            CONTROL.write_volatile(ENABLE);
        }
        u32::MAX - VALUE.read_volatile()
    };
    u64::from(ticks) * NANOSECONDS_PER_TICK
}
