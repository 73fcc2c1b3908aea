//! Digit planes: a weight is a stack of digits.
//!
//! A matrix is stored by planes. A *digit plane* holds one 2-bit digit of every weight, the *high
//! plane* one bit. Ternary weights are one digit plane (code = w + 1). Nested weights (code =
//! w7 + 64, seven bits `c6 … c0`) are the high plane `c6` and digit planes `c5c4`, `c3c2`, `c1c0`;
//! read in tiers of 3, 2 and 2 bits they give the lanes Bit3, Bit5 and Bit7.
//!
//! ```text
//! unit  = 64 consecutive weights of a row      i = 64·u + 16·p + j    p = 0..3, j = 0..15
//! block = up to 4 consecutive units            256 weights; the last block of a row has n ≤ 4
//!
//! digit plane, 16 bytes a unit: byte j holds four weights, 16 apart
//!
//!              bit 7 6   5 4   3 2   1 0
//!   rotation 0   p=3   p=2   p=1   p=0     ternary digit, third nested digit c1c0
//!   rotation 1   p=2   p=1   p=0   p=3     second nested digit c3c2
//!   rotation 2   p=1   p=0   p=3   p=2     first nested digit c5c4
//!
//! high plane, 8 bytes a unit: a block of n units is four masks of 16·n bits, one for each p
//!
//!   bit 16·s + j of mask p  =  c6 of weight (unit s, position p, byte j)
//! ```
//!
//! The rotations put the three digits of one weight side by side: for p = 0 the byte
//! `d0 & 0x30 | d1 & 0x0C | d2 & 0x03` *is* the low six bits of the code, for p = 1 (masks
//! `C0 30 0C`) it is four times those, for p = 2 and 3 the same again with the nibbles swapped.
//! A mask of the high plane is what a masked vector instruction takes.
//!
//! Rows are padded to whole units with the code of zero (1, or 64). Activations are kept in the
//! matching order, see [`Activations`](crate::quant::Activations).

mod matrix;
mod pack;

pub use matrix::{DigitMatrix, DigitPlanes, LaneView, MatrixError, Part, Row};
pub(crate) use pack::{NESTED_ROTATION, TERNARY_ROTATION, digit_shift};
pub use pack::{PackError, pack_nested_row, pack_ternary_row, unpack_row};

/// Weights in a unit.
pub const UNIT: usize = 64;
/// Units in a full block.
pub const BLOCK_UNITS: usize = 4;
/// Weights in a full block.
pub const BLOCK: usize = UNIT * BLOCK_UNITS;
/// Bytes of a unit in a digit plane.
pub const UNIT_DIGIT_BYTES: usize = 16;
/// Bytes of a unit in the high plane.
pub const UNIT_HIGH_BYTES: usize = 8;

/// Most columns of a matrix: the exact sums of longer rows might not fit an i64.
pub const MAX_COLS: usize = 1 << 24;
// The largest sum is 2·dot − 128·offset, of codes and integers up to 127, group scales up to 255 and
// multipliers up to 2^15.
const _: () = assert!((MAX_COLS as u128 * 255 * (2 * 127 + 128) * 127) << 15 < 1 << 63);

/// Units that a row of `cols` weights takes.
pub const fn units(cols: usize) -> usize {
    cols.div_ceil(UNIT)
}

/// Blocks that a row of `cols` weights takes, the last one perhaps not full.
pub const fn blocks(cols: usize) -> usize {
    cols.div_ceil(BLOCK)
}

/// How many consecutive weights of a row share one u8 scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// No group scales: the row scale alone.
    Row,
    /// 32 weights: positions p ∈ {0, 1} or {2, 3} of a unit.
    G32,
    /// 64 weights: a unit.
    G64,
}

impl Group {
    /// Scale bytes for one unit.
    pub const fn scales_per_unit(self) -> usize {
        match self {
            Self::Row => 0,
            Self::G32 => 2,
            Self::G64 => 1,
        }
    }

    /// Weights that share a scale, or `None` for the whole row.
    pub const fn weights(self) -> Option<usize> {
        match self {
            Self::Row => None,
            Self::G32 => Some(32),
            Self::G64 => Some(64),
        }
    }

    /// The group of that many weights (0 stands for the whole row).
    pub const fn from_weights(weights: usize) -> Option<Self> {
        match weights {
            0 => Some(Self::Row),
            32 => Some(Self::G32),
            64 => Some(Self::G64),
            _ => None,
        }
    }
}
