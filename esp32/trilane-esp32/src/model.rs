//! A model in flash, and how much memory running it takes.

use trilane_core::model::{Header, MlpHeader};

/// Bytes at a multiple of 64, as a model file needs.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Flash<T: ?Sized>(pub T);

/// A decoder's file that was read while the firmware was compiled.
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

    /// Layers, each of which takes a [`Layer`](trilane_core::model::Layer) of memory.
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

/// A perceptron's file that was read while the firmware was compiled.
#[derive(Clone, Copy, Debug)]
pub struct Perceptron {
    bytes: &'static [u8],
    header: MlpHeader,
}

impl Perceptron {
    /// What [`include_model!`](crate::include_model) expands to. A header that is not that of the
    /// file asks for the wrong amount of memory, which [`Classifier`](crate::Classifier) refuses.
    #[must_use]
    pub const fn new(bytes: &'static [u8], header: MlpHeader) -> Self {
        Self { bytes, header }
    }

    /// The file.
    #[must_use]
    pub const fn bytes(&self) -> &'static [u8] {
        self.bytes
    }

    /// The numbers of the model.
    #[must_use]
    pub const fn header(&self) -> &MlpHeader {
        &self.header
    }

    /// Lines of memory that an input takes to classify.
    #[must_use]
    pub const fn arena_lines(&self) -> usize {
        self.header.arena_lines()
    }
}
