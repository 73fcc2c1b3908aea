//! Elementary functions with a defined operation order.
//!
//! Every function here is **Ordered**: IEEE 754 binary32 with round-to-nearest-even, and the order
//! of the operations in the source is the definition. Only `+ − × ÷`, comparisons and bit
//! operations are used, a product is never fused with a sum, and no branch depends on a value. So
//! a loop over a slice vectorises, and its lanes hold the same bits as the scalar calls.
//! The one exception is the square root inside [`rsqrt`], which IEEE 754 rounds correctly.
//!
//! Accuracy is **Measured** against a double-precision reference over all 2³² inputs; each function
//! states its bound. A NaN argument gives a NaN whose sign and payload are not defined.
//!
//! The caller must not set flush-to-zero or denormals-are-zero modes.

mod exp;
mod gelu;
pub mod reduce;
mod round;
mod sigmoid;
mod sqrt;
mod tanh;

pub use exp::exp;
pub use gelu::{gelu, gelu_erf};
pub use round::round_half_even;
pub use sigmoid::{sigmoid, silu};
pub use sqrt::rsqrt;
pub use tanh::tanh;
