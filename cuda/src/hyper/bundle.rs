//! Sums of hypervectors, and their signs.

use super::{Hypervectors, THREADS, WARPS, stride};
use crate::activations::{blocks, over};
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::HYPER;
use crate::stream::{Stream, launch};
use trilane_core::error::ArgumentError;

/// Vectors that a warp adds up, and that it weighs; the kernels' numbers.
const CHUNK: usize = 60;
const WEIGHED: usize = 256;

/// Sums of hypervectors, several at a time: [`trilane_core::hyper::Bundle`] on a device. A sum is an
/// integer of 64 bits for each position, which 2³² vectors of any weight fill.
#[derive(Debug)]
pub struct Bundles {
    dim: usize,
    len: usize,
    sums: Buffer<i64>,
}

impl Bundles {
    /// So many empty sums.
    ///
    /// # Errors
    /// [`CudaError::Argument`] for no trits or no sums, [`CudaError::Size`], [`CudaError::Memory`].
    pub fn new(stream: &Stream, dim: usize, len: usize) -> Result<Self, CudaError> {
        if dim == 0 || len == 0 {
            return Err(ArgumentError::Empty.into());
        }
        counted("trits of a hypervector", dim)?;
        counted("hypervectors", len)?;
        Ok(Self { dim, len, sums: Buffer::zeros(stream, dim.saturating_mul(len))? })
    }

    /// `Σ wⱼ·vⱼ[i]` for every position i, one sum after the other.
    pub fn sums(&self) -> &Buffer<i64> {
        &self.sums
    }

    /// Empties the sums.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn clear(&mut self, stream: &Stream) -> Result<(), CudaError> {
        self.sums.clear(stream)
    }

    /// Adds vectors, as many to each sum: those of the first sum first. Exact.
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another dimension, or vectors that the sums do not divide.
    pub fn add(&mut self, stream: &Stream, vectors: &Hypervectors) -> Result<(), CudaError> {
        let each = self.each(vectors)?;
        let shape = self.shape(stride(self.dim).div_ceil(32), each.div_ceil(CHUNK))?;
        let (raw, each, sums) = (vectors.raw()?, counted("vectors", each)?, self.sums.address());
        // SAFETY: the sizes were checked above.
        unsafe { launch!(stream, &HYPER, "bundle_add", shape; raw, each, sums) }
    }

    /// Adds vectors times their weights, as [`add`](Self::add) does. Exact.
    ///
    /// # Errors
    /// As `add`, and [`CudaError::Shape`] unless there is a weight for each.
    pub fn add_weighted(
        &mut self,
        stream: &Stream,
        vectors: &Hypervectors,
        weights: &Buffer<i32>,
    ) -> Result<(), CudaError> {
        let each = self.each(vectors)?;
        same_len(vectors.len, weights.len())?;
        let shape = self.shape(2 * stride(self.dim), each.div_ceil(WEIGHED))?;
        let (raw, each, sums) = (vectors.raw()?, counted("vectors", each)?, self.sums.address());
        let weights = weights.address();
        // SAFETY: the sizes were checked above.
        unsafe { launch!(stream, &HYPER, "bundle_add_weighted", shape; raw, weights, each, sums) }
    }

    /// The sign of every sum: the majority, 0 for a tie. Exact.
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another dimension, or unless there is a vector for each sum.
    pub fn majority(&self, stream: &Stream, out: &mut Hypervectors) -> Result<(), CudaError> {
        same_len(self.dim, out.dim)?;
        same_len(self.len, out.len)?;
        let shape = over(out.plus.len().saturating_mul(64), 1)?;
        let (sums, out) = (self.sums.address(), out.raw()?);
        // SAFETY: the sizes were checked above.
        unsafe { launch!(stream, &HYPER, "majority", shape; sums, out) }
    }

    /// Vectors for each sum.
    fn each(&self, vectors: &Hypervectors) -> Result<usize, CudaError> {
        same_len(self.dim, vectors.dim)?;
        let each = vectors.len / self.len;
        same_len(each * self.len, vectors.len)?;
        Ok(each)
    }

    /// A warp for each tile of positions and chunk of vectors of each sum.
    fn shape(&self, tiles: usize, chunks: usize) -> Result<Shape, CudaError> {
        let warps = tiles.saturating_mul(chunks).saturating_mul(self.len);
        Ok(Shape { blocks: [blocks(warps.div_ceil(WARPS))?, 1, 1], threads: THREADS })
    }
}

/// `out[j] = sign(Σ v)` over as many vectors for each, 0 for a tie, as
/// [`trilane_core::hyper::bundle`]; the sums lie in `bundles`, whatever was in it. Exact.
///
/// # Errors
/// Those of [`Bundles::add`] and [`Bundles::majority`].
pub fn bundle(
    stream: &Stream,
    vectors: &Hypervectors,
    bundles: &mut Bundles,
    out: &mut Hypervectors,
) -> Result<(), CudaError> {
    bundles.clear(stream)?;
    bundles.add(stream, vectors)?;
    bundles.majority(stream, out)
}
