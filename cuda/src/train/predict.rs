//! Gradients predicted by the lines through those before.

use super::Check;
use crate::activations::blocks;
use crate::buffer::Buffer;
use crate::driver::Shape;
use crate::error::{CudaError, counted, same_len};
use crate::kernels::TRAIN;
use crate::stream::{Stream, launch};
use bytemuck::{Pod, Zeroable};
use trilane_core::train::predict::{
    Agreement, ChunkSums, LineUpdate, PredictorConfig, TensorLines, TensorMoments,
};

/// Threads of a block.
const THREADS: u32 = 256;
/// Threads that a chunk takes when a gradient is recorded, and when one is predicted.
const LANES: usize = 16;
const WARP: usize = 32;
/// Sums of a chunk; the kernel's number.
const CHUNK_SUMS: usize = 7;

/// A chunk of a tensor as the kernels take it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct RawChunk {
    begin: i32,
    len: i32,
    tensor: i32,
}

/// As the kernels take the state.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawPredictor {
    sums: u64,
    drifts: u64,
    residuals: u64,
    chunks: u64,
    coefficients: u64,
    count: i32,
    padding: i32,
}

/// [`trilane_core::train::predict::DeterministicPredictor`] with the state of the parameters on a
/// device. Ordered: the device sums chunks of 512 elements, the host adds their sums up in f64, so
/// that recording waits for the queue and copies 28 bytes a chunk.
#[derive(Debug)]
pub struct DeterministicPredictor {
    lines: TensorLines<Vec<TensorMoments>>,
    sums: Buffer<f32>,
    drifts: Buffer<f32>,
    residuals: Option<Buffer<f32>>,
    chunks: Buffer<RawChunk>,
    coefficients: Buffer<[f32; 2]>,
    chunk_sums: Buffer<f32>,
    check: Check,
}

impl DeterministicPredictor {
    /// A predictor without a past, for tensors of so many parameters; gradients are all their
    /// elements one after another.
    ///
    /// # Errors
    /// [`CudaError::Argument`] without tensors or with an empty one, and for the configuration;
    /// [`CudaError::Size`], [`CudaError::Memory`].
    pub fn new(
        stream: &Stream,
        tensors: &[usize],
        config: PredictorConfig,
    ) -> Result<Self, CudaError> {
        let moments = tensors.iter().map(|len| TensorMoments::new(*len)).collect();
        let lines = TensorLines::new(moments, config)?;
        let parameters = lines.parameters();
        counted("parameters", parameters)?;
        let (mut chunks, mut begin) = (Vec::new(), 0);
        for (tensor, &len) in tensors.iter().enumerate() {
            let tensor = counted("tensors", tensor)?;
            for at in (0..len).step_by(LineUpdate::CHUNK) {
                let len = counted("elements", LineUpdate::CHUNK.min(len - at))?;
                chunks.push(RawChunk { begin: counted("elements", begin + at)?, len, tensor });
            }
            begin += len;
        }
        let state = || Buffer::zeros(stream, parameters);
        let kept = config.residual_rate > 0.0;
        Ok(Self {
            lines,
            sums: state()?,
            drifts: state()?,
            residuals: if kept { Some(state()?) } else { None },
            chunk_sums: Buffer::zeros(stream, chunks.len() * CHUNK_SUMS)?,
            chunks: Buffer::from_host(stream, &chunks)?,
            coefficients: Buffer::zeros(stream, tensors.len())?,
            check: Check::new(stream)?,
        })
    }

    /// The lines, with the shares of every tensor.
    pub fn lines(&self) -> &TensorLines<Vec<TensorMoments>> {
        &self.lines
    }

    /// Forgets all gradients.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn reset(&mut self, stream: &Stream) -> Result<(), CudaError> {
        self.lines.reset();
        self.sums.clear(stream)?;
        self.drifts.clear(stream)?;
        self.residuals.as_mut().map_or(Ok(()), |residuals| residuals.clear(stream))
    }

    /// Takes in the gradient of a step, and tells how well the prediction for it met it. Waits for
    /// the queue.
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another length, [`CudaError::Argument`] for a value that is not
    /// finite; nothing has changed then.
    pub fn record(
        &mut self,
        stream: &Stream,
        step: u64,
        gradient: &Buffer<f32>,
    ) -> Result<Agreement, CudaError> {
        same_len(self.sums.len(), gradient.len())?;
        self.check.magnitudes(stream, gradient, None, f32::MAX)?;
        let update = self.lines.update(step);
        self.write_coefficients(stream, update.ahead, 1.0)?;
        let LineUpdate { decay, shift, rate, take, added, .. } = update;
        let by = [decay, shift, rate, take, added];
        let (raw, shape) = (self.raw()?, self.shape(LANES)?);
        let (gradient, sums) = (gradient.address(), self.chunk_sums.address());
        // SAFETY: the sizes were checked above; the chunks are those of the parameters.
        unsafe { launch!(stream, &TRAIN, "predictor_record", shape; raw, by, gradient, sums)? };
        let sums = self.chunk_sums.to_vec(stream)?;
        let mut sums = sums.as_chunks::<CHUNK_SUMS>().0.iter();
        Ok(self.lines.record(&update, |_, _| {
            let Some(&[gradient, ss, sd, dd, product, predicted, residual]) = sums.next() else {
                return ChunkSums::default();
            };
            ChunkSums { gradient, moments: [ss, sd, dd], product, predicted, residual }
        }))
    }

    /// The gradient that the line gives for a step, with the residual where it is used. Zero before
    /// the third gradient.
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another length.
    pub fn predict(
        &mut self,
        stream: &Stream,
        step: u64,
        gradient: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        self.predict_scaled(stream, step, 1.0, gradient)
    }

    /// `scale` times [`predict`](Self::predict).
    ///
    /// # Errors
    /// [`CudaError::Shape`] for another length.
    pub fn predict_scaled(
        &mut self,
        stream: &Stream,
        step: u64,
        scale: f64,
        gradient: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        same_len(self.sums.len(), gradient.len())?;
        let scale = scale as f32;
        self.write_coefficients(stream, self.lines.ahead(step), scale)?;
        let (raw, shape) = (self.raw()?, self.shape(WARP)?);
        let (used, to) = (i32::from(self.lines.residual_used()), gradient.address());
        // SAFETY: the sizes were checked above; a residual is used only where one is kept.
        unsafe { launch!(stream, &TRAIN, "predictor_predict", shape; raw, used, scale, to) }
    }

    fn write_coefficients(
        &mut self,
        stream: &Stream,
        ahead: f64,
        scale: f32,
    ) -> Result<(), CudaError> {
        let tensors = 0..self.lines.tensors().len();
        let coefficients: Vec<[f32; 2]> = tensors
            .map(|tensor| self.lines.coefficients(tensor, ahead).map(|c| scale * c))
            .collect();
        self.coefficients.upload(stream, &coefficients)
    }

    fn raw(&self) -> Result<RawPredictor, CudaError> {
        Ok(RawPredictor {
            sums: self.sums.address(),
            drifts: self.drifts.address(),
            residuals: self.residuals.as_ref().map_or(0, Buffer::address),
            chunks: self.chunks.address(),
            coefficients: self.coefficients.address(),
            count: counted("chunks", self.chunks.len())?,
            padding: 0,
        })
    }

    /// So many threads for each chunk.
    fn shape(&self, threads: usize) -> Result<Shape, CudaError> {
        let each = THREADS as usize / threads;
        Ok(Shape { blocks: [blocks(self.chunks.len().div_ceil(each))?, 1, 1], threads: THREADS })
    }
}
