//! Linear layers that are trained as they will be stored (BitNet, Wang et al. 2023; b1.58, Ma et al.
//! 2024).

use super::TrainError;
use super::fake_quantize::{fake_quantize, fake_quantize_activations};
use crate::level;
use crate::packed_matrix::PackedMatrix;
use candle_core::{D, DType, Tensor};
use trilane_core::digits::Group;
use trilane_core::error::ArgumentError;
use trilane_core::kernel::Backend;
use trilane_core::lane::PrecisionLane;
use trilane_core::quant::{ActivationsBuf, activation_lens};

/// How a [`BitLinear`] reads its weights and its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BitNetConfig {
    /// What the weights are quantised to: trits, a nested lane, or floats.
    pub lane: PrecisionLane,
    /// Weights that share a scale.
    pub group: Group,
    /// Whether the input is rounded to int8, as the engine does.
    pub quantize_activations: bool,
    /// Whether the input is divided by its root mean square first.
    pub use_rms_norm: bool,
    /// Added to the mean square, 0 to 1.
    pub eps: f32,
}

impl Default for BitNetConfig {
    /// Trits in groups of 64, int8 activations, normalised with eps 1e-5.
    fn default() -> Self {
        Self {
            lane: PrecisionLane::Ternary,
            group: Group::G64,
            quantize_activations: true,
            use_rms_norm: true,
            eps: 1e-5,
        }
    }
}

/// `y = Q_w(W) · Q_x(norm(x)) + b`, with straight-through gradients.
///
/// `Q_w` is [`fake_quantize`] at the lane of the configuration, `Q_x`
/// [`fake_quantize_activations`], the norm `x / √(mean(x²) + eps)` along the last dimension. So
/// [`forward`](Self::forward) computes in f32 what [`forward_quantized`](Self::forward_quantized)
/// computes in integers on the packed weights; they differ by the rounding of float sums. Gradients
/// reach the float weights behind the quantised ones.
///
/// Shapes: W `[out, in]`, b `[out]`, x `[…, in]`, y `[…, out]`; f32 on the CPU.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use trilane_std::train::{BitLinear, BitNetConfig};
/// let weight = Var::randn(0f32, 1.0, (8, 64), &Device::Cpu)?;
/// let layer = BitLinear::from_weight(weight.as_tensor().clone(), None, BitNetConfig::default())?;
/// let x = Tensor::randn(0f32, 1.0, (4, 64), &Device::Cpu)?;
/// let y = layer.forward(&x)?;
/// let gradients = y.sqr()?.sum_all()?.backward()?;
/// assert_eq!(gradients.get(&weight).unwrap().dims(), [8, 64]);
/// let difference = (layer.forward_quantized(&x)? - y)?.abs()?.max_all()?.to_scalar::<f32>()?;
/// assert!(difference < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BitLinear {
    weight: Tensor,
    bias: Option<Tensor>,
    config: BitNetConfig,
}

impl BitLinear {
    /// A layer of a float weight, which is kept: training moves it.
    ///
    /// # Errors
    /// [`TrainError::Shape`] for a weight that is not a matrix of f32 or a bias of another length,
    /// [`TrainError::Argument`] for an `eps` outside 0..=1.
    pub fn from_weight(
        weight: Tensor,
        bias: Option<Tensor>,
        config: BitNetConfig,
    ) -> Result<Self, TrainError> {
        let dims = weight.dims().to_vec();
        let is_matrix = matches!(dims[..], [out, cols] if out > 0 && cols > 0);
        if !is_matrix || weight.dtype() != DType::F32 {
            return Err(TrainError::shape("weight", "a matrix of f32", &weight));
        }
        if let Some(bias) = bias.as_ref().filter(|bias| bias.dims() != [dims[0]]) {
            return Err(TrainError::shape("bias", format!("[{}]", dims[0]), bias));
        }
        if !(0.0..=1.0).contains(&config.eps) {
            let (name, least, greatest, actual) = ("eps", 0.0, 1.0, config.eps);
            return Err(ArgumentError::Parameter { name, least, greatest, actual }.into());
        }
        Ok(Self { weight, bias, config })
    }

    /// Length of an input.
    pub fn in_features(&self) -> usize {
        self.weight.dims()[1]
    }

