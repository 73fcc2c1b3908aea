//! What a run tells of its steps and evaluations.

use serde::{Deserialize, Serialize};
use trilane_core::lane::PrecisionLane;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps done.
    pub step: usize,
    /// The mean loss of its windows, in nats per token; `None` where its gradient was predicted.
    pub loss: Option<f32>,
    /// The norm of the gradient before clipping.
    pub norm: f64,
    /// The learning rate.
    pub rate: f64,
}

/// The validation loss at one lane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneLoss {
    /// The lane, by its name.
    #[serde(with = "lane_name")]
    pub lane: PrecisionLane,
    /// Nats per token.
    pub loss: f64,
    /// Share of the gates above zero.
    pub active: f64,
}

/// An evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Steps done.
    pub step: usize,
    /// The mean loss of the steps since the last one.
    pub training: f64,
    /// The validation loss at every lane that is trained for.
    pub validation: Vec<LaneLoss>,
    /// What the run has spent until then.
    pub passes: Passes,
}

/// What a run has spent, in windows but for the steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passes {
    /// Forward passes to select by.
    pub forward: u64,
    /// Backward passes, each with its forward pass.
    pub backward: u64,
    /// Windows judged and left out.
    pub skipped: u64,
    /// Steps whose gradient was predicted.
    pub predicted_steps: u64,
}

impl Record {
    /// The mean over the quantised lanes, or the loss of the floats where there are none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let quantised = self.validation.iter().filter(|l| l.lane != PrecisionLane::Float32);
        let count = quantised.clone().count();
        match count {
            0 => self.validation.first().map_or(f64::INFINITY, |l| l.loss),
            _ => quantised.map(|l| l.loss).sum::<f64>() / count as f64,
        }
    }
}

/// A lane by its name.
mod lane_name {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use trilane_core::lane::PrecisionLane;

    pub(super) fn serialize<S: Serializer>(
        lane: &PrecisionLane,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_str(lane.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<PrecisionLane, D::Error> {
        let name = String::deserialize(from)?;
        let unknown = || de::Error::custom(format!("{name} is no lane"));
        PrecisionLane::from_name(&name).ok_or_else(unknown)
    }
}
