//! Fake quantisation with straight-through gradients (Bengio, Léonard and Courville 2013).
//!
//! The forward pass sees what the engine will compute with, by the engine's own quantisers; the
//! backward pass takes the quantiser for the identity.

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use trilane_core::digits::{Group, units};
use trilane_core::lane::{PrecisionLane, fake_quantize_row};
use trilane_core::quant::{ActivationsBuf, QuantError, activation_lens};

/// Rows of a matrix as a lane reads them: [`fake_quantize_row`] of each.
#[derive(Clone, Copy, Debug)]
struct Weights {
    lane: PrecisionLane,
    group: Group,
}

/// Rows of activations as int8 with an exponent for each unit: [`ActivationsBuf::quantize`] of each
/// and back.
#[derive(Clone, Copy, Debug)]
struct Activations;

/// The weights that `lane` reads of `weight` once it is stored in groups of `group`, with the
/// gradient of the identity. Ordered.
///
/// Shapes: `[out, in]` to `[out, in]`, contiguous f32.
///
/// # Errors
/// For a tensor that is not of that kind, or that holds NaN or infinity.
///
/// ```
/// use candle_core::{Device, Var};
/// use trilane_core::{digits::Group, lane::PrecisionLane};
/// use trilane_std::train::fake_quantize;
/// let weight = Var::new(&[[0.9f32, -1.1, 0.1, 0.0]], &Device::Cpu)?;
/// let ternary = fake_quantize(&weight, PrecisionLane::Ternary, Group::Row)?;
/// assert_eq!(ternary.to_vec2::<f32>()?, [[1.0, -1.0, 0.0, 0.0]]);
/// let gradients = ternary.sum_all()?.backward()?;
/// assert_eq!(gradients.get(&weight).unwrap().to_vec2::<f32>()?, [[1.0; 4]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn fake_quantize(weight: &Tensor, lane: PrecisionLane, group: Group) -> Result<Tensor> {
    match lane {
        PrecisionLane::Float32 => Ok(weight.clone()),
        _ => weight.apply_op1(Weights { lane, group }),
    }
}

/// [`fake_quantize_row`] of each row of `cols` weights.
pub(super) fn fake_quantize_rows(
    weights: &mut [f32],
    cols: usize,
    lane: PrecisionLane,
    group: Group,
) -> std::result::Result<(), QuantError> {
    let mut codes = vec![0; cols];
    let mut scales = vec![0; units(cols) * group.scales_per_unit()];
    weights
        .chunks_exact_mut(cols)
        .try_for_each(|row| fake_quantize_row(row, lane, group, &mut codes, &mut scales))
}

/// Activations as the integer kernels take them, with the gradient of the identity. Ordered.
///
/// Each row along the last dimension is quantised by itself: int8 times a power of two for each unit
/// of 64 ([`ActivationsBuf::quantize`]).
///
/// # Errors
/// For a tensor that is not contiguous f32, or that holds NaN or infinity.
pub fn fake_quantize_activations(x: &Tensor) -> Result<Tensor> {
    x.apply_op1(Activations)
}

/// A copy of the contiguous f32 elements, and their number in a row.
fn rows(storage: &CpuStorage, layout: &Layout) -> Result<(Vec<f32>, usize)> {
    let data = storage.as_slice::<f32>()?;
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(Error::Msg("fake quantisation needs contiguous rows".into()));
    };
    let cols = layout.dims().last().copied().unwrap_or(1).max(1);
    Ok((data[start..end].to_vec(), cols))
}

impl CustomOp1 for Weights {
    fn name(&self) -> &'static str {
        "fake-quantize"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (mut weights, cols) = rows(storage, layout)?;
        fake_quantize_rows(&mut weights, cols, self.lane, self.group).map_err(Error::wrap)?;
        Ok((CpuStorage::F32(weights), layout.shape().clone()))
    }

    fn bwd(&self, _arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.clone()))
    }
}

impl CustomOp1 for Activations {
    fn name(&self) -> &'static str {
        "fake-quantize-activations"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (mut values, cols) = rows(storage, layout)?;
        let (nq, nm, ns) = activation_lens(cols);
        let (mut q, mut multipliers, mut sums) = (vec![0; nq], vec![0; nm], vec![0; ns]);
        let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
        for row in values.chunks_exact_mut(cols) {
            let read = buf.quantize(row).map_err(Error::wrap)?;
            for (i, x) in row.iter_mut().enumerate() {
                *x = read.integer(i) as f32 * read.step();
            }
        }
        Ok((CpuStorage::F32(values), layout.shape().clone()))
    }

    fn bwd(&self, _arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.clone()))
    }
}
