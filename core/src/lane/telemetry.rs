//! What lanes were used, layer by layer.

use super::{Lanes, PrecisionLane};

/// The lanes of one layer so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerTelemetry {
    /// Tokens at each of [`PrecisionLane::NESTED`].
    pub tokens: [u64; 3],
    /// How often a token had another lane than the one before it.
    pub changes: u64,
    last: Option<PrecisionLane>,
}

/// Tokens, bits read and changes of lane, counted in caller's memory. Exact.
#[derive(Debug)]
pub struct LaneTelemetry<'a> {
    layers: &'a mut [LayerTelemetry],
    tokens: u64,
    bits: u64,
}

impl<'a> LaneTelemetry<'a> {
    /// Counts from zero; one entry a layer, and one for the output.
    pub fn new(layers: &'a mut [LayerTelemetry]) -> Self {
        layers.fill(LayerTelemetry::default());
        Self { layers, tokens: 0, bits: 0 }
    }

    /// Counts one token that read so many bits of weights and scales.
    pub fn record(&mut self, lanes: Lanes<'_>, bits: u64) {
        self.tokens += 1;
        self.bits += bits;
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let Some(lane) = lanes.of(i) else { continue };
            let tier = lane.tiers().unwrap_or(1) - 1;
            if let Some(tokens) = layer.tokens.get_mut(tier) {
                *tokens += 1;
            }
            layer.changes += u64::from(layer.last.is_some_and(|last| last != lane));
            layer.last = Some(lane);
        }
    }

    /// Each layer's counts; the output's at the end.
    pub fn layers(&self) -> &[LayerTelemetry] {
        self.layers
    }

    /// Tokens counted.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Bits read by all of them.
    pub fn bits(&self) -> u64 {
        self.bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PrecisionLane::{Bit3, Bit5, Bit7};

    #[test]
    fn tokens_and_changes_are_counted_for_each_layer() {
        let mut layers = [LayerTelemetry { changes: 9, ..Default::default() }; 2];
        let mut telemetry = LaneTelemetry::new(&mut layers);
        for lanes in [[Bit3, Bit7], [Bit5, Bit7], [Bit5, Bit7], [Bit3, Bit5]] {
            telemetry.record(lanes[..].into(), 10);
        }
        assert_eq!((telemetry.tokens(), telemetry.bits()), (4, 40));
        let counts: Vec<_> = telemetry.layers().iter().map(|l| (l.tokens, l.changes)).collect();
        assert_eq!(counts, [([2, 2, 0], 2), ([0, 1, 3], 1)]);
    }

    use std::vec::Vec;
}
