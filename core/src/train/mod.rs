//! Training on slices, deterministic: what makes gradients smaller.
//!
//! | module | what it holds |
//! |---|---|
//! | [`compress`] | gradients as short messages, with error feedback |
//! | [`accumulate`](TernaryGradientAccumulator) | sums of gradients in 2.25 bits a parameter, unbiased |
//! | [`loss_scale`](LossScaler) | scaling of losses for half precision |
//! | [`bf16`] | rounding to bfloat16 |
//! | [`config`](VSAConfig) | validated configurations |

mod accumulate;
pub mod bf16;
pub mod compress;
mod config;
mod loss_scale;

pub use accumulate::{TernaryGradientAccumulator, accumulator_words};
pub use config::{
    TernaryConfig, TernaryConfigBuilder, TrainingConfig, VSAConfig, VSAConfigBuilder,
};
pub use loss_scale::LossScaler;
