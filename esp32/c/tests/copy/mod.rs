//! A model that can be changed and moved.

/// A copy of a model at a multiple of 64.
pub(crate) struct Copy(Vec<trilane_esp32::Line>, usize);

impl Copy {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut copy = Self(vec![trilane_esp32::Line::ZERO; bytes.len().div_ceil(64)], bytes.len());
        // SAFETY: the lines have room for the bytes, and any bits are a line.
        unsafe { bytes.as_ptr().copy_to_nonoverlapping(copy.0.as_mut_ptr().cast(), bytes.len()) };
        copy
    }

    pub(crate) fn at(&mut self, index: usize) -> &mut u8 {
        assert!(index < self.1);
        // SAFETY: within the lines.
        unsafe { &mut *self.0.as_mut_ptr().cast::<u8>().add(index) }
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }
}
