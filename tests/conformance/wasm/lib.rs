//! The conformance program as a bare WebAssembly module: the page or script that loads it provides
//! `env.report(name, length, digest)`, puts the models into memory of `reserve`, and calls `run`.
#![allow(unsafe_code, reason = "the host passes addresses")]

use trilane_conformance::{Memory, Models, run};
use trilane_core::kernel::Level;
use trilane_core::model::Line;

#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn report(name: *const u8, length: usize, digest: u64);
}

/// Stands for the host where there is none.
#[cfg(not(target_arch = "wasm32"))]
unsafe fn report(_: *const u8, _: usize, _: u64) {}

/// Memory for that many bytes, aligned as models are and never freed.
#[unsafe(no_mangle)]
pub extern "C" fn reserve(length: usize) -> *mut u8 {
    Vec::leak(vec![Line::ZERO; length.div_ceil(64)]).as_mut_ptr().cast()
}

/// Runs the program on the models at these addresses at the level of the build; 0 when it ran.
///
/// # Safety
/// Both models lie in memory from [`reserve`], as long as stated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conformance(
    shakespeare: *const u8,
    shakespeare_length: usize,
    digits: *const u8,
    digits_length: usize,
) -> i32 {
    // SAFETY: the caller's promise, above.
    let models = unsafe {
        Models {
            shakespeare: std::slice::from_raw_parts(shakespeare, shakespeare_length),
            digits: std::slice::from_raw_parts(digits, digits_length),
        }
    };
    let mut memory = Box::new(Memory::EMPTY);
    let outcome = run(Level::baseline(), models, &mut memory, &mut |name, digest| {
        // SAFETY: the host reads `length` bytes at `name`, which are those of a str.
        unsafe { report(name.as_ptr(), name.len(), digest) };
    });
    i32::from(outcome.is_err())
}
