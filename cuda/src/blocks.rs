//! Matrices in the block types of GGUF, as they are stored.

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

use crate::activations::{blocks, over};
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::BLOCKS;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::gguf::TensorType;
use trilane_core::nn::{Linear, LinearError};

/// As the kernels take a matrix.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawBlocks {
    data: u64,
    rows: i32,
    cols: i32,
    scale: f32,
    padding: i32,
}

/// A matrix of rows × cols weights, in the bytes of its file.
#[derive(Debug)]
pub(crate) struct Blocks {
    rows: usize,
    cols: usize,
    data: Buffer<u8>,
    /// Of the whole tensor; 1 for types that have none.
    scale: f32,
    matvec: &'static str,
    row: &'static str,
}

impl Blocks {
    pub(crate) fn upload(
        stream: &Stream,
        kind: TensorType,
        rows: usize,
        cols: usize,
        data: &[u8],
    ) -> Result<Self, CudaError> {
        let unsupported = || CudaError::Unsupported { what: format!("weights of type {kind}") };
        let [matvec, row] = names(kind).ok_or_else(unsupported)?;
        // As a layer is a public enumeration, this one may not have been checked.
        Linear::blocks(kind, rows, cols, data).map_err(|error| match error {
            LinearError::Shape(shape) => shape.into(),
            other => CudaError::Unsupported { what: other.to_string() },
        })?;
        let trailer = data.get(data.len().saturating_sub(kind.trailer_bytes())..);
        let scale = trailer.and_then(|bytes| bytes.first_chunk());
        let scale = scale.map_or(1.0, |bytes| f32::from_le_bytes(*bytes));
        Ok(Self { rows, cols, data: Buffer::from_host(stream, data)?, scale, matvec, row })
    }

    fn raw(&self) -> Result<RawBlocks, CudaError> {
        Ok(RawBlocks {
            data: self.data.address(),
            rows: counted("rows", self.rows)?,
            cols: counted("columns", self.cols)?,
            scale: self.scale,
            padding: 0,
        })
    }

    /// `y = W x` for each vector of a batch, in the order of sixteen lanes.
    pub(crate) fn multiply(
        &self,
        stream: &Stream,
        x: &Buffer<f32>,
        y: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        let batch = y.len() / self.rows.max(1);
        same_len(batch * self.rows, y.len())?;
        same_len(batch * self.cols, x.len())?;
        // Half a warp takes a row.
        let blocks = [blocks(self.rows.div_ceil(16))?, blocks(batch)?, 1];
        let shape = Shape { blocks, threads: 256 };
        let (raw, x, y) = (self.raw()?, x.address(), y.address());
        // SAFETY: the sizes were checked above, and those of the matrix when it was uploaded.
        unsafe { launch!(stream, &BLOCKS, self.matvec, shape; raw, x, y) }
    }

    /// Rows `tokens[i]` as floats, zeros for one that is not there.
    pub(crate) fn gather(
        &self,
        stream: &Stream,
        tokens: &Buffer<u32>,
        x: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        same_len(tokens.len() * self.cols, x.len())?;
        let shape = over(self.cols, tokens.len())?;
        let (raw, ids, x) = (self.raw()?, tokens.address(), x.address());
        // SAFETY: as above; the kernel checks the tokens.
        unsafe { launch!(stream, &BLOCKS, self.row, shape; raw, ids, x) }
    }
}

/// The kernels of a type: products and rows.
fn names(kind: TensorType) -> Option<[&'static str; 2]> {
    macro_rules! names {
        ($($kind:ident)*) => {
            match kind {
                $(TensorType::$kind => Some([
                    concat!("block_matvec<", stringify!($kind), ">"),
                    concat!("block_row<", stringify!($kind), ">"),
                ]),)*
                _ => None,
            }
        };
    }
    names!(F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K TQ1_0 TQ2_0 I2_S)
}
