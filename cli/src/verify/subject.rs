//! What can be verified: decoders and encoders at each of their lanes, and perceptrons.

use super::{LaneDigest, digest};
use crate::args::lane_names;
use crate::error::Error;
use crate::load::{Compute, choose_lanes, lanes};
use std::path::Path;
use trilane::core::lane::{GraduationConfig, Lanes, PrecisionLane};
use trilane::core::model::{
    Digest, Encoder, EncoderWeights, Line, Mlp, ModelError, VERIFY_TOKENS, Weights, verify_encoder,
};
use trilane::std::memory;

/// What has a digest at each lane.
pub(super) trait Subject {
    /// The lanes to verify: the one asked for, or all.
    fn lanes(
        &self,
        path: &Path,
        asked: Option<Lanes<'static>>,
    ) -> Result<Vec<Lanes<'static>>, Error>;

    /// The fixed run of one lane.
    fn digest(
        &self,
        path: &Path,
        compute: &Compute,
        lanes: Lanes<'static>,
    ) -> Result<LaneDigest, Error>;
}

/// A decoder, and how its policy is configured.
pub(super) struct Decoded<'a, 'm> {
    pub(super) weights: Weights<'a, 'm>,
    pub(super) graduation: GraduationConfig,
}

impl Subject for Decoded<'_, '_> {
    fn lanes(
        &self,
        path: &Path,
        asked: Option<Lanes<'static>>,
    ) -> Result<Vec<Lanes<'static>>, Error> {
        match asked {
            Some(_) => Ok(vec![choose_lanes(path, &self.weights, asked)?]),
            None => Ok(lanes(&self.weights).into_iter().map(Lanes::All).collect()),
        }
    }

    fn digest(
        &self,
        path: &Path,
        compute: &Compute,
        lanes: Lanes<'static>,
    ) -> Result<LaneDigest, Error> {
        digest(path, self.weights, compute, lanes, self.graduation)
    }
}

impl Subject for EncoderWeights<'_, '_> {
    fn lanes(
        &self,
        path: &Path,
        asked: Option<Lanes<'static>>,
    ) -> Result<Vec<Lanes<'static>>, Error> {
        let all = PrecisionLane::ALL.into_iter();
        let has: Vec<_> = all.filter(|&lane| self.check_lane(lane).is_ok()).collect();
        match asked {
            Some(Lanes::All(lane)) if has.contains(&lane) => Ok(vec![lane.into()]),
            Some(asked) => Err(Error::Usage(format!(
                "{}: an encoder is read at one of the lanes stored, {}, not at {}",
                path.display(),
                lane_names(&has),
                asked.name()
            ))),
            None => Ok(has.into_iter().map(Lanes::All).collect()),
        }
    }

    fn digest(
        &self,
        path: &Path,
        compute: &Compute,
        lanes: Lanes<'static>,
    ) -> Result<LaneDigest, Error> {
        let run = || {
            let lane = lanes.of(0).ok_or(ModelError::NoPolicy)?;
            let mut layers = vec![Digest::default(); self.header().layers + 1];
            let mut arena = memory::encoder_arena(self.header(), VERIFY_TOKENS)?;
            let mut encoder = Encoder::new(*self, compute.level, VERIFY_TOKENS, &mut arena)?;
            let all = verify_encoder(&mut encoder, &compute.threads, lane, &mut layers)?;
            Ok(LaneDigest { lanes, layers, all })
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
        asked: Option<Lanes<'static>>,
    ) -> Result<Vec<Lanes<'static>>, Error> {
        let has: Vec<_> = self.0.matrices().map(|(_, w)| w.lane()).max().into_iter().collect();
        match asked {
            Some(asked) if !has.iter().any(|&lane| asked == Lanes::All(lane)) => {
                Err(Error::Usage(format!(
                    "{}: a perceptron is read at the highest lane stored, {}",
                    path.display(),
                    lane_names(&has)
                )))
            }
            _ => Ok(has.into_iter().map(Lanes::All).collect()),
        }
    }

    fn digest(
        &self,
        path: &Path,
        compute: &Compute,
        lanes: Lanes<'static>,
    ) -> Result<LaneDigest, Error> {
        let header = self.0.header();
        let mut layers = vec![Digest::default(); header.layers];
        let mut arena = vec![Line::ZERO; header.arena_lines()];
        let all = self
            .0
            .verify(compute.level, &mut layers, &mut arena)
            .map_err(|e| Error::file(path, e))?;
        Ok(LaneDigest { lanes, layers, all })
    }
}
