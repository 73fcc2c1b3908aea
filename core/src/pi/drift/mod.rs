//! Drift: does a quantised signal still say what the original says?
//!
//! Rounding moves a value by at most half a step. That bound, and not an average, is what a fault
//! breaks first: [`DriftDetector::check`] asks which simple fault, if any, explains the values that
//! are farther off, and keeps a window of the checks in the order of time.

mod detector;
mod fault;
mod transform;
mod trend;

pub use detector::{DriftConfig, DriftDetector, DriftReport, QuantizationHonesty};
pub use fault::DriftFault;
pub use transform::drift_transform;
