//! Hypervectors that own their memory, and operations on them by the best level of the processor.
//!
//! The algebra, its errors and its views are [`trilane_core::hyper`]'s; results are the same bits.

mod error;
mod ops;
#[cfg(feature = "parallel")]
mod parallel;
mod vector;

pub use error::VsaError;
pub use ops::{VsaConfig, VsaOps};
#[cfg(feature = "parallel")]
pub use parallel::nearest_batch;
pub use vector::Hypervector;
