//! aarch64 Advanced SIMD with the dot product instructions (`sdot`).

use super::block::Run;
pub(super) use super::neon::combine;
use super::neon::unit_dots;
use super::scalar::{self, finish_codes as finish};
use crate::digits::LaneView;
use crate::quant::Activations;

super::block::lane_matvec!("neon,dotprod", rows 1 1 1 1);

/// Σ group scale · multiplier · Σ code · q for each row.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn dots<const LANE: u8, const GROUP: u8, const ROWS: usize>(
    run: Run<ROWS>,
    x: &Activations<'_>,
) -> [i64; ROWS] {
    unit_dots::<LANE, GROUP, ROWS, true>(run, x)
}
