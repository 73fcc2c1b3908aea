//! Feed-forward blocks.

use super::{Input, Linear, LinearError, same_len};
use crate::error::ShapeError;
use crate::kernel::{Backend, Pool};
use crate::lane::PrecisionLane;
use crate::quant::ActivationsBuf;

/// The function between the layers of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`; −0 and NaN become +0.
    Relu,
    /// `max(x, 0)²` (So et al. 2021); −0 and NaN become +0.
    Relu2,
    /// [`math::gelu`](crate::math::gelu), the tanh form.
    Gelu,
    /// [`math::gelu_erf`](crate::math::gelu_erf), the exact form.
    GeluErf,
    /// [`math::silu`](crate::math::silu).
    Silu,
}

impl Activation {
    /// Every function.
    pub const ALL: [Self; 6] =
        [Self::Identity, Self::Relu, Self::Relu2, Self::Gelu, Self::GeluErf, Self::Silu];

    /// The function of a name in a file: "identity", "relu", "relu2", "gelu" or "silu".
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "identity" => Some(Self::Identity),
            "relu" => Some(Self::Relu),
            "relu2" => Some(Self::Relu2),
            "gelu" => Some(Self::Gelu),
            "gelu-erf" => Some(Self::GeluErf),
            "silu" => Some(Self::Silu),
            _ => None,
        }
    }

    /// Applies the function to every element, in place. Ordered.
    pub fn apply(self, backend: impl Backend, x: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => x.iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { 0.0 }),
            Self::Relu2 => x.iter_mut().for_each(|x| *x = if *x > 0.0 { *x * *x } else { 0.0 }),
            Self::Gelu => backend.gelu(x),
            Self::GeluErf => backend.gelu_erf(x),
            Self::Silu => backend.silu(x),
        }
    }
}

/// The weights of a feed-forward block.
#[derive(Clone, Copy, Debug)]
pub enum FeedForward<'w> {
    /// `W_down · (act(W_gate x) · (W_up x))` (gated units, Shazeer 2020; SwiGLU with SiLU).
    Gated {
        /// The function of the gate.
        activation: Activation,
        /// hidden × dim.
        gate: &'w Linear<'w>,
        /// hidden × dim.
        up: &'w Linear<'w>,
        /// dim × hidden.
        down: &'w Linear<'w>,
    },
    /// `W_down · act(W_up x + b_up) + b_down`.
    Plain {
        /// hidden × dim.
        up: &'w Linear<'w>,
        /// hidden values, or none for zeros.
        up_bias: Option<&'w [f32]>,
        /// The function between the layers.
        activation: Activation,
        /// dim × hidden.
        down: &'w Linear<'w>,
        /// dim values, or none for zeros.
        down_bias: Option<&'w [f32]>,
    },
}

impl FeedForward<'_> {
    /// Computes the block on a vector.
    ///
    /// Shapes: `x` and `y` dim; `hidden` two slices of as many values as the hidden layer has, of
    /// which a plain block uses the first. Products as [`Linear::matvec`], the rest Ordered.
    ///
    /// # Errors
    /// [`LinearError`]: a slice that does not match, a lane that is not stored, or values that are
    /// not finite.
    #[allow(clippy::too_many_arguments, reason = "inputs, scratch and output")]
    pub fn forward<B: Backend>(
        &self,
        backend: B,
        pool: &dyn Pool,
        lane: PrecisionLane,
        x: &[f32],
        integers: &mut ActivationsBuf<'_>,
        hidden: [&mut [f32]; 2],
        y: &mut [f32],
    ) -> Result<(), LinearError> {
        let [first, second] = hidden;
        let (down, down_bias) = match *self {
            Self::Gated { activation, gate: gates, up, down } => {
                let input = Input::new(backend, x, integers, &[gates, up])?;
                gates.matvec(backend, pool, lane, &input, first)?;
                up.matvec(backend, pool, lane, &input, second)?;
                gate(backend, pool, activation, first, second)?;
                (down, None)
            }
            Self::Plain { up, up_bias, activation, down, down_bias } => {
                let input = Input::new(backend, x, integers, &[up])?;
                up.matvec(backend, pool, lane, &input, first)?;
                add_bias(up_bias, first)?;
                activation.apply(backend, first);
                (down, down_bias)
            }
        };
        let input = Input::new(backend, first, integers, &[down])?;
        down.matvec(backend, pool, lane, &input, y)?;
        Ok(add_bias(down_bias, y)?)
    }
}

/// `y += bias`, if there is one.
pub(crate) fn add_bias(bias: Option<&[f32]>, y: &mut [f32]) -> Result<(), ShapeError> {
    let Some(bias) = bias else { return Ok(()) };
    same_len(y.len(), bias.len())?;
    y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
    Ok(())
}

/// `gate[i] = act(gate[i]) · up[i]`, the hidden layer of a gated feed-forward block.
///
/// Shapes: `gate` and `up` alike. Ordered.
///
/// # Errors
/// [`ShapeError::Length`] when the lengths differ.
pub fn gate(
    backend: impl Backend,
    pool: &dyn Pool,
    activation: Activation,
    gate: &mut [f32],
    up: &[f32],
) -> Result<(), ShapeError> {
    same_len(gate.len(), up.len())?;
    // An activation costs about as much as 64 integer multiply-adds.
    let work = 64 * gate.len();
    pool.spread(gate, 1, work, &|first, gate| {
        let Some(up) = up.get(first..first + gate.len()) else { return };
        if activation == Activation::Silu {
            backend.silu_product(gate, up);
        } else {
            activation.apply(backend, gate);
            gate.iter_mut().zip(up).for_each(|(gate, up)| *gate *= up);
        }
    });
    Ok(())
}
