//! Panic handlers for the static library.
//!
//! With the feature `panic-free` the handler calls a function that does not exist: a program with
//! the library links only where the optimiser has found every panic, and with it the handler, to be
//! unreachable. That is the proof that nothing here panics.

use core::panic::PanicInfo;

#[cfg(feature = "panic-free")]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn trilane_can_panic() -> !;
    }
    // SAFETY: a program in which this is called does not link.
    unsafe { trilane_can_panic() }
}

#[cfg(not(feature = "panic-free"))]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
