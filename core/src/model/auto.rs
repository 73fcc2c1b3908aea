//! Lanes that follow what the model itself shows: which layer is read how precisely, token by token.

use super::{ModelError, Weights};
use crate::kernel::Backend;
use crate::lane::{
    GraduationConfig, GraduationError, GraduationMetrics, GraduationPolicy, LaneConfig,
    LaneTelemetry, Lanes, LayerTelemetry, PrecisionLane,
};
use crate::math::{exp, reduce};
use core::fmt;

/// Whether policies are compiled in; without them [`Lanes::Auto`] is refused.
pub(super) const COMPILED: bool = cfg!(feature = "auto");

/// Tokens over which running means reach back.
const WINDOW: f32 = 16.0;
/// What is left of the doubt in running means after a token.
const DOUBT: f32 = 0.7;

/// Why lanes cannot be chosen for a model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum AutoError {
    /// The configuration.
    Graduation(GraduationError),
    /// The model, which has to be readable at one nested lane at least; or the memory.
    Model(ModelError),
}

impl fmt::Display for AutoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graduation(e) => e.fmt(f),
            Self::Model(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for AutoError {}

impl From<GraduationError> for AutoError {
    fn from(e: GraduationError) -> Self {
        Self::Graduation(e)
    }
}

impl From<ModelError> for AutoError {
    fn from(e: ModelError) -> Self {
        Self::Model(e)
    }
}

/// What is kept for a layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct AutoLayer {
    policy: GraduationPolicy,
    /// The policy after the token that is being computed.
    pending: GraduationPolicy,
    /// Bytes that a token reads of it at the base lane, and how many more at the upper one.
    bytes: u64,
    extra: u64,
    /// Always at the upper lane.
    anchored: bool,
    /// Mean of the root mean square of the layer's output, and how far the newest is from it.
    level: f32,
    drift: f32,
}

/// Chooses a lane for every layer and token within a budget of bytes. Ordered: the same bits and
/// lanes on every platform.
///
/// The budget `b` says how far from the lowest lane to the highest the mean bytes of a token may
/// go. The *base* is the highest lane that fits for all layers, *upper* the next one. What is left
/// is spent on layers in their order, since the errors of a layer go through all layers after it:
///
/// 1. The first layers, as many as the budget allows for every token, stay at the upper lane.
/// 2. Every other layer has a [`GraduationPolicy`], asked in order while the bytes saved so far
///    last. Novelty is `max(0, 1 − s̄/s)`, with `s = −ln p` the surprise of the token that came and
///    `s̄` its running mean; drift is how far the root mean square of the layer's last output was
///    from its own running mean, relative to it; confidence is `1 − 0.7^n` after `n` tokens.
///
/// The mean bytes of a sequence never exceed the budget. An empty decoder begins a new sequence.
#[derive(Debug)]
pub struct AutoLanes<'a> {
    layers: &'a mut [AutoLayer],
    lanes: &'a mut [PrecisionLane],
    telemetry: LaneTelemetry<'a>,
    base: PrecisionLane,
    upper: PrecisionLane,
    /// Extra bytes over the base that a token may read.
    allowance: u64,
    /// Bytes of a token at the lowest and at the highest lane.
    range: (u64, u64),
    start: GraduationPolicy,
    /// Tokens of the sequence, and the extra bytes that they read.
    seen: u64,
    spent: u64,
    surprise: f32,
}

/// Memory for [`AutoLanes`]: one element of each for every layer, and one for the output.
#[derive(Debug)]
pub struct AutoMemory<'a> {
    /// The layers' states.
    pub layers: &'a mut [AutoLayer],
    /// Their lanes.
    pub lanes: &'a mut [PrecisionLane],
    /// Their counts.
    pub telemetry: &'a mut [LayerTelemetry],
}

impl<'a> AutoLanes<'a> {
    /// Takes the costs of every layer from the weights. Thresholds and budget are those of `config`.
    ///
    /// # Errors
    /// [`AutoError::Graduation`] for a value out of range, [`AutoError::Model`] for a model without
    /// a nested lane that the backend computes, or memory of another length.
    pub fn new(
        weights: &Weights<'_, '_>,
        backend: impl Backend,
        config: GraduationConfig,
        memory: AutoMemory<'a>,
    ) -> Result<Self, AutoError> {
        config.validate()?;
        let AutoMemory { layers, lanes, telemetry } = memory;
        let expected = weights.header().layers + 1;
        for actual in [layers.len(), lanes.len(), telemetry.len()] {
            if actual != expected {
                return Err(ModelError::Memory { what: "layers' lanes", expected, actual }.into());
            }
        }
        let readable = |lane: &PrecisionLane| weights.check_computable(backend, *lane).is_ok();
        let mut nested = PrecisionLane::NESTED.into_iter().filter(readable);
        let Some(lowest) = nested.next() else {
            weights.check_computable(backend, PrecisionLane::Bit3)?;
            return Err(AutoError::Model(ModelError::Architecture));
        };
        let highest = nested.last().unwrap_or(lowest);
        let bytes = |lane| weights.bytes_per_token(lane).map(|bytes| bytes as u64);
        let range = (bytes(lowest)?, bytes(highest)?);
        let span = range.1.saturating_sub(range.0);
        let limit = range.0 + (f64::from(config.escalation_budget) * span as f64) as u64;
        let mut base = lowest;
        for lane in PrecisionLane::NESTED.into_iter().filter(readable) {
            if bytes(lane)? <= limit {
                base = lane;
            }
        }
        let upper = PrecisionLane::NESTED.into_iter().filter(readable).find(|&lane| lane > base);
        let upper = upper.unwrap_or(base);
        let allowance = limit - bytes(base)?;
        let mut left = allowance;
        let start = GraduationPolicy::new(LaneConfig::new(base, base, upper)?, config)?;
        let mut anchors = true;
        for (i, layer) in layers.iter_mut().enumerate() {
            let bytes = weights.layer_bytes(i, base)? as u64;
            let extra = (weights.layer_bytes(i, upper)? as u64).saturating_sub(bytes);
            anchors &= extra <= left;
            left -= if anchors { extra } else { 0 };
            *layer = AutoLayer { bytes, extra, anchored: anchors, ..AutoLayer::default() };
        }
        lanes.fill(base);
        let telemetry = LaneTelemetry::new(telemetry);
        let mut auto = Self {
            layers,
            lanes,
            telemetry,
            base,
            upper,
            allowance,
            range,
            start,
            seen: 0,
            spent: 0,
            surprise: 0.0,
        };
        auto.restart();
        Ok(auto)
    }

