//! The C interface as C would call it: null pointers, any bytes, any length, and the right digest.
#![allow(unsafe_code, reason = "C passes pointers")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod copy;

use copy::Copy;
use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};
use trilane_esp32::{Model, include_model};
use trilane_esp32_c::*;

const MODEL: Model = include_model!("../../../models/shakespeare.gguf");
const DIGEST: u64 = 0x24d3_431e_cb6c_74b8;

fn memory_bytes(model: &[u8], context: usize) -> (Status, usize) {
    let mut bytes = 0;
    // SAFETY: a slice and a place.
    let status = unsafe { trilane_memory_bytes(model.as_ptr(), model.len(), context, &mut bytes) };
    (status, bytes)
}

/// Makes an engine for 4 tokens in `memory`.
fn init(model: *const u8, len: usize, memory: &mut [u8]) -> (Status, *mut TrilaneEngine) {
    let mut engine = null_mut();
    let place = memory.as_mut_ptr().cast::<c_void>();
    // SAFETY: the model is a slice's or null, and every caller keeps its memory.
    let status = unsafe { trilane_init(model, len, 4, place, memory.len(), &mut engine) };
    (status, engine)
}

#[test]
fn the_digest_is_that_of_every_platform() {
    let (status, bytes) = memory_bytes(MODEL.bytes(), 16);
    assert_eq!(status, Status::Ok);
    // Wherever the memory begins.
    for skipped in [0, 1, 63] {
        let mut memory = vec![0xA5u8; bytes + skipped];
        let mut engine = null_mut();
        let mut digest = 0;
        let (model, len) = (MODEL.bytes().as_ptr(), MODEL.bytes().len());
        // SAFETY: slices and places, which outlive the engine.
        unsafe {
            let place = memory.as_mut_ptr().add(skipped).cast();
            assert_eq!(trilane_init(model, len, 16, place, bytes, &mut engine), Status::Ok);
            assert_eq!(trilane_digest(engine, &mut digest), Status::Ok);
        }
        assert_eq!(digest, DIGEST);
    }
}

#[test]
fn steps_give_scores_and_the_likeliest_token() {
    let (_, bytes) = memory_bytes(MODEL.bytes(), 4);
    let mut memory = vec![0; bytes];
    let (status, engine) = init(MODEL.bytes().as_ptr(), MODEL.bytes().len(), &mut memory);
    assert_eq!(status, Status::Ok);
    let (mut next, mut logits, mut len) = (0, null(), 0);
    // SAFETY: the engine's memory is here, the places too.
    unsafe {
        assert_eq!(trilane_step(engine, 512, &mut next, null_mut(), null_mut()), Status::Token);
        for _ in 0..4 {
            let status = trilane_step(engine, 1, &mut next, &mut logits, &mut len);
            assert_eq!((status, len), (Status::Ok, 512));
            let scores = std::slice::from_raw_parts(logits, len);
            assert!(scores.iter().all(|&score| score <= scores[next as usize]));
        }
        let (next, logits, len) = (null_mut(), null_mut(), null_mut());
        assert_eq!(trilane_step(engine, 1, next, logits, len), Status::Context);
        assert_eq!(trilane_reset(engine), Status::Ok);
        assert_eq!(trilane_step(engine, 1, next, logits, len), Status::Ok);
    }
}

#[cfg(feature = "lanes")]
#[test]
fn lanes_are_changed_by_their_bits() {
    let (_, bytes) = memory_bytes(MODEL.bytes(), 16);
    let mut memory = vec![0; bytes];
    let (model, len) = (MODEL.bytes().as_ptr(), MODEL.bytes().len());
    let (mut engine, mut digests) = (null_mut(), [0; 2]);
    // SAFETY: slices and places, which outlive the engine.
    unsafe {
        let place = memory.as_mut_ptr().cast();
        assert_eq!(trilane_init(model, len, 16, place, bytes, &mut engine), Status::Ok);
        for wrong in [0, 2, 4, 8, 32, u32::MAX] {
            assert_eq!(trilane_set_lane(engine, wrong), Status::Lane);
        }
        assert_eq!(trilane_set_lane(null_mut(), 3), Status::Null);
        for (bits, digest) in [7, 3].into_iter().zip(&mut digests) {
            assert_eq!(trilane_set_lane(engine, bits), Status::Ok);
            assert_eq!(trilane_digest(engine, digest), Status::Ok);
        }
    }
    assert_ne!(digests[0], DIGEST);
    assert_eq!(digests[1], DIGEST);
}

