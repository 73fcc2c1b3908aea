//! A feed-forward layer whose neurons are mostly inactive: who computes it how fast, and how well.

mod contenders;
mod layer;
mod table;

pub use contenders::{Ffn, all};
pub use layer::PowerLaw;
pub use table::{Timing, markdown};
