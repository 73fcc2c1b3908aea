//! Hypervectors of trits on the device: [`trilane_core::hyper`], many vectors at a time. Exact.
//!
//! | operation | reads |
//! |---|---|
//! | [`bind`], [`bind_mod3`], [`unbind_mod3`], [`permute`] | every vector once |
//! | [`Bundles`]: sums and their signs | every vector once |
//! | [`dots`], [`distances`] | the items once for every eight queries |
//! | [`ItemMemory::nearest`] | as `dots`, then the products once for every place |
//!
//! ```
//! use trilane_core::hyper::{TritPlanesMut, words};
//! use trilane_cuda::hyper::{Hypervectors, bind};
//! use trilane_cuda::{Buffer, CudaError, Device};
//! fn products(device: &Device) -> Result<Vec<u64>, CudaError> {
//!     let stream = device.stream()?;
//!     let mut memory = [0; 2 * words(3)];
//!     let mut v = TritPlanesMut::zeros(3, &mut memory)?;
//!     v.write_i8(&[1, 0, -1])?;
//!     let v = Hypervectors::upload(&stream, [v.view()])?;
//!     let mut squares = Hypervectors::zeros(&stream, 3, 1)?;
//!     bind(&stream, &v, &v, &mut squares)?;
//!     squares.download(&stream)
//! }
//! if let Ok(device) = Device::open(0) {
//!     assert_eq!(products(&device)?, [0b101, 0]);
//! }
//! # Ok::<(), CudaError>(())
//! ```

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

mod bundle;
mod memory;

pub use bundle::{Bundles, bundle};
pub use memory::ItemMemory;

use crate::activations::{blocks, over};
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::HYPER;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::error::ArgumentError;
use trilane_core::hyper::{TritPlanes, words};

/// Threads of a block, and warps.
const THREADS: u32 = 256;
const WARPS: usize = THREADS as usize / 32;
/// Queries that a warp takes together; the kernel's number.
const QUERIES: usize = 8;

/// As the kernels take vectors.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawHypervectors {
    plus: u64,
    minus: u64,
    vectors: i32,
    pairs: i32,
    dim: i32,
    padding: i32,
}

/// Hypervectors of one dimension in the memory of a device: one after the other in a plane of +1
/// and one of −1, each filled up to an even number of words.
#[derive(Debug)]
pub struct Hypervectors {
    dim: usize,
    len: usize,
    plus: Buffer<u64>,
    minus: Buffer<u64>,
}

/// Words that a vector takes in a plane: threads read pairs.
const fn stride(dim: usize) -> usize {
    words(dim).next_multiple_of(2)
}

impl Hypervectors {
    /// So many vectors of zeros.
    ///
    /// # Errors
    /// [`CudaError::Argument`] for no trits, [`CudaError::Size`], [`CudaError::Memory`].
    pub fn zeros(stream: &Stream, dim: usize, len: usize) -> Result<Self, CudaError> {
        if dim == 0 {
            return Err(ArgumentError::Empty.into());
        }
        counted("trits of a hypervector", dim)?;
        counted("hypervectors", len)?;
        let words = len.saturating_mul(stride(dim));
        let plane = || Buffer::zeros(stream, words);
        Ok(Self { dim, len, plus: plane()?, minus: plane()? })
    }

    /// Copies of vectors.
    ///
    /// # Errors
    /// [`CudaError::Argument`] for none, [`CudaError::Shape`] for different dimensions,
    /// [`CudaError::Size`], [`CudaError::Memory`].
    pub fn upload<'v>(
        stream: &Stream,
        vectors: impl IntoIterator<Item = TritPlanes<'v>>,
    ) -> Result<Self, CudaError> {
        let (mut plus, mut minus) = (Vec::new(), Vec::new());
        let (mut dim, mut len) = (None, 0);
        for v in vectors {
            let dim = *dim.get_or_insert(v.dim());
            same_len(dim, v.dim())?;
            len += 1;
            for (plane, words) in [(&mut plus, v.plus()), (&mut minus, v.minus())] {
                plane.extend_from_slice(words);
                plane.resize(len * stride(dim), 0);
            }
        }
        let dim = dim.ok_or(ArgumentError::Empty)?;
        counted("trits of a hypervector", dim)?;
        counted("hypervectors", len)?;
        let (plus, minus) = (Buffer::from_host(stream, &plus)?, Buffer::from_host(stream, &minus)?);
        Ok(Self { dim, len, plus, minus })
    }

    /// The vectors in memory of the host, as [`trilane_core::hyper::ItemMemory::new`] takes them:
    /// both planes of the first, then those of the next.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn download(&self, stream: &Stream) -> Result<Vec<u64>, CudaError> {
        let (plus, minus) = (self.plus.to_vec(stream)?, self.minus.to_vec(stream)?);
        let (words, stride) = (words(self.dim), stride(self.dim));
        let planes = plus.chunks_exact(stride).zip(minus.chunks_exact(stride));
        let vectors = planes.flat_map(|(plus, minus)| [plus, minus]);
        Ok(vectors.flat_map(|plane| plane.iter().take(words).copied()).collect())
    }

    /// Trits of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Vectors.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn raw(&self) -> Result<RawHypervectors, CudaError> {
        Ok(RawHypervectors {
            plus: self.plus.address(),
            minus: self.minus.address(),
            vectors: counted("hypervectors", self.len)?,
            pairs: counted("words of a hypervector", stride(self.dim) / 2)?,
            dim: counted("trits of a hypervector", self.dim)?,
            padding: 0,
        })
    }

    /// The negatives, as the kernels take them: the planes change places.
    fn raw_negated(&self) -> Result<RawHypervectors, CudaError> {
        let raw = self.raw()?;
        Ok(RawHypervectors { plus: raw.minus, minus: raw.plus, ..raw })
    }

    /// An error unless another has as many vectors of the same dimension.
    fn same_shape(&self, other: &Self) -> Result<(), CudaError> {
        same_len(self.dim, other.dim)?;
        same_len(self.len, other.len)
    }
}

