//! Vectors on the device: norms, gates, and block floating point.

#![allow(unsafe_code, reason = "kernels trust the addresses and sizes that they are given")]

use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::ACTIVATIONS;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::nn;
use trilane_core::quant::activation_lens;

/// Threads of a block that takes a vector of its own.
const VECTOR: u32 = 256;

/// Where sequences have diverged: −1, or the first layer whose values are not finite.
#[derive(Debug)]
pub struct Status(pub(crate) Buffer<i32>);

impl Status {
    /// The status of so many sequences, none of which has diverged.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn new(stream: &Stream, sequences: usize) -> Result<Self, CudaError> {
        Ok(Self(Buffer::from_host(stream, &vec![-1; sequences])?))
    }

    /// Waits for the queue and tells whether a sequence has diverged; afterwards none has.
    ///
    /// # Errors
    /// [`CudaError::Diverged`] with the first that has.
    pub fn take(&mut self, stream: &Stream) -> Result<(), CudaError> {
        let found = self.0.to_vec(stream)?;
        let Some(sequence) = found.iter().position(|&layer| layer >= 0) else { return Ok(()) };
        self.0.upload(stream, &vec![-1; found.len()])?;
        let layer = found.get(sequence).and_then(|&layer| usize::try_from(layer).ok()).unwrap_or(0);
        Err(CudaError::Diverged { sequence, layer })
    }
}

/// As the kernels take activations.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct RawActivations {
    q: u64,
    multipliers: u64,
    sums: u64,
    pub(crate) step: u64,
}

/// A batch of vectors as block floating point, see [`trilane_core::quant::ActivationsBuf`].
#[derive(Debug)]
pub struct Activations {
    batch: usize,
    capacity: usize,
    len: usize,
    q: Buffer<i8>,
    multipliers: Buffer<u32>,
    sums: Buffer<i16>,
    step: Buffer<f32>,
}

impl Activations {
    /// Room for `batch` vectors of up to `capacity` values.
    ///
    /// # Errors
    /// [`CudaError::Memory`].
    pub fn new(stream: &Stream, batch: usize, capacity: usize) -> Result<Self, CudaError> {
        let (q, multipliers, sums) = activation_lens(capacity);
        Ok(Self {
            batch,
            capacity,
            len: 0,
            q: Buffer::zeros(stream, batch * q)?,
            multipliers: Buffer::zeros(stream, batch * multipliers)?,
            sums: Buffer::zeros(stream, batch * sums)?,
            step: Buffer::zeros(stream, batch)?,
        })
    }

    /// Vectors.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Values in each vector, as they were quantised last.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been quantised.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn raw(&self) -> RawActivations {
        RawActivations {
            q: self.q.address(),
            multipliers: self.multipliers.address(),
            sums: self.sums.address(),
            step: self.step.address(),
        }
    }

    /// Quantises a batch of vectors of `len` values, with the bits of
    /// [`ActivationsBuf::quantize`](trilane_core::quant::ActivationsBuf::quantize). Ordered.
    ///
    /// A vector that is not finite is noted in `status`, under `layer`.
    ///
    /// # Errors
    /// [`CudaError::Shape`] when a size does not match.
    pub fn quantize(
        &mut self,
        stream: &Stream,
        x: &Buffer<f32>,
        len: usize,
        status: &mut Status,
        layer: usize,
    ) -> Result<(), CudaError> {
        same_len(self.batch * len, x.len())?;
        same_len(self.batch, status.0.len())?;
        if len > self.capacity {
            same_len(self.capacity, len)?;
        }
        self.len = len;
        let (n, layer) = (counted("values", len)?, counted("layers", layer)?);
        let shape = Shape { blocks: [blocks(self.batch)?, 1, 1], threads: VECTOR };
        let (x, status) = (x.address(), status.0.address());
        // SAFETY: the sizes were checked above.
        unsafe { launch!(stream, &ACTIVATIONS, "quantize", shape; x, n, self.raw(), status, layer) }
    }
}

/// A number of blocks.
pub(crate) fn blocks(count: usize) -> Result<u32, CudaError> {
    Ok(counted("blocks", count)?.unsigned_abs())
}

/// The shape of a launch over the values of vectors: blocks along x for values, along y for vectors.
pub(crate) fn over(values: usize, vectors: usize) -> Result<Shape, CudaError> {
    let enough = values.div_ceil(VECTOR as usize).min(1024);
    Ok(Shape { blocks: [blocks(enough)?, blocks(vectors)?, 1], threads: VECTOR })
}

/// Values of a vector, the layer and the launch of a norm, whose sizes are checked.
fn norm_sizes(
    x: &Buffer<f32>,
    gain: &Buffer<f32>,
    y: &Buffer<f32>,
    status: &Status,
    layer: usize,
) -> Result<(i32, i32, Shape), CudaError> {
    let vectors = status.0.len();
    same_len(vectors * gain.len(), x.len())?;
    same_len(x.len(), y.len())?;
    let shape = Shape { blocks: [blocks(vectors)?, 1, 1], threads: VECTOR };
    Ok((counted("values", gain.len())?, counted("layers", layer)?, shape))
}

