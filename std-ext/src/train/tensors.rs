//! Named tensors as one flat vector, and back.

use super::TrainError;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

/// Gradients, or other tensors, by the name of their parameter. Ordered by name, so that nothing
/// depends on the order of a hash.
pub type Gradients = BTreeMap<String, Tensor>;

/// The parameters of a model, in the order they are given: each has its place in a flat vector.
#[derive(Clone, Debug)]
pub struct ParameterShapes {
    shapes: Vec<(String, Vec<usize>)>,
    len: usize,
    device: Device,
}

impl ParameterShapes {
    /// Names and shapes.
    ///
    /// # Errors
    /// [`TrainError::Data`] for no parameters, a name that occurs twice, or a tensor without elements.
    pub fn new(shapes: &[(String, Vec<usize>)], device: &Device) -> Result<Self, TrainError> {
        let refused = |expected: &str, found: &str| {
            Err(TrainError::Data { expected: expected.into(), found: found.into() })
        };
        let mut names = BTreeMap::new();
        let mut len = 0usize;
        for (name, dims) in shapes {
            if names.insert(name, ()).is_some() {
                return refused("parameters of different names", name);
            }
            let elements = dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
            match elements.and_then(|n| len.checked_add(n).map(|sum| (n, sum))) {
                Some((n, sum)) if n > 0 => len = sum,
                _ => return refused("tensors with elements", &format!("{name} of {dims:?}")),
            }
        }
        if shapes.is_empty() {
            return refused("a model with parameters", "none");
        }
        Ok(Self { shapes: shapes.to_vec(), len, device: device.clone() })
    }

    /// Elements of all parameters.
    pub fn elements(&self) -> usize {
        self.len
    }

    /// Elements of each parameter.
    pub fn tensors(&self) -> impl Iterator<Item = usize> {
        self.shapes.iter().map(|(_, dims)| dims.iter().product())
    }

    /// The tensors side by side, as f32.
    ///
    /// # Errors
    /// [`TrainError::Missing`] for a parameter without tensor or a tensor without parameter,
    /// [`TrainError::Shape`], [`TrainError::Candle`].
    pub fn flatten(&self, tensors: &Gradients) -> Result<Vec<f32>, TrainError> {
        let known = |name: &String| self.shapes.iter().any(|(shape, _)| shape == name);
        if let Some(name) = tensors.keys().find(|name| !known(name)) {
            return Err(TrainError::Missing { name: name.clone() });
        }
        let mut flat = Vec::with_capacity(self.len);
        for (name, dims) in &self.shapes {
            let missing = || TrainError::Missing { name: name.clone() };
            let tensor = tensors.get(name).ok_or_else(missing)?;
            if tensor.dims() != dims {
                return Err(TrainError::shape(name, format!("{dims:?}"), tensor));
            }
            flat.extend(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(flat)
    }

    /// The tensors of a flat vector of [`elements`](Self::elements).
    ///
    /// # Errors
    /// [`TrainError::Candle`].
    pub fn unflatten(&self, flat: &[f32]) -> Result<Gradients, TrainError> {
        let mut rest = flat;
        let mut tensors = Gradients::new();
        for (name, dims) in &self.shapes {
            let (values, after) = rest.split_at(dims.iter().product::<usize>().min(rest.len()));
            rest = after;
            let tensor = Tensor::from_slice(values, dims.as_slice(), &self.device)?;
            tensors.insert(name.clone(), tensor);
        }
        Ok(tensors)
    }
}
