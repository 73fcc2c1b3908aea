//! An engine or a classifier, and all that it needs, in one piece of the caller's memory.
//!
//! ```text
//! | up to 63 bytes | engine | layers | digests, layers + 1 | arena |    each at a multiple of 64
//! | up to 63 bytes | classifier | arena |
//! ```

use crate::{Status, TrilaneClassifier, TrilaneEngine};
use core::ffi::c_void;
use core::ptr::NonNull;
use trilane_esp32::core::gguf::Gguf;
use trilane_esp32::core::model::{Digest, Header, Layer, Line, MlpHeader};
#[cfg(target_pointer_width = "32")]
use trilane_esp32::footprint;
use trilane_esp32::{Classifier, Engine};

const LINE: usize = size_of::<Line>();

// What is said to those who plan before they build.
#[cfg(target_pointer_width = "32")]
const _: () = {
    assert!(size_of::<TrilaneEngine>() <= footprint::ENGINE_BYTES);
    assert!(size_of::<TrilaneClassifier>() <= footprint::CLASSIFIER_BYTES);
    assert!(size_of::<Layer<'_>>() <= footprint::LAYER_BYTES);
};

/// Lines that `count` values take.
fn lines<T>(count: usize) -> Option<usize> {
    Some(count.checked_mul(size_of::<T>())?.div_ceil(LINE))
}

/// Bytes of memory for a perceptron, wherever it begins.
pub(crate) fn classifier_bytes_needed(header: &MlpHeader) -> Option<usize> {
    lines::<TrilaneClassifier>(1)?
        .checked_add(header.arena_lines())?
        .checked_mul(LINE)?
        .checked_add(LINE - 1)
}

/// Bytes of memory for a decoder and a context, wherever it begins.
pub(crate) fn engine_bytes_needed(header: &Header, context: usize) -> Option<usize> {
    lines::<TrilaneEngine>(1)?
        .checked_add(lines::<Layer<'_>>(header.layers)?)?
        .checked_add(lines::<Digest>(header.layers + 1)?)?
        .checked_add(header.arena_lines(context)?)?
        .checked_mul(LINE)?
        .checked_add(LINE - 1)
}

/// A type of one byte, any bits of which are a value.
pub(crate) trait Byte {}
impl Byte for u8 {}
impl Byte for i8 {}

/// The bytes that C points to, unless there cannot be any.
///
/// # Safety
/// Unless null, `bytes` is valid for reads of `len` bytes as long as the slice is used.
pub(crate) unsafe fn slice<'a, T: Byte>(bytes: *const T, len: usize) -> Option<&'a [T]> {
    if bytes.is_null() || isize::try_from(len).is_err() {
        return None;
    }
    // SAFETY: not null, not too long, and valid by the caller's promise.
    Some(unsafe { core::slice::from_raw_parts(bytes, len) })
}

/// Writes a value to where C wants it, unless it does not.
///
/// # Safety
/// Unless null, `place` is valid for one value.
pub(crate) unsafe fn put<T: Copy>(place: *mut T, value: T) {
    // SAFETY: the caller's promise.
    if let Some(place) = unsafe { place.as_mut() } {
        *place = value;
    }
}

/// Memory that is being handed out, from its beginning, in whole lines.
pub(crate) struct Slot {
    next: NonNull<u8>,
    /// Lines left.
    lines: usize,
}

impl Slot {
    /// # Safety
    /// Unless null, `memory` is valid for reads and writes of `len` bytes, which nothing else uses,
    /// as long as what is handed out is used.
    pub(crate) unsafe fn new(memory: *mut c_void, len: usize) -> Option<Self> {
        let memory = NonNull::new(memory.cast::<u8>())?;
        isize::try_from(len).ok()?;
        let skipped = memory.align_offset(LINE);
        let lines = len.checked_sub(skipped).map_or(0, |rest| rest / LINE);
        // SAFETY: stays within the memory, unless that has no line; then nothing is handed out.
        let next = if lines == 0 { memory } else { unsafe { memory.add(skipped) } };
        Some(Self { next, lines })
    }

    /// The next `count` values, which begin as copies of `fill`.
    fn take<T: Copy>(&mut self, count: usize, fill: T) -> Option<&'static mut [T]> {
        const { assert!(align_of::<T>() <= LINE) };
        let lines = lines::<T>(count)?;
        let left = self.lines.checked_sub(lines)?;
        let values = self.next.cast::<T>();
        // SAFETY: `lines` more lines belong to this slot, and `next` is at a multiple of a line, so
        // `count` values fit and are aligned; they are written before they are borrowed, and handed
        // out once, since `next` moves behind them.
        let taken = unsafe {
            for i in 0..count {
                values.add(i).write(fill);
            }
            self.next = self.next.add(lines * LINE);
            core::slice::from_raw_parts_mut(values.as_ptr(), count)
        };
        self.lines = left;
        Some(taken)
    }

    /// Everything that is left, as an arena.
    fn rest(self) -> &'static mut [Line] {
        let mut slot = self;
        slot.take(slot.lines, Line::ZERO).unwrap_or_default()
    }

    /// Room for a value, aligned and used by nothing else.
    fn place<T>(&mut self) -> Option<*mut T> {
        const { assert!(align_of::<T>() <= LINE) };
        let room = self.take(lines::<T>(1)?, Line::ZERO)?;
        Some(room.as_mut_ptr().cast())
    }

    /// Puts an engine into the memory.
    pub(crate) fn engine(
        mut self,
        model: &'static [u8],
        context: usize,
    ) -> Result<*mut TrilaneEngine, Status> {
        let header = Header::read(&Gguf::parse(model)?)?;
        let place = self.place::<TrilaneEngine>().ok_or(Status::Memory)?;
        let layers = self.take(header.layers, Layer::EMPTY).ok_or(Status::Memory)?;
        let layer_digests =
            self.take(header.layers + 1, Digest::default()).ok_or(Status::Memory)?;
        let engine = Engine::init(model, context, layers, self.rest())?;
        // SAFETY: room for an engine, aligned, and used by nothing else.
        unsafe { place.write(TrilaneEngine { engine, layer_digests }) };
        Ok(place)
    }

    /// Puts a classifier into the memory.
    pub(crate) fn classifier(
        mut self,
        model: &'static [u8],
    ) -> Result<*mut TrilaneClassifier, Status> {
        let classifier = Classifier::init(model)?;
        let place = self.place::<TrilaneClassifier>().ok_or(Status::Memory)?;
        let lines = classifier.header().arena_lines();
        let arena = self.take(lines, Line::ZERO).ok_or(Status::Memory)?;
        // SAFETY: room for a classifier, aligned, and used by nothing else.
        unsafe { place.write(TrilaneClassifier { classifier, arena }) };
        Ok(place)
    }
}