/// `x += delta`, where there is one, then `y = x · r · gain`, `r = 1/√(Σx²/n + eps)`, for each vector
/// of `gain.len()` values, as [`nn::rms_norm`]. Ordered.
///
/// A vector whose mean square is not finite is noted in `status`, under `layer`.
///
/// # Errors
/// [`CudaError::Shape`] when a size does not match.
#[allow(clippy::too_many_arguments, reason = "a norm, the sum before it and where it notes")]
pub fn rms_norm(
    stream: &Stream,
    x: &mut Buffer<f32>,
    delta: Option<&Buffer<f32>>,
    gain: &Buffer<f32>,
    eps: f32,
    y: &mut Buffer<f32>,
    status: &mut Status,
    layer: usize,
) -> Result<(), CudaError> {
    let (n, layer, shape) = norm_sizes(x, gain, y, status, layer)?;
    delta.map_or(Ok(()), |delta| same_len(x.len(), delta.len()))?;
    let (delta, gain) = (delta.map_or(0, Buffer::address), gain.address());
    let (x, y, status) = (x.address(), y.address(), status.0.address());
    // SAFETY: the sizes were checked above.
    unsafe {
        launch!(stream, &ACTIVATIONS, "rms_norm", shape; x, delta, gain, n, eps, y, status, layer)
    }
}

/// `y = (x − m) · r · gain + bias`, `m = Σx/n`, `r = 1/√(v + eps)`, `v = Σ(x − m)²/n`, for each vector
/// of `gain.len()` values, as [`nn::layer_norm`]. Ordered.
///
/// A vector whose variance is not finite is noted in `status`, under `layer`.
///
/// # Errors
/// [`CudaError::Shape`] when a size does not match.
#[allow(clippy::too_many_arguments, reason = "a norm and where it notes")]
pub fn layer_norm(
    stream: &Stream,
    x: &Buffer<f32>,
    gain: &Buffer<f32>,
    bias: &Buffer<f32>,
    eps: f32,
    y: &mut Buffer<f32>,
    status: &mut Status,
    layer: usize,
) -> Result<(), CudaError> {
    let (n, layer, shape) = norm_sizes(x, gain, y, status, layer)?;
    same_len(gain.len(), bias.len())?;
    let (x, gain, bias) = (x.address(), gain.address(), bias.address());
    let (y, status) = (y.address(), status.0.address());
    // SAFETY: the sizes were checked above.
    unsafe {
        launch!(stream, &ACTIVATIONS, "layer_norm", shape; x, gain, bias, n, eps, y, status, layer)
    }
}

/// `x += delta`, element by element. Ordered.
///
/// # Errors
/// [`CudaError::Shape`] when the sizes differ.
pub fn add(stream: &Stream, x: &mut Buffer<f32>, delta: &Buffer<f32>) -> Result<(), CudaError> {
    same_len(x.len(), delta.len())?;
    let (n, shape) = (counted("values", x.len())?, over(x.len(), 1)?);
    // SAFETY: the sizes were checked above.
    unsafe { launch!(stream, &ACTIVATIONS, "add", shape; x.address(), delta.address(), n) }
}

/// `gate[i] = act(gate[i]) · up[i]`, as [`nn::gate`]. Ordered.
///
/// # Errors
/// [`CudaError::Shape`] when the sizes differ.
pub fn gate(
    stream: &Stream,
    activation: nn::Activation,
    gate: &mut Buffer<f32>,
    up: &Buffer<f32>,
) -> Result<(), CudaError> {
    same_len(gate.len(), up.len())?;
    let kernel = match activation {
        nn::Activation::Identity => "gate<IDENTITY>",
        nn::Activation::Relu => "gate<RELU>",
        nn::Activation::Relu2 => "gate<RELU2>",
        nn::Activation::Gelu => "gate<GELU>",
        nn::Activation::GeluErf => "gate<GELU_ERF>",
        nn::Activation::Silu => "gate<SILU>",
    };
    let (n, shape) = (counted("values", gate.len())?, over(gate.len(), 1)?);
    // SAFETY: the sizes were checked above.
    unsafe { launch!(stream, &ACTIVATIONS, kernel, shape; gate.address(), up.address(), n) }
}

/// Notes in `status`, under `layer`, the vectors that are not finite.
///
/// # Errors
/// [`CudaError::Shape`] unless there is a whole number of values for each.
pub fn check_finite(
    stream: &Stream,
    x: &Buffer<f32>,
    status: &mut Status,
    layer: usize,
) -> Result<(), CudaError> {
    let vectors = status.0.len();
    let len = x.len() / vectors.max(1);
    same_len(vectors * len, x.len())?;
    let (n, layer) = (counted("values", len)?, counted("layers", layer)?);
    let (shape, status) = (over(len, vectors)?, status.0.address());
    // SAFETY: the sizes were checked above.
    unsafe { launch!(stream, &ACTIVATIONS, "check_finite", shape; x.address(), n, status, layer) }
}
