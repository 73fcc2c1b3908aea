//! π, honestly: what an irrational constant gives a low-bit engine, each with a figure.
//!
//! | file | what it holds |
//! |---|---|
//! | `calibration` | the lanes' scales as arcs of a circle |
//! | `weyl` | the sequences `frac(π·n)` and `frac(π·n²)`, exact in integers |
//! | `dither` | dither and stochastic rounding by these sequences |
//! | `digits` | hexadecimal digits of π at any position |
//! | `chaos` | numbers, permutations and schedules keyed by those digits |
//!
//! `docs/pi.md` has every figure, the command that prints it, and what plain methods do as well.

mod calibration;
mod chaos;
mod digits;
mod dither;
mod error;
mod weyl;

pub use calibration::{PI_SCALE_3BIT, PI_SCALE_5BIT, PI_SCALE_7BIT, PiCalibration};
pub use chaos::{PiChaos, PiScheduler};
pub use digits::{LAST_POSITION, hex_digits};
pub use dither::{DeterministicJitter, Dither, DitherMode, StochasticRounding};
pub use error::PiError;
pub use weyl::{Weyl, WeylSequence};
