//! Which lanes there are to choose from.

use super::{GraduationError, PrecisionLane};

/// A kind of machine, by the lanes that its kernels compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardwareTarget {
    /// Microcontrollers, whose build leaves the lower tiers out.
    Firmware,
    /// WebAssembly, with and without SIMD.
    Wasm,
    /// x86-64 and aarch64, every instruction set.
    Cpu,
    /// CUDA.
    Gpu,
}

impl HardwareTarget {
    /// The lanes computed, lowest first: ternary and Bit3 in firmware, all everywhere else.
    pub const fn lanes(self) -> &'static [PrecisionLane] {
        match self {
            Self::Firmware => &[PrecisionLane::Ternary, PrecisionLane::Bit3],
            Self::Wasm | Self::Cpu | Self::Gpu => &PrecisionLane::ALL,
        }
    }

    /// Whether products at that lane are computed.
    pub fn computes(self, lane: PrecisionLane) -> bool {
        self.lanes().contains(&lane)
    }
}

/// The nested lanes that a layer may be read at, and the one to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneConfig {
    initial: PrecisionLane,
    lowest: PrecisionLane,
    highest: PrecisionLane,
}

impl Default for LaneConfig {
    /// Every nested lane, from the lowest on.
    fn default() -> Self {
        Self::of(HardwareTarget::Cpu)
    }
}

impl LaneConfig {
    /// A range of nested lanes.
    ///
    /// # Errors
    /// [`GraduationError::Lane`] for a lane that is not nested, or an initial one out of range.
    pub fn new(
        initial: PrecisionLane,
        lowest: PrecisionLane,
        highest: PrecisionLane,
    ) -> Result<Self, GraduationError> {
        let range = (lowest, highest);
        for found in [lowest, highest, initial] {
            if found.tiers().is_none() || !(lowest..=highest).contains(&found) {
                return Err(GraduationError::Lane { found, range });
            }
        }
        Ok(Self { initial, lowest, highest })
    }

    /// Every nested lane that a target computes, from the lowest on.
    pub fn of(target: HardwareTarget) -> Self {
        let nested = |lane: &&PrecisionLane| lane.tiers().is_some();
        let highest = target.lanes().iter().rfind(nested);
        let lowest = PrecisionLane::Bit3;
        Self { initial: lowest, lowest, highest: highest.copied().unwrap_or(lowest) }
    }

    /// The lane to begin with.
    pub fn initial(&self) -> PrecisionLane {
        self.initial
    }

    /// The next lane up, if there is one in the range.
    pub fn above(&self, lane: PrecisionLane) -> Option<PrecisionLane> {
        let above = |&l: &PrecisionLane| l > lane && l <= self.highest;
        PrecisionLane::NESTED.into_iter().find(above)
    }

    /// The next lane down, if there is one in the range.
    pub fn below(&self, lane: PrecisionLane) -> Option<PrecisionLane> {
        let below = |&l: &PrecisionLane| l < lane && l >= self.lowest;
        PrecisionLane::NESTED.into_iter().rev().find(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PrecisionLane::{Bit3, Bit5, Bit7, Float32, Ternary};

    #[test]
    fn lanes_step_within_their_range() {
        let all = LaneConfig::of(HardwareTarget::Cpu);
        assert_eq!(
            (all.above(Bit3), all.above(Bit5), all.above(Bit7)),
            (Some(Bit5), Some(Bit7), None)
        );
        assert_eq!(
            (all.below(Bit3), all.below(Bit5), all.below(Bit7)),
            (None, Some(Bit3), Some(Bit5))
        );
        let firmware = LaneConfig::of(HardwareTarget::Firmware);
        assert_eq!(
            (firmware.initial(), firmware.above(Bit3), firmware.below(Bit3)),
            (Bit3, None, None)
        );
        let upper = LaneConfig::new(Bit5, Bit5, Bit7).unwrap();
        assert_eq!((upper.below(Bit5), upper.below(Bit7)), (None, Some(Bit5)));
    }

    #[test]
    fn ranges_are_of_nested_lanes_in_order() {
        for (initial, lowest, highest, found) in [
            (Bit3, Bit5, Bit7, Bit3),
            (Bit5, Bit7, Bit3, Bit7),
            (Ternary, Ternary, Bit7, Ternary),
            (Bit3, Bit3, Float32, Float32),
        ] {
            let error = GraduationError::Lane { found, range: (lowest, highest) };
            assert_eq!(LaneConfig::new(initial, lowest, highest), Err(error));
        }
    }

    #[test]
    fn firmware_leaves_the_lower_tiers_out() {
        assert!(
            HardwareTarget::Firmware.computes(Bit3) && !HardwareTarget::Firmware.computes(Bit5)
        );
        assert!(PrecisionLane::ALL.iter().all(|&lane| HardwareTarget::Wasm.computes(lane)));
    }
}
