//! Perceptrons as C would call them: null pointers, any bytes, any length, and the right classes.
#![allow(unsafe_code, reason = "C passes pointers")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod copy;

use copy::Copy;
use std::ptr::{null, null_mut};
use trilane_esp32::{Model, Perceptron, include_model};
use trilane_esp32_c::*;

const MODEL: Perceptron = include_model!("../../../models/digits.gguf");
const DECODER: Model = include_model!("../../../models/shakespeare.gguf");
const SAMPLES: &[u8] = include_bytes!("../../../models/digits-test.bin");
const FEATURES: usize = MODEL.header().features;
const CLASSES: usize = MODEL.header().classes;
const DIGEST: u64 = 0xfaac_70d1_51d7_ea63;

fn memory_bytes(model: &[u8]) -> (Status, usize) {
    let mut bytes = 0;
    // SAFETY: a slice and a place.
    let status =
        unsafe { trilane_classifier_memory_bytes(model.as_ptr(), model.len(), &mut bytes) };
    (status, bytes)
}

fn init(model: *const u8, len: usize, memory: &mut [u8]) -> (Status, *mut TrilaneClassifier) {
    let mut classifier = null_mut();
    let place = memory.as_mut_ptr().cast();
    // SAFETY: the model is a slice's or null, and every caller keeps its memory.
    let status =
        unsafe { trilane_classifier_init(model, len, place, memory.len(), &mut classifier) };
    (status, classifier)
}

#[test]
fn classes_scores_and_digest_are_those_of_every_platform() {
    let (status, bytes) = memory_bytes(MODEL.bytes());
    assert_eq!(status, Status::Ok);
    let (model, len) = (MODEL.bytes().as_ptr(), MODEL.bytes().len());
    // Wherever the memory begins.
    for skipped in [0, 1, 63] {
        let mut memory = vec![0xA5; bytes + skipped];
        let (status, classifier) = init(model, len, &mut memory[skipped..]);
        assert_eq!(status, Status::Ok);
        let mut correct = 0;
        for record in SAMPLES.chunks_exact(1 + FEATURES) {
            let (mut class, mut scores, mut found) = (0, null(), 0);
            let features = record[1..].as_ptr().cast();
            // SAFETY: the classifier's memory is here, slice and places too.
            let scores = unsafe {
                let status = trilane_infer(
                    classifier,
                    features,
                    FEATURES,
                    &mut class,
                    &mut scores,
                    &mut found,
                );
                assert_eq!((status, found), (Status::Ok, CLASSES));
                std::slice::from_raw_parts(scores, found)
            };
            assert!(scores.iter().all(|&score| score <= scores[class as usize]));
            correct += usize::from(class == u32::from(record[0]));
        }
        assert_eq!(correct, 360);
        let mut digest = 0;
        // SAFETY: as above.
        assert_eq!(unsafe { trilane_classifier_digest(classifier, &mut digest) }, Status::Ok);
        assert_eq!(digest, DIGEST);
    }
}

#[test]
fn null_pointers_are_refused() {
    let mut memory = vec![0; memory_bytes(MODEL.bytes()).1];
    let (model, len) = (MODEL.bytes().as_ptr(), MODEL.bytes().len());
    let (place, size) = (memory.as_mut_ptr().cast(), memory.len());
    let (mut number, mut made, mut digest) = (0, null_mut(), 0);
    let features = [1; FEATURES];
    let (class, scores, count) = (null_mut(), null_mut(), null_mut());
    // SAFETY: what is not null is valid.
    unsafe {
        let bytes = trilane_classifier_memory_bytes;
        assert_eq!(bytes(null(), len, &mut number), Status::Null);
        assert_eq!(bytes(model, usize::MAX, &mut number), Status::Null);
        assert_eq!(bytes(model, len, null_mut()), Status::Null);
        let init = trilane_classifier_init;
        assert_eq!(init(null(), len, place, size, &mut made), Status::Null);
        assert_eq!(init(model, usize::MAX, place, size, &mut made), Status::Null);
        assert_eq!(init(model, len, null_mut(), size, &mut made), Status::Null);
        assert_eq!(init(model, len, place, usize::MAX, &mut made), Status::Null);
        assert_eq!(init(model, len, place, size, null_mut()), Status::Null);
        assert!(made.is_null());
        assert_eq!(trilane_classifier_digest(null_mut(), &mut digest), Status::Null);
        let x = features.as_ptr();
        assert_eq!(trilane_infer(null_mut(), x, FEATURES, class, scores, count), Status::Null);
        assert_eq!(init(model, len, place, size, &mut made), Status::Ok);
        assert_eq!(trilane_classifier_digest(made, null_mut()), Status::Null);
        assert_eq!(trilane_infer(made, null(), FEATURES, class, scores, count), Status::Null);
        assert_eq!(trilane_infer(made, x, usize::MAX, class, scores, count), Status::Null);
        assert_eq!(trilane_infer(made, x, FEATURES, class, scores, count), Status::Ok);
    }
}