#[test]
fn null_pointers_are_refused() {
    let mut bytes = [0; 64];
    let place = bytes.as_mut_ptr().cast::<c_void>();
    let (model, len) = (MODEL.bytes().as_ptr(), MODEL.bytes().len());
    let (mut number, mut engine, mut digest) = (0, null_mut(), 0);
    // SAFETY: what is not null is valid.
    unsafe {
        assert_eq!(trilane_memory_bytes(null(), len, 4, &mut number), Status::Null);
        assert_eq!(trilane_memory_bytes(model, usize::MAX, 4, &mut number), Status::Null);
        assert_eq!(trilane_memory_bytes(model, len, 4, null_mut()), Status::Null);
        assert_eq!(trilane_init(null(), len, 4, place, 64, &mut engine), Status::Null);
        assert_eq!(trilane_init(model, len, 4, null_mut(), 64, &mut engine), Status::Null);
        assert_eq!(trilane_init(model, len, 4, place, usize::MAX, &mut engine), Status::Null);
        assert_eq!(trilane_init(model, len, 4, place, 64, null_mut()), Status::Null);
        let (next, logits, len) = (null_mut(), null_mut(), null_mut());
        assert_eq!(trilane_step(null_mut(), 1, next, logits, len), Status::Null);
        assert_eq!(trilane_reset(null_mut()), Status::Null);
        assert_eq!(trilane_digest(null_mut(), &mut digest), Status::Null);
    }
    assert!(engine.is_null());
}

#[test]
fn memory_of_every_size_below_what_is_needed_is_refused() {
    let (_, needed) = memory_bytes(MODEL.bytes(), 4);
    let mut memory = vec![0; needed];
    let (model, len) = (MODEL.bytes().as_ptr(), MODEL.bytes().len());
    let sizes = (0..2048).chain((2048..needed - 63).step_by(997)).chain([needed - 127]);
    for size in sizes {
        let (status, _) = init(model, len, &mut memory[..size]);
        assert_eq!(status, Status::Memory, "{size} of {needed} bytes");
    }
    assert_eq!(memory_bytes(MODEL.bytes(), usize::MAX).0, Status::Memory);
    assert_eq!(memory_bytes(MODEL.bytes(), usize::MAX / 2048).0, Status::Memory);
}

#[test]
fn any_bytes_are_taken_as_a_model() {
    let whole = MODEL.bytes();
    let mut memory = vec![0; memory_bytes(whole, 4).1];
    for len in (0..512).chain((512..whole.len()).step_by(9973)) {
        let (status, _) = init(whole.as_ptr(), len, &mut memory);
        assert!(matches!(status, Status::File | Status::Model), "{len} bytes: {status:?}");
    }
    let mut copy = Copy::new(whole);
    let len = whole.len();
    // Dense where the numbers of the header are, and now and then in the rest.
    for index in (0..1024).chain((1024..8192).step_by(13)).chain((8192..len).step_by(9967)) {
        let flip = 1 << (index % 8);
        *copy.at(index) ^= flip;
        let (status, engine) = init(copy.as_ptr(), len, &mut memory);
        if status == Status::Ok {
            let (next, logits, len) = (null_mut(), null_mut(), null_mut());
            // SAFETY: what was made of the file can be used, whatever the flipped bit was.
            let _ = unsafe { trilane_step(engine, 1, next, logits, len) };
        }
        *copy.at(index) ^= flip;
    }
    let moved = Copy::new(&[&[0], whole].concat());
    // SAFETY: the copy has one byte more.
    let odd = unsafe { moved.as_ptr().add(1) };
    assert_eq!(init(odd, len, &mut memory).0, Status::Alignment);
}

#[test]
fn every_number_has_a_message() {
    let message = |status: i32| {
        // SAFETY: a string with an end, for as long as the program runs.
        unsafe { CStr::from_ptr(trilane_error_message(status)) }.to_str().unwrap()
    };
    let mut seen: Vec<&str> = (0..11).map(message).collect();
    assert_eq!(seen[0], "done");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 11);
    for unknown in [-1, 11, i32::MAX, i32::MIN] {
        assert_eq!(message(unknown), "not a status of this library");
    }
}
