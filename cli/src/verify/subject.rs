//! What can be verified: decoders at each of their lanes, and perceptrons.

use super::{LaneDigest, digest};
use crate::args::lane_names;
use crate::error::Error;
use crate::load::{Compute, choose_lane, lanes};
use std::path::Path;
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Digest, Line, Mlp, Weights};

/// What has a digest at each lane.
pub(super) trait Subject {
    /// The lanes to verify: the one asked for, or all.
    fn lanes(&self, path: &Path, asked: Option<PrecisionLane>)
    -> Result<Vec<PrecisionLane>, Error>;

    /// The fixed run of one lane.
    fn digest(
        &self,
        path: &Path,
        compute: &Compute,
        lane: PrecisionLane,
    ) -> Result<LaneDigest, Error>;
}

impl Subject for Weights<'_, '_> {
    fn lanes(
        &self,
        path: &Path,
        asked: Option<PrecisionLane>,
    ) -> Result<Vec<PrecisionLane>, Error> {
        match asked {
            Some(lane) => Ok(vec![choose_lane(path, self, Some(lane))?]),
            None => Ok(lanes(self)),
        }
    }

    fn digest(
        &self,
        path: &Path,
        compute: &Compute,
        lane: PrecisionLane,
    ) -> Result<LaneDigest, Error> {
        digest(path, *self, compute, lane)
    }
}

/// A perceptron, whose matrices are read at the highest lane that they have.
pub(super) struct Perceptron<'m>(pub(super) Mlp<'m>);

impl Subject for Perceptron<'_> {
    fn lanes(
        &self,
        path: &Path,
        asked: Option<PrecisionLane>,
    ) -> Result<Vec<PrecisionLane>, Error> {
        let has: Vec<_> = self.0.matrices().map(|(_, w)| w.lane()).max().into_iter().collect();
        match asked {
            Some(lane) if !has.contains(&lane) => Err(Error::Usage(format!(
                "{}: a perceptron is read at the highest lane stored, {}",
                path.display(),
                lane_names(&has)
            ))),
            _ => Ok(has),
        }
    }

    fn digest(
        &self,
        path: &Path,
        compute: &Compute,
        lane: PrecisionLane,
    ) -> Result<LaneDigest, Error> {
        let header = self.0.header();
        let mut layers = vec![Digest::default(); header.layers];
        let mut arena = vec![Line::ZERO; header.arena_lines()];
        let all = self
            .0
            .verify(compute.level, &mut layers, &mut arena)
            .map_err(|e| Error::file(path, e))?;
        Ok(LaneDigest { lane, layers, all })
    }
}