#[test]
fn features_that_the_model_does_not_take_are_refused() {
    let mut memory = vec![0; memory_bytes(MODEL.bytes()).1];
    let (_, classifier) = init(MODEL.bytes().as_ptr(), MODEL.bytes().len(), &mut memory);
    let infer = |features: &[i8]| {
        let (class, scores, count) = (null_mut(), null_mut(), null_mut());
        let (features, len) = (features.as_ptr(), features.len());
        // SAFETY: the classifier's memory is here, and so are the features.
        unsafe { trilane_infer(classifier, features, len, class, scores, count) }
    };
    let mut features = [1; FEATURES + 1];
    for len in [0, 1, FEATURES - 1, FEATURES + 1] {
        assert_eq!(infer(&features[..len]), Status::Features, "{len}");
    }
    for value in [-127, 127] {
        features[40] = value;
        assert_eq!(infer(&features[..FEATURES]), Status::Ok);
    }
    features[40] = -128;
    assert_eq!(infer(&features[..FEATURES]), Status::Features);
}

#[test]
fn memory_of_every_size_below_what_is_needed_is_refused() {
    let needed = memory_bytes(MODEL.bytes()).1;
    let mut memory = vec![0; needed];
    let (model, len) = (MODEL.bytes().as_ptr(), MODEL.bytes().len());
    for size in 0..needed - 127 {
        let (status, _) = init(model, len, &mut memory[..size]);
        assert_eq!(status, Status::Memory, "{size} of {needed} bytes");
    }
}

#[test]
fn any_bytes_are_taken_as_a_model() {
    let whole = MODEL.bytes();
    let (_, needed) = memory_bytes(whole);
    let mut memory = vec![0; needed];
    // Of the last 64 bytes some are padding.
    for len in 0..whole.len() - 63 {
        let (status, _) = init(whole.as_ptr(), len, &mut memory);
        assert!(matches!(status, Status::File | Status::Model), "{len} bytes: {status:?}");
    }
    let mut copy = Copy::new(whole);
    let features = [127; FEATURES];
    for index in 0..whole.len() {
        let flip = 1 << (index % 8);
        *copy.at(index) ^= flip;
        let (status, classifier) = init(copy.as_ptr(), whole.len(), &mut memory);
        if status == Status::Ok {
            let (class, scores, count) = (null_mut(), null_mut(), null_mut());
            let x = features.as_ptr();
            // SAFETY: what was made of the file can be used, whatever the flipped bit was.
            let _ = unsafe { trilane_infer(classifier, x, FEATURES, class, scores, count) };
        }
        *copy.at(index) ^= flip;
    }
    let moved = Copy::new(&[&[0], whole].concat());
    // SAFETY: the copy has one byte more.
    let odd = unsafe { moved.as_ptr().add(1) };
    assert_eq!(init(odd, whole.len(), &mut memory).0, Status::Alignment);
}

#[test]
fn models_of_the_other_kind_are_refused() {
    let mut memory = vec![0; 4096];
    let decoder = DECODER.bytes();
    assert_eq!(memory_bytes(decoder).0, Status::Model);
    assert_eq!(init(decoder.as_ptr(), decoder.len(), &mut memory).0, Status::Model);
    let (model, len) = (MODEL.bytes().as_ptr(), MODEL.bytes().len());
    let (place, size) = (memory.as_mut_ptr().cast(), memory.len());
    let mut engine = null_mut();
    // SAFETY: slices and a place.
    let status = unsafe { trilane_init(model, len, 4, place, size, &mut engine) };
    assert_eq!(status, Status::Model);
}
