//! Operations on hypervectors that own their memory.

use super::{Hypervector, VsaError};
use crate::device::DevicePreference;
use crate::level;
use trilane_core::error::ArgumentError;
use trilane_core::hyper::{self, bundle_words};
use trilane_core::kernel::Level;

/// How hypervectors are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VsaConfig {
    /// Where: on the processor, or wherever there is something. A GPU computes on memory of its own
    /// (`trilane_cuda::hyper`), so these operations refuse it.
    pub device: DevicePreference,
}

impl VsaConfig {
    /// The configuration with another device.
    pub const fn with_device(self, device: DevicePreference) -> Self {
        Self { device }
    }
}

/// Vector symbolic operations that allocate their results, by the best level of the processor.
///
/// ```
/// use trilane_std::device::DevicePreference;
/// use trilane_std::hyper::{VsaConfig, VsaOps};
/// let ops = VsaOps::new(VsaConfig::default().with_device(DevicePreference::Auto));
/// // Random hypervectors.
/// let apple = ops.random(10000, 1).unwrap();
/// let red = ops.random(10000, 2).unwrap();
/// // Bind: a red apple.
/// let red_apple = ops.bind(&apple, &red).unwrap();
/// // Query: what colour is the apple?
/// let color = ops.unbind(&red_apple, &apple).unwrap();
/// let similarity = ops.cosine_similarity(&color, &red).unwrap();
/// assert!(similarity > 0.9);
/// assert_eq!(similarity, 1.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct VsaOps {
    device: DevicePreference,
    level: Level,
}

impl Default for VsaOps {
    fn default() -> Self {
        Self::new(VsaConfig::default())
    }
}

/// Every operation fails with [`VsaError::Device`] for a device that is not there, and otherwise
/// with the errors of the function of the same name in [`trilane_core::hyper`].
#[allow(clippy::missing_errors_doc, reason = "stated once for all")]
impl VsaOps {
    /// Operations as configured.
    pub fn new(config: VsaConfig) -> Self {
        Self { device: config.device, level: level::detect() }
    }

    /// The level of the processor, if operations are computed by it.
    fn level(&self) -> Result<Level, VsaError> {
        match self.device {
            DevicePreference::Auto | DevicePreference::Cpu => Ok(self.level),
            DevicePreference::Cuda(_) => Err(VsaError::Device(self.device)),
        }
    }

    /// The dense random vector of a seed. Exact.
    pub fn random(&self, dim: usize, seed: u64) -> Result<Hypervector, VsaError> {
        self.level()?;
        Ok(Hypervector::written(dim, |out| {
            hyper::random(seed, out);
            Ok(())
        })?)
    }

    /// The product of two vectors. Exact.
    pub fn bind(&self, a: &Hypervector, b: &Hypervector) -> Result<Hypervector, VsaError> {
        self.level()?;
        let dim = a.view().dim();
        Ok(Hypervector::written(dim, |out| hyper::bind(&a.view(), &b.view(), out))?)
    }

    /// What was bound with a dense key: the product once more. Exact.
    pub fn unbind(&self, bound: &Hypervector, key: &Hypervector) -> Result<Hypervector, VsaError> {
        self.bind(bound, key)
    }

    /// The sign of the sum, 0 for a tie. Exact.
    pub fn bundle(&self, vectors: &[Hypervector]) -> Result<Hypervector, VsaError> {
        let level = self.level()?;
        let views: Vec<_> = vectors.iter().map(Hypervector::view).collect();
        let dim = views.first().ok_or(ArgumentError::Empty)?.dim();
        let mut counters = vec![0; bundle_words(dim, views.len() as u64)];
        Ok(Hypervector::written(dim, |out| hyper::bundle(level, &views, &mut counters, out))?)
    }

    /// A cyclic shift. Exact.
    pub fn permute(&self, v: &Hypervector, by: i64) -> Result<Hypervector, VsaError> {
        self.level()?;
        Ok(Hypervector::written(v.view().dim(), |out| hyper::permute(&v.view(), by, out))?)
    }

    /// `a·b / √(n_a·n_b)`. Ordered.
    pub fn cosine_similarity(&self, a: &Hypervector, b: &Hypervector) -> Result<f32, VsaError> {
        Ok(hyper::cosine(self.level()?, &a.view(), &b.view())?)
    }

    /// `Σ a[i]·b[i]`. Exact.
    pub fn dot(&self, a: &Hypervector, b: &Hypervector) -> Result<i64, VsaError> {
        Ok(hyper::dot(self.level()?, &a.view(), &b.view())?)
    }

    /// Positions where the vectors differ. Exact.
    pub fn hamming_distance(&self, a: &Hypervector, b: &Hypervector) -> Result<u64, VsaError> {
        Ok(hyper::hamming_distance(self.level()?, &a.view(), &b.view())?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_the_core() {
        let ops = VsaOps::default();
        let v: Vec<_> = (0..5).map(|seed| ops.random(777, seed).unwrap()).collect();
        let sum = ops.bundle(&v[..3]).unwrap();
        let values: Vec<Vec<i8>> = v.iter().map(Hypervector::to_i8_vec).collect();
        let majority = (0..777).map(|i| (values[0][i] + values[1][i] + values[2][i]).signum());
        assert!(sum.to_i8_vec().into_iter().eq(majority));
        let shifted = ops.permute(&v[0], 3).unwrap();
        assert_eq!(shifted.to_i8_vec()[3..], values[0][..774]);
        assert_eq!(ops.permute(&shifted, -3), Ok(v[0].clone()));
        let dot = ops.dot(&v[3], &v[4]).unwrap();
        assert_eq!(ops.hamming_distance(&v[3], &v[4]).unwrap() as i64, (777 - dot) / 2);
        let planes = (v[3].view().plus(), v[3].view().minus());
        assert_eq!(Hypervector::from_planes(777, planes.0, planes.1), Ok(v[3].clone()));
        assert!(Hypervector::from_planes(777, planes.0, planes.0).is_err());
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let cuda = VsaOps::new(VsaConfig::default().with_device(DevicePreference::Cuda(0)));
        assert_eq!(cuda.random(10, 1), Err(VsaError::Device(DevicePreference::Cuda(0))));
        let ops = VsaOps::default();
        let (a, b) = (ops.random(10, 1).unwrap(), ops.random(11, 1).unwrap());
        let length = VsaError::Argument(ArgumentError::Length { expected: 10, actual: 11 });
        assert_eq!(cuda.dot(&a, &b), Err(VsaError::Device(DevicePreference::Cuda(0))));
        assert_eq!(ops.dot(&a, &b), Err(length));
        assert_eq!(ops.bind(&a, &b), Err(length));
        assert_eq!(ops.random(0, 1), Err(VsaError::Argument(ArgumentError::Empty)));
        assert_eq!(ops.bundle(&[]), Err(VsaError::Argument(ArgumentError::Empty)));
    }
}
