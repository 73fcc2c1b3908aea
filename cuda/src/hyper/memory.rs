//! Item memory: many vectors, of which the nearest to queries are found.

use super::{Hypervectors, THREADS, dots, nonzeros};
use crate::activations::blocks;
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::HYPER;
use crate::stream::{Stream, launch};

/// Hypervectors to search: [`trilane_core::hyper::ItemMemory`] on a device.
#[derive(Debug)]
pub struct ItemMemory {
    items: Hypervectors,
    nonzeros: Buffer<u32>,
}

impl ItemMemory {
    /// An index that says that there is no further item.
    pub const NONE: u32 = u32::MAX;

    /// Takes vectors, and counts what their cosines are divided by.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn new(stream: &Stream, items: Hypervectors) -> Result<Self, CudaError> {
        let mut counts = Buffer::zeros(stream, items.len)?;
        nonzeros(stream, &items, &mut counts)?;
        Ok(Self { items, nonzeros: counts })
    }

    /// The vectors.
    pub fn items(&self) -> &Hypervectors {
        &self.items
    }

    /// The items of greatest cosine with each query, greatest first, ties by the lowest index, and
    /// their cosines: what [`trilane_core::hyper::ItemMemory::nearest`] finds. Places beyond the
    /// number of items get [`NONE`](Self::NONE) and cosine 0. Ordered; which ones is Exact.
    ///
    /// `products` gets the dot products, queries × items; `indices` and `cosines` have as many places
    /// for each query. A place costs a pass over the products: this is for few places.
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another dimension, or places that do not fit the queries.
    pub fn nearest(
        &self,
        stream: &Stream,
        queries: &Hypervectors,
        products: &mut Buffer<i32>,
        indices: &mut Buffer<u32>,
        cosines: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let each = indices.len() / queries.len.max(1);
        same_len(each * queries.len, indices.len())?;
        same_len(indices.len(), cosines.len())?;
        dots(stream, queries, &self.items, products)?;
        let shape = Shape { blocks: [blocks(queries.len)?, 1, 1], threads: THREADS };
        let (items, each) = (counted("items", self.items.len)?, counted("places", each)?);
        let (products, nonzeros) = (products.address(), self.nonzeros.address());
        let (queries, indices, cosines) = (queries.raw()?, indices.address(), cosines.address());
        // SAFETY: the sizes were checked above.
        unsafe {
            launch!(
                stream, &HYPER, "nearest", shape;
                queries, products, nonzeros, items, each, indices, cosines,
            )
        }
    }
}
