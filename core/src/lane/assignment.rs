//! Which layer is read at which lane.

use super::PrecisionLane;

/// The lanes that one token is computed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes<'l> {
    /// Everything at one lane.
    All(PrecisionLane),
    /// One lane for each layer and, at the end, that of the embedding table and the output matrix.
    Each(&'l [PrecisionLane]),
    /// As the decoder's policy decides (see [`AutoLanes`](crate::model::AutoLanes)).
    Auto,
}

impl Lanes<'_> {
    /// The name used on command lines: that of the one lane, `auto`, or `each`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::All(lane) => lane.name(),
            Self::Each(_) => "each",
            Self::Auto => "auto",
        }
    }

    /// The lane of a layer; the number of layers stands for the embedding table and the output.
    /// `None` where a slice does not go so far, and for lanes that are not decided yet.
    pub fn of(&self, layer: usize) -> Option<PrecisionLane> {
        match self {
            Self::All(lane) => Some(*lane),
            Self::Each(lanes) => lanes.get(layer).copied(),
            Self::Auto => None,
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
