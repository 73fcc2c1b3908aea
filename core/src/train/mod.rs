//! Training on slices, deterministic: fewer backward passes, smaller gradients.
//!
//! | module | what it holds |
//! |---|---|
//! | [`predict`] | gradients predicted from those before, and the phases that say when |
//! | [`selection`] | backward passes for the samples that still teach |
//! | [`herding`] | backward passes for the samples that together are like all of them |
//! | [`compress`] | gradients as short messages, with error feedback |
//! | [`accumulate`](TernaryGradientAccumulator) | sums of gradients in 2.25 bits a parameter, unbiased |
//! | [`loss_scale`](LossScaler) | scaling of losses for half precision |
//! | [`bf16`] | rounding to bfloat16 |
//! | [`config`](VSAConfig) | validated configurations |
//!
//! The caller owns all memory and the model; what is here never computes a gradient itself.

mod accumulate;
pub mod bf16;
pub mod compress;
mod config;
pub mod herding;
mod loss_scale;
pub mod predict;
pub mod selection;

pub use accumulate::{TernaryGradientAccumulator, accumulator_words, first_draw};
pub use config::{
    TernaryConfig, TernaryConfigBuilder, TrainingConfig, VSAConfig, VSAConfigBuilder,
};
pub use loss_scale::LossScaler;