    /// Length of an output.
    pub fn out_features(&self) -> usize {
        self.weight.dims()[0]
    }

    /// The weights that the layer computes with.
    ///
    /// # Errors
    /// When a weight is NaN or infinite.
    pub fn quantized_weight(&self) -> Result<Tensor, TrainError> {
        Ok(fake_quantize(&self.weight, self.config.lane, self.config.group)?)
    }

    /// The layer in f32, with gradients. Measured.
    ///
    /// # Errors
    /// [`TrainError::Candle`] for an input of another length, or NaN in input or weights.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TrainError> {
        let mut x = self.normalized(x)?;
        if self.config.quantize_activations {
            x = fake_quantize_activations(&x.contiguous()?)?;
        }
        self.with_bias(x.broadcast_matmul(&self.quantized_weight()?.t()?)?)
    }

    /// The layer on packed weights and integer activations, by the kernels of the engine; no gradient.
    /// Ordered. Every call packs the weights anew: for inference export them.
    ///
    /// # Errors
    /// [`TrainError::Lane`] for a layer whose lane is Float32, which the integer kernels do not
    /// compute; otherwise as [`forward`](Self::forward).
    pub fn forward_quantized(&self, x: &Tensor) -> Result<Tensor, TrainError> {
        let (rows, cols) = (self.out_features(), self.in_features());
        let packed = self.pack()?;
        let weights = packed.matrix()?.lane(self.config.lane)?;
        let mut shape = x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == cols => *last = rows,
            _ => return Err(TrainError::shape("input", format!("[…, {cols}]"), x)),
        }
        let x = self.normalized(x)?.flatten_all()?.to_vec1::<f32>()?;
        let (nq, nm, ns) = activation_lens(cols);
        let (mut q, mut multipliers, mut sums) = (vec![0; nq], vec![0; nm], vec![0; ns]);
        let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
        let mut y = vec![0.0; x.len() / cols * rows];
        let level = level::detect();
        for (x, y) in x.chunks_exact(cols).zip(y.chunks_exact_mut(rows)) {
            level.lane_matvec(&weights, &buf.quantize(x)?, 0, y);
        }
        self.with_bias(Tensor::from_vec(y, shape, self.weight.device())?)
    }

    /// Share of the weights that are zero once quantised.
    ///
    /// # Errors
    /// When a weight is NaN or infinite.
    pub fn sparsity(&self) -> Result<f32, TrainError> {
        let weights = self.quantized_weight()?.flatten_all()?.to_vec1::<f32>()?;
        Ok(weights.iter().filter(|w| **w == 0.0).count() as f32 / weights.len() as f32)
    }

    /// Bytes of the weights in f32 over bytes packed, scales included.
    ///
    /// # Errors
    /// As [`forward_quantized`](Self::forward_quantized).
    pub fn compression_ratio(&self) -> Result<f32, TrainError> {
        Ok(4.0 * self.weight.elem_count() as f32 / self.pack()?.bytes() as f32)
    }

    /// The weights in digit planes, as a file holds them.
    ///
    /// # Errors
    /// [`TrainError::Lane`] for a layer whose lane is Float32.
    pub fn pack(&self) -> Result<PackedMatrix, TrainError> {
        let lane = self.config.lane;
        if lane == PrecisionLane::Float32 {
            return Err(TrainError::Lane(lane));
        }
        let (rows, cols) = (self.out_features(), self.in_features());
        let weights = self.weight.flatten_all()?.to_vec1::<f32>()?;
        let row = |r: usize| Ok(weights[r * cols..][..cols].to_vec());
        let refused = |row, error| TrainError::Row { row, error };
        PackedMatrix::quantize((rows, cols), lane, self.config.group, row, refused)
    }

    fn normalized(&self, x: &Tensor) -> Result<Tensor, TrainError> {
        if !self.config.use_rms_norm {
            return Ok(x.clone());
        }
        let square = (x.sqr()?.mean_keepdim(D::Minus1)? + f64::from(self.config.eps))?;
        Ok(x.broadcast_div(&square.sqrt()?)?)
    }

    fn with_bias(&self, y: Tensor) -> Result<Tensor, TrainError> {
        match &self.bias {
            Some(bias) => Ok(y.broadcast_add(bias)?),
            None => Ok(y),
        }
    }
}
