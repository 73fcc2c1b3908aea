//! Precision lanes: how many digits of a weight are read.
//!
//! A nested tensor holds three lanes at once. The ranges −4..3, −16..15 and −64..63 are exact
//! truncations of each other, `w5 = w7 >> 2` and `w3 = w7 >> 4`, so a lower lane is the higher one
//! with fewer bytes read.

use core::fmt;

mod assignment;
mod graduation;
mod nested;
mod packed;
mod target;
mod telemetry;

pub use assignment::Lanes;
pub use graduation::{
    GraduationConfig, GraduationDecision, GraduationError, GraduationMetrics, GraduationPolicy,
};
pub use nested::{dequantize_row, fake_quantize_row, quantize_nested_row};
pub use packed::{
    LaneQuantizer, QuantizedBlock, Quantizer, Quantizer3Bit, Quantizer5Bit, Quantizer7Bit,
};
pub use target::{HardwareTarget, LaneConfig};
pub use telemetry::{LaneTelemetry, LayerTelemetry};

/// How precisely the weights of a layer are read. Ordered from the fewest bits to the most.
///
/// | lane | codes | a weight of code `c` is |
/// |---|---|---|
/// | `Ternary` | 0..=2 | `scale · (c − 1)` |
/// | `Bit3` | 0..=7 | `scale · (32·c − 113)` |
/// | `Bit5` | 0..=31 | `scale · (8·c − 125)` |
/// | `Bit7` | 0..=127 | `scale · (2·c − 128)` |
/// | `Float32` | – | the stored float |
///
/// The nested lanes count in half steps of Bit7: a truncated digit stands for the middle of the
/// interval of codes that it covers (`16·w3 + 7.5`, `4·w5 + 1.5`, `w7`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrecisionLane {
    /// One 2-bit digit: −1, 0 or +1.
    Ternary,
    /// The first tier of a nested tensor: a sign bit and one 2-bit digit.
    Bit3,
    /// Two tiers of a nested tensor.
    Bit5,
    /// All three tiers of a nested tensor.
    Bit7,
    /// Floating point, or an imported block type expanded to it.
    Float32,
}

impl PrecisionLane {
    /// The three nested lanes, lowest first; the position is the index of their row scales.
    pub const NESTED: [Self; 3] = [Self::Bit3, Self::Bit5, Self::Bit7];

    /// Every lane, lowest first.
    pub const ALL: [Self; 5] = [Self::Ternary, Self::Bit3, Self::Bit5, Self::Bit7, Self::Float32];

    /// The name used on command lines and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ternary => "ternary",
            Self::Bit3 => "bit3",
            Self::Bit5 => "bit5",
            Self::Bit7 => "bit7",
            Self::Float32 => "float",
        }
    }

    /// The lane of that [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }

    /// Bits of code that the lane reads for a weight, scales not counted (32 for floats).
    pub const fn code_bits(self) -> u32 {
        match self {
            Self::Ternary => 2,
            Self::Bit3 => 3,
            Self::Bit5 => 5,
            Self::Bit7 => 7,
            Self::Float32 => 32,
        }
    }

    /// What one step of a code is worth, see the table above (2 for floats).
    pub(crate) const fn step(self) -> i32 {
        match self {
            Self::Ternary => 1,
            Self::Bit3 => 32,
            Self::Bit5 => 8,
            Self::Bit7 | Self::Float32 => 2,
        }
    }

    /// What is taken off the steps of a code, see the table above (128 for floats).
    pub(crate) const fn zero(self) -> i32 {
        match self {
            Self::Ternary => 1,
            Self::Bit3 => 113,
            Self::Bit5 => 125,
            Self::Bit7 | Self::Float32 => 128,
        }
    }

    /// Tiers that the lane reads of a nested tensor, or `None` when it is not a nested lane.
    pub const fn tiers(self) -> Option<usize> {
        match self {
            Self::Bit3 => Some(1),
            Self::Bit5 => Some(2),
            Self::Bit7 => Some(3),
            Self::Ternary | Self::Float32 => None,
        }
    }
}

impl fmt::Display for PrecisionLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
