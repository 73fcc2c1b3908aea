//! What can be verified: decoders and encoders at each of their lanes, and perceptrons.

use super::{LaneDigest, digest};
use crate::args::lane_names;
use crate::error::Error;
use crate::load::{Compute, choose_lane, lanes};
use std::path::Path;
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{
    Digest, Encoder, EncoderWeights, Line, Mlp, ModelError, VERIFY_TOKENS, Weights, verify_encoder,
};
use trilane::std::memory;

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

impl Subject for EncoderWeights<'_, '_> {
    fn lanes(
        &self,
        path: &Path,
        asked: Option<PrecisionLane>,
    ) -> Result<Vec<PrecisionLane>, Error> {
        let all = PrecisionLane::ALL.into_iter();
        let has: Vec<_> = all.filter(|&lane| self.check_lane(lane).is_ok()).collect();
        match asked {
            Some(lane) if has.contains(&lane) => Ok(vec![lane]),
            Some(lane) => Err(Error::Usage(format!(
                "{}: lane {lane} is not stored; the file has {}",
                path.display(),
                lane_names(&has)
            ))),
            None => Ok(has),
        }
    }

    fn digest(
        &self,
        path: &Path,
        compute: &Compute,
        lane: PrecisionLane,
    ) -> Result<LaneDigest, Error> {
        let run = || {
            let mut layers = vec![Digest::default(); self.header().layers + 1];
            let mut arena = memory::encoder_arena(self.header(), VERIFY_TOKENS)?;
            let mut encoder = Encoder::new(*self, compute.level, VERIFY_TOKENS, &mut arena)?;
            let all = verify_encoder(&mut encoder, &compute.threads, lane, &mut layers)?;
            Ok(LaneDigest { lane, layers, all })
        };
        run().map_err(|e: ModelError| Error::file(path, e))
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