/// `out[j] = a[j] ⊗ b[j]` for each vector, as [`trilane_core::hyper::bind`]. Exact.
///
/// # Errors
/// [`CudaError::Shape`] for other dimensions or numbers of vectors.
pub fn bind(
    stream: &Stream,
    a: &Hypervectors,
    b: &Hypervectors,
    out: &mut Hypervectors,
) -> Result<(), CudaError> {
    combine(stream, "combine<PRODUCT>", a, b, b.raw()?, out)
}

/// `out = (a − b) mod 3` for each vector, as [`trilane_core::hyper::bind_mod3`]. Exact.
///
/// # Errors
/// As [`bind`].
pub fn bind_mod3(
    stream: &Stream,
    a: &Hypervectors,
    b: &Hypervectors,
    out: &mut Hypervectors,
) -> Result<(), CudaError> {
    combine(stream, "combine<SUM_MOD3>", a, b, b.raw_negated()?, out)
}

/// `out = (a + b) mod 3` for each vector, as [`trilane_core::hyper::unbind_mod3`]. Exact.
///
/// # Errors
/// As [`bind`].
pub fn unbind_mod3(
    stream: &Stream,
    a: &Hypervectors,
    b: &Hypervectors,
    out: &mut Hypervectors,
) -> Result<(), CudaError> {
    combine(stream, "combine<SUM_MOD3>", a, b, b.raw()?, out)
}

fn combine(
    stream: &Stream,
    kernel: &str,
    a: &Hypervectors,
    b: &Hypervectors,
    raw_b: RawHypervectors,
    out: &mut Hypervectors,
) -> Result<(), CudaError> {
    a.same_shape(b)?;
    a.same_shape(out)?;
    let shape = over(a.plus.len() / 2, 1)?;
    // SAFETY: all have the same shape.
    unsafe { launch!(stream, &HYPER, kernel, shape; a.raw()?, raw_b, out.raw()?) }
}

/// `out[(i + by) mod dim] = a[i]` for each vector, as [`trilane_core::hyper::permute`]. Exact.
///
/// # Errors
/// As [`bind`].
pub fn permute(
    stream: &Stream,
    a: &Hypervectors,
    by: i64,
    out: &mut Hypervectors,
) -> Result<(), CudaError> {
    a.same_shape(out)?;
    let raw = a.raw()?;
    let by = by.rem_euclid(i64::from(raw.dim)) as i32;
    let shape = over(a.plus.len(), 1)?;
    // SAFETY: both have the same shape.
    unsafe { launch!(stream, &HYPER, "permute", shape; raw, by, out.raw()?) }
}

/// `out[q][i] = Σ queries[q]·items[i]`, as [`trilane_core::hyper::dot`]. Exact.
///
/// # Errors
/// [`CudaError::Shape`] for different dimensions, or unless `out` has a place for each pair.
pub fn dots(
    stream: &Stream,
    queries: &Hypervectors,
    items: &Hypervectors,
    out: &mut Buffer<i32>,
) -> Result<(), CudaError> {
    compare(stream, "compare<DOT>", queries, items, out)
}

/// The number of positions where `queries[q]` and `items[i]` differ, as
/// [`trilane_core::hyper::hamming_distance`]. Exact.
///
/// # Errors
/// As [`dots`].
pub fn distances(
    stream: &Stream,
    queries: &Hypervectors,
    items: &Hypervectors,
    out: &mut Buffer<i32>,
) -> Result<(), CudaError> {
    compare(stream, "compare<DISTANCE>", queries, items, out)
}

fn compare(
    stream: &Stream,
    kernel: &str,
    queries: &Hypervectors,
    items: &Hypervectors,
    out: &mut Buffer<i32>,
) -> Result<(), CudaError> {
    same_len(queries.dim, items.dim)?;
    same_len(queries.len.saturating_mul(items.len), out.len())?;
    let tiles = queries.len.div_ceil(QUERIES).min(1 << 15);
    let (x, y) = (blocks(items.len.div_ceil(WARPS))?, blocks(tiles)?);
    let shape = Shape { blocks: [x, y, 1], threads: THREADS };
    let (queries, items) = (queries.raw()?, items.raw()?);
    // SAFETY: the sizes were checked above.
    unsafe { launch!(stream, &HYPER, kernel, shape; queries, items, out.address()) }
}

/// Trits of each vector that are not 0, which a cosine divides by. Exact.
///
/// # Errors
/// [`CudaError::Shape`] unless `out` has a place for each vector.
pub fn nonzeros(
    stream: &Stream,
    vectors: &Hypervectors,
    out: &mut Buffer<u32>,
) -> Result<(), CudaError> {
    same_len(vectors.len, out.len())?;
    let shape = Shape { blocks: [blocks(vectors.len.div_ceil(WARPS))?, 1, 1], threads: THREADS };
    // SAFETY: the sizes were checked above.
    unsafe { launch!(stream, &HYPER, "nonzeros", shape; vectors.raw()?, out.address()) }
}
