//! aarch64 Advanced SIMD with the dot product instructions (`sdot`).

use super::block::Walk;
use super::neon::row_dot;
use super::scalar;
use crate::digits::{Group, LaneView};
use crate::lane::PrecisionLane;
use crate::quant::Activations;

super::block::lane_matvec!("neon,dotprod");

/// Integer dot products of one row: with the codes, and with 1 in their place.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn dot<const LANE: u8, const GROUP: u8>(
    walk: &Walk<'_>,
    r: usize,
    x: &Activations<'_>,
) -> (i64, i64) {
    row_dot::<LANE, GROUP, true>(walk, r, x)
}
