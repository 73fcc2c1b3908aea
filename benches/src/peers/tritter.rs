//! tritter-accel: trits on two bit planes, one scale per row.

use super::FLOAT_TOLERANCE;
use crate::{Error, Matvec, Ternary};
use candle_core_for_peers::{Device, Tensor};
use tritter_accel::core::ternary::{PackedTernary, matmul};

/// Its ternary matrix product.
#[derive(Debug)]
pub struct Packed {
    weights: PackedTernary,
}

impl Packed {
    /// Packs the matrix of `problem`.
    ///
    /// # Errors
    ///
    /// When the library refuses it.
    pub fn new(problem: &Ternary) -> Result<Self, Error> {
        let n = problem.n;
        let scales = vec![problem.scale; n];
        Ok(Self { weights: PackedTernary::from_i8(&problem.trits, &scales, (n, n))? })
    }
}

impl Matvec for Packed {
    fn name(&self) -> &str {
        "tritter-accel"
    }

    fn weight_bytes(&self) -> usize {
        let (rows, columns) = self.weights.shape;
        rows * columns / 4 + self.weights.scales.len() * size_of::<f32>()
    }

    fn tolerance(&self) -> f64 {
        FLOAT_TOLERANCE
    }

    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let x = Tensor::from_slice(x, (1, x.len()), &Device::Cpu)?;
        Ok(matmul(&x, &self.weights, None)?.flatten_all()?.to_vec1()?)
    }
}
