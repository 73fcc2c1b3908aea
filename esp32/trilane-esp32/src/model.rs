//! A model in flash and the memory that running it takes.

use trilane_core::model::{Header, Layer, Line};

/// Bytes at a multiple of 64, as a model file needs.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Flash<T: ?Sized>(pub T);

/// A model file that was read while the firmware was compiled.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    bytes: &'static [u8],
    header: Header,
}

impl Model {
    /// What [`include_model!`](crate::include_model) expands to. A header that is not that of the
    /// file asks for the wrong amount of memory, which [`Engine::init`](crate::Engine::init)
    /// refuses.
    #[must_use]
    pub const fn new(bytes: &'static [u8], header: Header) -> Self {
        Self { bytes, header }
    }

    /// The file.
    #[must_use]
    pub const fn bytes(&self) -> &'static [u8] {
        self.bytes
    }

    /// The numbers of the model.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Layers, each of which takes a [`Layer`] of memory.
    #[must_use]
    pub const fn layers(&self) -> usize {
        self.header.layers
    }

    /// Lines of memory for a sequence of up to `context` tokens. More than the address space are
    /// `usize::MAX`, which no array can have.
    #[must_use]
    pub const fn arena_lines(&self, context: usize) -> usize {
        match self.header.arena_lines(context) {
            Some(lines) => lines,
            None => usize::MAX,
        }
    }
}

/// The memory of one engine, for a stack or a `static`.
#[derive(Debug)]
pub struct Memory<'m, const LAYERS: usize, const LINES: usize> {
    /// Where the weights are.
    pub layers: [Layer<'m>; LAYERS],
    /// Everything that is computed.
    pub arena: [Line; LINES],
}

impl<const LAYERS: usize, const LINES: usize> Memory<'_, LAYERS, LINES> {
    /// Memory without content.
    #[must_use]
    pub const fn new() -> Self {
        Self { layers: [Layer::EMPTY; LAYERS], arena: [Line::ZERO; LINES] }
    }
}

impl<const LAYERS: usize, const LINES: usize> Default for Memory<'_, LAYERS, LINES> {
    fn default() -> Self {
        Self::new()
    }
}
