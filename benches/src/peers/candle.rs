//! candle: a general tensor library, with floats and with ggml's block types.

use super::FLOAT_TOLERANCE;
use crate::{Error, Matvec, Ternary};
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module as _, Tensor};

/// The product in f32, as candle's linear layer computes it: `x·Wᵀ`.
#[derive(Debug)]
pub struct Float {
    weights: Tensor,
}

impl Float {
    /// Loads the matrix of `problem`.
    ///
    /// # Errors
    ///
    /// When candle refuses it.
    pub fn new(problem: &Ternary) -> Result<Self, Error> {
        Ok(Self { weights: weights(problem)? })
    }
}

impl Matvec for Float {
    fn name(&self) -> &str {
        "candle f32"
    }

    fn weight_bytes(&self) -> usize {
        self.weights.elem_count() * size_of::<f32>()
    }

    fn tolerance(&self) -> f64 {
        FLOAT_TOLERANCE
    }

    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let x = Tensor::from_slice(x, (1, x.len()), &Device::Cpu)?;
        Ok(x.matmul(&self.weights.t()?)?.flatten_all()?.to_vec1()?)
    }
}

/// The product with block-quantised weights; x is quantised to 8 bits inside.
#[derive(Debug)]
pub struct Quantised {
    name: &'static str,
    product: QMatMul,
    weight_bytes: usize,
    tolerance: f64,
}

impl Quantised {
    /// Blocks of 32 8-bit weights.
    ///
    /// Tolerance: x in −1..1 is rounded to steps of 1/127, which is 0.4% of its root mean square;
    /// the block scale is rounded to f16, 0.05%.
    ///
    /// # Errors
    ///
    /// When candle refuses the matrix.
    pub fn q8_0(problem: &Ternary) -> Result<Self, Error> {
        Self::new(problem, "candle Q8_0", GgmlDType::Q8_0, 0.01)
    }

    /// Blocks of 32 4-bit weights.
    ///
    /// Tolerance: the 4-bit codes reach −8..7, so in each block the trits of one sign come out as
    /// 7/8 of their value: an error of 1/8 in half of the weights that are not zero, √(1/2)/8 ≈ 9%.
    ///
    /// # Errors
    ///
    /// When candle refuses the matrix.
    pub fn q4_0(problem: &Ternary) -> Result<Self, Error> {
        Self::new(problem, "candle Q4_0", GgmlDType::Q4_0, 0.125)
    }

    fn new(
        problem: &Ternary,
        name: &'static str,
        kind: GgmlDType,
        tolerance: f64,
    ) -> Result<Self, Error> {
        let quantised = QTensor::quantize(&weights(problem)?, kind)?;
        let weight_bytes = quantised.storage_size_in_bytes();
        Ok(Self { name, product: QMatMul::from_qtensor(quantised)?, weight_bytes, tolerance })
    }
}

impl Matvec for Quantised {
    fn name(&self) -> &str {
        self.name
    }

    fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    fn tolerance(&self) -> f64 {
        self.tolerance
    }

    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let x = Tensor::from_slice(x, (1, x.len()), &Device::Cpu)?;
        Ok(self.product.forward(&x)?.flatten_all()?.to_vec1()?)
    }
}

fn weights(problem: &Ternary) -> Result<Tensor, Error> {
    Ok(Tensor::from_vec(problem.weights_f32(), (problem.n, problem.n), &Device::Cpu)?)
}
