//! Perceptrons: features in, a class out.

use crate::Status;
use crate::memory::{Slot, classifier_bytes_needed, put, slice};
use core::ffi::c_void;
use trilane_esp32::core::gguf::Gguf;
use trilane_esp32::core::model::{Digest, Line, MlpHeader, ModelError};
use trilane_esp32::{Classifier, Error};

/// A perceptron being run. Lies at the beginning of the memory that it was given.
#[derive(Debug)]
pub struct TrilaneClassifier {
    pub(crate) classifier: Classifier<'static>,
    pub(crate) arena: &'static mut [Line],
}

/// Bytes of memory that a classifier needs, into `*bytes`.
///
/// # Safety
/// `model` is valid for `model_len` bytes, `bytes` for one value; either may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_classifier_memory_bytes(
    model: *const u8,
    model_len: usize,
    bytes: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    let (Some(model), Some(bytes)) =
        (unsafe { slice(model, model_len) }, unsafe { bytes.as_mut() })
    else {
        return Status::Null;
    };
    Status::of(needed(model), bytes)
}

fn needed(model: &[u8]) -> Result<usize, Status> {
    let header = MlpHeader::read(&Gguf::parse(model)?)?;
    classifier_bytes_needed(&header).ok_or(Status::Memory)
}

/// Checks a perceptron and prepares to run it in `memory`; the classifier, into `*classifier`, is
/// valid as long as model and memory are, and needs no end.
///
/// `model` has to lie at a multiple of four, better of 64; `memory` may lie anywhere.
///
/// # Safety
/// `model` is valid for `model_len` bytes and does not change, `memory` is valid for `memory_len`
/// bytes that nothing else uses, both as long as the classifier is used; `classifier` is valid for
/// one value. Each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_classifier_init(
    model: *const u8,
    model_len: usize,
    memory: *mut c_void,
    memory_len: usize,
    classifier: *mut *mut TrilaneClassifier,
) -> Status {
    // SAFETY: the caller's promise.
    let (Some(model), Some(slot), Some(classifier)) =
        (unsafe { slice(model, model_len) }, unsafe { Slot::new(memory, memory_len) }, unsafe {
            classifier.as_mut()
        })
    else {
        return Status::Null;
    };
    Status::of(slot.classifier(model), classifier)
}

/// Classifies an input of `features_len` features, each from -127 to 127, without a float. The
/// likeliest class goes into `*class_index`, the scores of all classes into `*scores` (valid until
/// the next call) and their number into `*scores_len`; each may be null.
///
/// # Safety
/// `classifier` comes from `trilane_classifier_init`, `features` is valid for `features_len` bytes,
/// and the other pointers are valid for one value; each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_infer(
    classifier: *mut TrilaneClassifier,
    features: *const i8,
    features_len: usize,
    class_index: *mut u32,
    scores: *mut *const i64,
    scores_len: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    let (Some(this), Some(features)) =
        (unsafe { classifier.as_mut() }, unsafe { slice(features, features_len) })
    else {
        return Status::Null;
    };
    let found = match this.classifier.scores(features, this.arena) {
        Ok(found) => found,
        // Of what computing a loaded model can answer, only the features are the caller's.
        Err(Error::Model(ModelError::Compute(_))) => return Status::Features,
        Err(error) => return error.into(),
    };
    // SAFETY: the caller's promise.
    unsafe {
        put(class_index, found.class() as u32);
        put(scores, found.values.as_ptr());
        put(scores_len, found.values.len());
    }
    Status::Ok
}

/// The digest of fixed inputs, the same on every platform, into `*digest`. It takes the time of 16
/// inputs.
///
/// # Safety
/// `classifier` comes from `trilane_classifier_init` and `digest` is valid for one value; either
/// may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trilane_classifier_digest(
    classifier: *mut TrilaneClassifier,
    digest: *mut u64,
) -> Status {
    // SAFETY: the caller's promise.
    let (Some(this), Some(digest)) = (unsafe { classifier.as_mut() }, unsafe { digest.as_mut() })
    else {
        return Status::Null;
    };
    Status::of(this.classifier.digest(this.arena).map(Digest::value), digest)
}
