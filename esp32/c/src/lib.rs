//! The C interface of `trilane-esp32`: pointers and codes in place of slices and errors.
//!
//! Every function checks its pointers for null and its lengths, takes any bytes as a model, and
//! returns a [`Status`]. The caller's promise is the one that C cannot express: pointers are
//! valid for the lengths given with them, an engine's model and memory stay where they are and
//! belong to the engine as long as it is used, and one engine is used by one task at a time.
//!
//! The header is `include/trilane.h`, made by cbindgen.
#![no_std]
#![allow(unsafe_code, reason = "C passes pointers")]

mod classifier;
mod memory;
#[cfg(any(feature = "panic-free", feature = "panic-halt"))]
mod panic;
mod status;

pub use classifier::*;
use core::ffi::{c_char, c_void};
use memory::{Slot, engine_bytes_needed, put, slice};
pub use status::Status;
use trilane_esp32::Engine;
use trilane_esp32::core::gguf::Gguf;
#[cfg(feature = "lanes")]
use trilane_esp32::core::lane::PrecisionLane;
use trilane_esp32::core::model::{Digest, Header};

/// A model being run. Lies at the beginning of the memory that it was given.
#[derive(Debug)]
pub struct TrilaneEngine {
    engine: Engine<'static, 'static>,
    layer_digests: &'static mut [Digest],
}

/// Bytes of memory that an engine for sequences of up to `context` tokens needs, into `*bytes`.
///
/// # Safety
/// `model` is valid for `model_len` bytes, `bytes` for one value; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_memory_bytes(
    model: *const u8,
    model_len: usize,
    context: usize,
    bytes: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    let (Some(model), Some(bytes)) =
        (unsafe { slice(model, model_len) }, unsafe { bytes.as_mut() })
    else {
        return Status::Null;
    };
    Status::of(needed(model, context), bytes)
}

fn needed(model: &[u8], context: usize) -> Result<usize, Status> {
    let header = Header::read(&Gguf::parse(model)?)?;
    engine_bytes_needed(&header, context).ok_or(Status::Memory)
}

/// Checks a model and prepares to run it in `memory`; the engine, into `*engine`, is valid as long
/// as model and memory are, and needs no end. It reads weights at the lowest lane of the model.
///
/// `model` has to lie at a multiple of four, better of 64; `memory` may lie anywhere.
///
/// # Safety
/// `model` is valid for `model_len` bytes and does not change, `memory` is valid for `memory_len`
/// bytes that nothing else uses, both as long as the engine is used; `engine` is valid for one
/// value. Each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_init(
    model: *const u8,
    model_len: usize,
    context: usize,
    memory: *mut c_void,
    memory_len: usize,
    engine: *mut *mut TrilaneEngine,
) -> Status {
    // SAFETY: the caller's promise.
    let (Some(model), Some(slot), Some(engine)) =
        (unsafe { slice(model, model_len) }, unsafe { Slot::new(memory, memory_len) }, unsafe {
            engine.as_mut()
        })
    else {
        return Status::Null;
    };
    Status::of(slot.engine(model, context), engine)
}

/// Takes one token. The likeliest next token goes into `*next`, the scores of all next tokens into
/// `*logits` (valid until the next call) and their number into `*logits_len`; each may be null.
/// After an error the sequence is as before.
///
/// # Safety
/// `engine` comes from `trilane_init`, and the other pointers are valid for one value, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_step(
    engine: *mut TrilaneEngine,
    token: u32,
    next: *mut u32,
    logits: *mut *const f32,
    logits_len: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    let Some(engine) = (unsafe { engine.as_mut() }) else { return Status::Null };
    let scores = match engine.engine.step(token) {
        Ok(scores) => scores,
        Err(error) => return error.into(),
    };
    // SAFETY: the caller's promise.
    unsafe {
        put(next, likeliest(scores));
        put(logits, scores.as_ptr());
        put(logits_len, scores.len());
    }
    Status::Ok
}

/// The first of the highest scores.
fn likeliest(scores: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &score) in (0..).zip(scores) {
        if score > best.1 {
            best = (token, score);
        }
    }
    best.0
}

/// Reads weights at `bits` (3, 5 or 7, or 2 for trits) from the next step on; of a library that was
/// built with the feature `lanes`. After an error the lane is as before.
///
/// # Safety
/// `engine` comes from `trilane_init`, or is null.
#[cfg(feature = "lanes")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_set_lane(engine: *mut TrilaneEngine, bits: u32) -> Status {
    // SAFETY: the caller's promise.
    let Some(engine) = (unsafe { engine.as_mut() }) else { return Status::Null };
    let Some(lane) = PrecisionLane::ALL.into_iter().find(|lane| lane.code_bits() == bits) else {
        return Status::Lane;
    };
    engine.engine.set_lane(lane).map_or_else(Status::from, |()| Status::Ok)
}

/// Forgets the sequence.
///
/// # Safety
/// `engine` comes from `trilane_init`, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_reset(engine: *mut TrilaneEngine) -> Status {
    // SAFETY: the caller's promise.
    let Some(engine) = (unsafe { engine.as_mut() }) else { return Status::Null };
    engine.engine.reset();
    Status::Ok
}

/// The digest of a fixed run, the same on every platform, into `*digest`. Forgets the sequence. It
/// takes the time of 16 tokens, or of as many as there is room for.
///
/// # Safety
/// `engine` comes from `trilane_init` and `digest` is valid for one value; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_digest(engine: *mut TrilaneEngine, digest: *mut u64) -> Status {
    // SAFETY: the caller's promise.
    let (Some(engine), Some(digest)) = (unsafe { engine.as_mut() }, unsafe { digest.as_mut() })
    else {
        return Status::Null;
    };
    Status::of(engine.engine.digest(engine.layer_digests).map(Digest::value), digest)
}

/// What a status means, for people; any number is taken. Never null.
#[unsafe(no_mangle)]
pub extern "C" fn trilane_error_message(status: i32) -> *const c_char {
    Status::message(status).as_ptr()
}