    /// Counts of all tokens since the beginning, whatever their sequence.
    pub fn telemetry(&self) -> &LaneTelemetry<'a> {
        &self.telemetry
    }

    /// The lanes of the last token.
    pub fn lanes(&self) -> &[PrecisionLane] {
        self.lanes
    }

    /// Bytes of weights that a token reads at the lowest and at the highest lane.
    pub fn range(&self) -> (u64, u64) {
        self.range
    }

    /// Forgets the sequence.
    pub(super) fn restart(&mut self) {
        (self.seen, self.spent, self.surprise) = (0, 0, 0.0);
        for layer in self.layers.iter_mut() {
            (layer.policy, layer.pending) = (self.start, self.start);
            (layer.level, layer.drift) = (0.0, 0.0);
        }
    }

    /// Chooses the lanes of a token, given the logits before it; returns its surprise.
    pub(super) fn plan(&mut self, token: u32, logits: &[f32]) -> f32 {
        let surprise = if self.seen == 0 { 0.0 } else { surprise(logits, token) };
        let excess = if surprise > self.surprise { 1.0 - self.surprise / surprise } else { 0.0 };
        // Before the second surprise there is no mean to compare with.
        let novelty = if self.seen < 2 { 0.0 } else { excess };
        let mut doubt = 1.0;
        for _ in 0..self.seen.min(64) {
            doubt *= DOUBT;
        }
        let tokens = self.seen + 1;
        let allowed = self.allowance.saturating_mul(tokens);
        let span = self.range.1.saturating_sub(self.range.0).saturating_mul(tokens).max(1);
        // What the base costs over the lowest lane counts as spent.
        let base: u64 = self.layers.iter().map(|layer| layer.bytes).sum();
        let fixed = base.saturating_sub(self.range.0).saturating_mul(tokens);
        let mut spent = self.spent;
        // What the anchored layers will take is not there for others.
        spent += self.layers.iter().filter(|l| l.anchored).map(|l| l.extra).sum::<u64>();
        for (layer, lane) in self.layers.iter_mut().zip(self.lanes.iter_mut()) {
            *lane = self.base;
            if layer.anchored {
                *lane = self.upper;
                continue;
            }
            let usage = (fixed + spent + layer.extra) as f64 / span as f64;
            layer.pending = layer.policy;
            let metrics = GraduationMetrics {
                novelty,
                drift: layer.drift,
                confidence: 1.0 - doubt,
                cost_usage: (usage as f32).min(1.0),
            };
            // Every value is in range: a surprise is finite where the logits are.
            if layer.pending.update_metrics(metrics).is_ok() {
                layer.pending.decide();
            }
            if layer.pending.lane() == self.upper && spent + layer.extra <= allowed {
                *lane = self.upper;
                spent += layer.extra;
            }
        }
        surprise
    }

    /// The lanes planned, and what takes in the outputs of the layers.
    pub(super) fn split(&mut self) -> (&[PrecisionLane], Levels<'_>) {
        (self.lanes, Levels(self.layers))
    }

    /// Counts the token that was planned and computed.
    pub(super) fn commit(&mut self, surprise: f32) {
        let weight = (self.seen.max(1) as f32).min(WINDOW);
        self.surprise += if self.seen == 0 { 0.0 } else { (surprise - self.surprise) / weight };
        self.seen += 1;
        let mut bytes = 0;
        for (layer, lane) in self.layers.iter_mut().zip(self.lanes.iter()) {
            layer.policy = layer.pending;
            let extra = if *lane == self.upper { layer.extra } else { 0 };
            self.spent += extra;
            bytes += layer.bytes + extra;
        }
        self.telemetry.record(Lanes::Each(self.lanes), 8 * bytes);
    }
}

/// The layers' running means.
pub(super) struct Levels<'s>(&'s mut [AutoLayer]);

impl Levels<'_> {
    /// Takes in the output of a layer.
    pub(super) fn observe(&mut self, layer: usize, output: &[f32]) {
        let Some(layer) = self.0.get_mut(layer) else { return };
        let level = libm::sqrtf(reduce::sum_of_squares(output) / output.len().max(1) as f32);
        if !level.is_finite() {
            return;
        }
        if layer.level > 0.0 {
            layer.drift = ((level - layer.level).abs() / layer.level).min(1.0);
            layer.level += (level - layer.level) / WINDOW;
        } else {
            layer.level = level;
        }
    }
}

/// `−ln softmax(logits)[token]`; 0 for a token that there is not. Ordered: a sum in order.
fn surprise(logits: &[f32], token: u32) -> f32 {
    let max = reduce::max(logits);
    let sum = logits.iter().fold(0.0, |sum, logit| sum + exp(logit - max));
    let at = usize::try_from(token).ok().and_then(|token| logits.get(token));
    at.map_or(0.0, |logit| (libm::logf(sum) + max - logit).max(0.0))
}
