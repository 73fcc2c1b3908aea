//! How deep the stack has been: memory below it is painted, and later looked at.
#![allow(unsafe_code, reason = "memory that nothing owns is read and written")]

/// What the memory below the stack is painted with.
const PAINT: u32 = 0x5AFE_57AC;

/// Bytes below a frame that calls in progress may be using.
const MARGIN: usize = 512;

unsafe extern "C" {
    /// The end of the last static, which the linker defines.
    #[link_name = "__sheap"]
    static LOWEST: u8;
    #[link_name = "_stack_start"]
    static HIGHEST: u8;
}

/// Paints the memory that the stack may still grow into. What the caller's frame takes counts as
/// used.
#[inline(never)]
pub fn paint_stack() {
    let marker = 0u32;
    let top = (&raw const marker as usize - MARGIN) & !3;
    let mut at = lowest();
    while at < top {
        // SAFETY: aligned memory between the statics and the stack, which nothing uses; there is no
        // heap.
        unsafe { (at as *mut u32).write_volatile(PAINT) };
        at += size_of::<u32>();
    }
}

/// Bytes that the stack has taken where it was deepest, since [`paint_stack`].
pub fn stack_bytes() -> usize {
    let highest = &raw const HIGHEST as usize;
    let mut at = lowest();
    // SAFETY: aligned memory of the stack or below it, where any bits are a number.
    while at < highest && unsafe { (at as *const u32).read_volatile() } == PAINT {
        at += size_of::<u32>();
    }
    highest - at
}

fn lowest() -> usize {
    (&raw const LOWEST as usize).next_multiple_of(size_of::<u32>())
}
