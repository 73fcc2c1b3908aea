//! The proof that nothing here panics: a handler that calls a function that does not exist.
//!
//! Firmware with the static library links only where the optimiser has found every panic, and with
//! it this handler, to be unreachable.

use core::panic::PanicInfo;

unsafe extern "C" {
    fn trilane_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: a program in which this is called does not link.
    unsafe { trilane_can_panic() }
}
