//! Which layer is read at which lane.

use super::PrecisionLane;

/// The lanes that one token is computed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes<'l> {
    /// Everything at one lane.
    All(PrecisionLane),
    /// One lane for each layer and, at the end, that of the embedding table and the output matrix.
    Each(&'l [PrecisionLane]),
}

impl Lanes<'_> {
    /// The lane of a layer; the number of layers stands for the embedding table and the output.
    /// `None` where a slice does not go so far.
    pub fn of(&self, layer: usize) -> Option<PrecisionLane> {
        match self {
            Self::All(lane) => Some(*lane),
            Self::Each(lanes) => lanes.get(layer).copied(),
        }
    }
}

impl From<PrecisionLane> for Lanes<'_> {
    fn from(lane: PrecisionLane) -> Self {
        Self::All(lane)
    }
}

impl<'l> From<&'l [PrecisionLane]> for Lanes<'l> {
    fn from(lanes: &'l [PrecisionLane]) -> Self {
        Self::Each(lanes)
    }
}
