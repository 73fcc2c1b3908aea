//! bitnet-quantize: trits on two bit planes, one scale per group of 64 weights.

use super::FLOAT_TOLERANCE;
use crate::{Error, Matvec, Ternary};
use bitnet_quantize::{BitLinear, BitNetConfig, TernaryWeight};
use candle_core_for_peers::{Device, Module as _, Tensor};
use tritter_accel::core::ternary::PackedTernary;

/// The forward pass of its linear layer.
#[derive(Debug)]
pub struct Layer {
    layer: BitLinear,
}

impl Layer {
    /// Loads the matrix of `problem` as it is. Its own quantiser would replace the scales, since
    /// it takes the mean of each group with the zeros counted.
    ///
    /// # Errors
    ///
    /// When the library refuses the matrix.
    pub fn new(problem: &Ternary) -> Result<Self, Error> {
        let n = problem.n;
        let config = BitNetConfig::default();
        let scales = vec![problem.scale; n];
        // Both crates store rows as the same type of the crate trit-vsa.
        let rows = PackedTernary::from_i8(&problem.trits, &scales, (n, n))?.data;
        let weight = TernaryWeight {
            data: rows,
            scales: vec![problem.scale; n * n / config.group_size],
            shape: (n, n),
            group_size: config.group_size,
        };
        Ok(Self { layer: BitLinear::from_quantized(weight, None, config, Device::Cpu) })
    }
}

impl Matvec for Layer {
    fn name(&self) -> &str {
        "bitnet-quantize"
    }

    fn weight_bytes(&self) -> usize {
        self.layer.quantized_weight().memory_bytes()
    }

    fn tolerance(&self) -> f64 {
        FLOAT_TOLERANCE
    }

    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let x = Tensor::from_slice(x, (1, x.len()), &Device::Cpu)?;
        Ok(self.layer.forward(&x)?.flatten_all()?.to_vec1()?)
    }
}
