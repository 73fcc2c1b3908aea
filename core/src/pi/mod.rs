//! π, honestly: what an irrational constant gives a low-bit engine, each with a figure.
//!
//! | file | what it holds |
//! |---|---|
//! | `calibration` | the lanes' scales as arcs of a circle |
//! | `weyl` | the sequences `frac(π·n)` and `frac(π·n²)`, exact in integers |
//! | `dither` | dither and stochastic rounding by these sequences |
//! | `drift` | faults between a signal and its quantised values |
//! | `context` | calibration and drift of one lane |
//! | `phase` | angles as codes of a lane |
//! | `hypersphere` | hyperspherical coordinates and back |
//! | `angular` | angles between vectors, directions as codes |
//! | `digits` | hexadecimal digits of π at any position |
//! | `chaos` | numbers, permutations and schedules keyed by those digits |
//!
//! `docs/pi.md` has every figure, the command that prints it, and what plain methods do as well.

mod angular;
mod calibration;
mod chaos;
mod context;
mod digits;
mod dither;
mod drift;
mod error;
mod hypersphere;
mod phase;
mod weyl;

pub use angular::AngularEmbedding;
pub use calibration::{PI_SCALE_3BIT, PI_SCALE_5BIT, PI_SCALE_7BIT, PiCalibration};
pub use chaos::{PiChaos, PiScheduler};
pub use context::PiContext;
pub use digits::{LAST_POSITION, hex_digits};
pub use dither::{DeterministicJitter, Dither, DitherMode, StochasticRounding};
pub use drift::{
    DriftConfig, DriftDetector, DriftFault, DriftReport, QuantizationHonesty, drift_transform,
};
pub use error::PiError;
pub use hypersphere::HypersphericalProjection;
pub use phase::PhaseEncoder;
pub use weyl::{Weyl, WeylSequence};
