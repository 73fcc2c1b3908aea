//! Calibration for sparse inference: what the neurons of a model do on a text, and the model stored
//! by neuron.
//!
//! ```text
//! record    the dense model reads a text: inputs and hidden layers of every feed-forward block
//! order     neurons from hot to cold, by how often they are among the most active
//! fit       a predictor of low rank for each layer, of a rank that finds the neurons that matter,
//!           and thresholds on the gate's magnitude
//! store     gate and up in the new order, the second matrix by neuron, all in digit planes
//! ```

mod break_even;
mod curves;
mod low_rank;
mod magnitudes;
mod predictor;
mod record;
mod rewrite;

pub use break_even::choose_faster;
pub use curves::{Inputs, ModeReport, measure};
pub(crate) use low_rank::deviations;
pub use low_rank::{LinearMap, LowRankFit, fit};
pub use magnitudes::magnitudes;
pub use predictor::{LayerPredictor, Rank, predictor};
pub use record::{LayerActivity, Recording, record};
pub use rewrite::{Rewrite, RewriteError, rewrite};
