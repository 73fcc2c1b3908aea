//! What the library takes of a 32-bit processor's memory, as numbers to plan with before anything
//! is built. Upper bounds; the sizes are checked when the C interface is compiled, code and stack
//! by the firmware tests.

use trilane_core::model::{Digest, Header, Line, MlpHeader};

/// The engine, in the memory given to the C interface.
pub const ENGINE_BYTES: usize = 896;

/// The classifier, in the memory given to the C interface.
pub const CLASSIFIER_BYTES: usize = 640;

/// A layer's entry in that memory.
pub const LAYER_BYTES: usize = 896;

/// Machine code and constants of the decoder and the C interface, linked into RISC-V firmware
/// without what it does not use.
pub const CODE_BYTES: usize = 116 * 1024;

/// The same for a classifier.
pub const CLASSIFIER_CODE_BYTES: usize = 48 * 1024;

/// Stack below the call of any function of the C interface. Most of it is tables.
pub const STACK_BYTES: usize = 20 * 1024;

/// The same with the feature `lanes`.
pub const LANES_STACK_BYTES: usize = 32 * 1024;

/// Bytes of memory for `trilane_init` of the C interface; `None` when that is more than the
/// address space.
#[must_use]
pub const fn memory_bytes(header: &Header, context: usize) -> Option<usize> {
    const LINE: usize = size_of::<Line>();
    let digests = (header.layers + 1) * size_of::<Digest>();
    let Some(arena) = header.arena_bytes(context) else { return None };
    let Some(layers) = header.layers.checked_mul(LAYER_BYTES) else { return None };
    let Some(own) = layers.checked_add(ENGINE_BYTES + digests.next_multiple_of(LINE) + LINE) else {
        return None;
    };
    arena.checked_add(own)
}

/// Bytes of memory for `trilane_classifier_init` of the C interface.
#[must_use]
pub const fn classifier_memory_bytes(header: &MlpHeader) -> usize {
    (header.arena_lines() + 1) * size_of::<Line>() + CLASSIFIER_BYTES
}
