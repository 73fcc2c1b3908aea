//! Compressed gradients of candle tensors.

use super::TrainError;
use super::tensors::{Gradients, ParameterShapes};
use candle_core::Device;
use trilane_core::train::VSAConfig;
use trilane_core::train::compress::{Codec, LinearSketch, Reading};

/// What a message of gradients costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompressionStats {
    /// Bytes of the gradients in f32.
    pub original_bytes: usize,
    /// Bytes of the message, all of it.
    pub compressed_bytes: usize,
    /// The first over the second.
    pub compression_ratio: f32,
}

/// Gradients in a message.
#[derive(Clone, Debug, PartialEq)]
pub struct CompressedGradients {
    /// The step whose hash the message was made with.
    pub step: u64,
    /// The words that travel.
    pub message: Vec<u32>,
    /// What it costs.
    pub stats: CompressionStats,
}

/// The plain sketch of vector-symbolic compression over candle tensors: seeded sign-hash binding and
/// bundling, read as a projection ([`LinearSketch`]).
///
/// It is here for those who come from `vsa-optim-rs`: messages of several workers add up, nothing is
/// stored beside them, but a vector without structure comes back with a cosine of √ratio. The other
/// codecs of [`compress`](trilane_core::train::compress) do better at the same bytes, with error
/// feedback (`docs/compression.md`). Ordered.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use trilane_core::train::VSAConfig;
/// use trilane_std::train::{Gradients, VSAGradientCompressor};
/// let config = VSAConfig::builder()
///     .dimension(8192)          // words of a message, at least
///     .compression_ratio(0.1)   // and for each parameter
///     .seed(42)                 // reproducible hash
///     .build()?;
/// let device = Device::Cpu;
/// let param_shapes = vec![("weight".into(), vec![1024, 1024])];
/// let mut compressor = VSAGradientCompressor::new(&param_shapes, config, &device)?;
/// let gradients = Gradients::from([("weight".into(), Tensor::randn(0f32, 1.0, (1024, 1024), &device)?)]);
/// let compressed = compressor.compress(&gradients)?;
/// assert!(compressed.stats.compression_ratio > 9.99);
/// let restored = compressor.decompress(&compressed)?;
/// assert_eq!(restored["weight"].dims(), [1024, 1024]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct VSAGradientCompressor {
    shapes: ParameterShapes,
    codec: LinearSketch,
    step: u64,
}

impl VSAGradientCompressor {
    /// A compressor of tensors of these names and shapes.
    ///
    /// # Errors
    /// [`TrainError::Data`] for shapes that make no model, [`TrainError::Argument`].
    pub fn new(
        shapes: &[(String, Vec<usize>)],
        config: VSAConfig,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let shapes = ParameterShapes::new(shapes, device)?;
        let parameters = shapes.elements();
        let words = config.words(parameters)?;
        let codec = LinearSketch::new(parameters, words, config.seed(), Reading::Projection)?;
        Ok(Self { shapes, codec, step: 0 })
    }

    /// The message of the next step.
    ///
    /// # Errors
    /// [`TrainError::Missing`], [`TrainError::Shape`], [`TrainError::Argument`] for NaN or infinity.
    pub fn compress(&mut self, gradients: &Gradients) -> Result<CompressedGradients, TrainError> {
        let flat = self.shapes.flatten(gradients)?;
        self.codec.start(self.step);
        let mut message = vec![0; self.codec.message_words(0)];
        self.codec.encode(0, &flat, &mut message)?;
        let (original_bytes, compressed_bytes) = (4 * flat.len(), 4 * message.len());
        let compression_ratio = original_bytes as f32 / compressed_bytes as f32;
        let stats = CompressionStats { original_bytes, compressed_bytes, compression_ratio };
        let compressed = CompressedGradients { step: self.step, message, stats };
        self.step += 1;
        Ok(compressed)
    }

    /// The gradients that a message, or the sum of several workers' messages of one step, tells.
    ///
    /// # Errors
    /// [`TrainError::Argument`] for a message of another length, or with NaN or infinity.
    pub fn decompress(&self, compressed: &CompressedGradients) -> Result<Gradients, TrainError> {
        let mut codec = self.codec;
        codec.start(compressed.step);
        let mut flat = vec![0.0; self.shapes.elements()];
        codec.add_decoded(&compressed.message, 1.0, &mut flat)?;
        self.shapes.unflatten(&flat)
    }
}
