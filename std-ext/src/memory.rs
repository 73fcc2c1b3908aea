//! The memory that a decoder borrows, from the heap.

use bytemuck::allocation::try_zeroed_slice_box;
use trilane_core::gguf::Gguf;
use trilane_core::model::{Header, Layer, Line, ModelError};

/// Places for the layers of a file's model.
///
/// No more than the file has tensors, whatever its header says, so that a hostile header cannot
/// ask for memory: [`Weights::load`](trilane_core::model::Weights::load) then refuses.
pub fn layers<'m>(file: &Gguf<'m>, header: &Header) -> Vec<Layer<'m>> {
    vec![Layer::EMPTY; header.layers.min(file.tensors().len())]
}

/// An arena for a decoder with room for `capacity` tokens. Pages are zero until they are touched.
///
/// # Errors
/// [`ModelError::Memory`] when the system does not have that much, with the lines found as 0.
pub fn arena(header: &Header, capacity: usize) -> Result<Box<[Line]>, ModelError> {
    let expected = header.arena_lines(capacity).unwrap_or(usize::MAX);
    let error = ModelError::Memory { what: "the arena (lines of 64 bytes)", expected, actual: 0 };
    if expected > isize::MAX as usize / size_of::<Line>() {
        return Err(error);
    }
    try_zeroed_slice_box(expected).map_err(|()| error)
}
