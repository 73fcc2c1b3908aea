//! Arguments that several commands share, and reading their values.

use crate::error::Error;
use clap::Args;
use trilane::core::kernel::{Isa, Level};
use trilane::core::lane::{GraduationConfig, Lanes, PrecisionLane};
use trilane::std::level;

/// How to compute.
#[derive(Args, Debug)]
pub(crate) struct ComputeArgs {
    /// Threads to compute with [default: one for each core]. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Instruction set: scalar, avx2, avx512vnni, avx512, neon or neondot [default: the best of this
    /// machine].
    /// Results do not depend on it
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    pub(crate) level: Option<Level>,
}

/// The lane to read at.
#[derive(Args, Debug)]
pub(crate) struct LaneArg {
    /// Lane to read weights at: float, bit7, bit5, bit3 or ternary [default: the highest stored];
    /// auto: for each layer and token the one that a policy chooses
    #[arg(long, value_name = "LANE", value_parser = parse_lanes)]
    pub(crate) lane: Option<Lanes<'static>>,
    /// With --lane auto: how far from the lowest lane to the highest the mean bytes of a token may
    /// go, 0 to 1 [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    budget: Option<f32>,
}

impl LaneArg {
    /// How lanes are chosen.
    pub(crate) fn graduation(&self) -> Result<GraduationConfig, Error> {
        let mut config = GraduationConfig::default();
        match (self.budget, self.lane) {
            (None, _) => {}
            (Some(share), Some(Lanes::Auto)) => config.escalation_budget = share,
            (Some(_), _) => return Err(Error::Usage("--budget goes with --lane auto".into())),
        }
        config.validate().map_err(|e| Error::Usage(e.to_string()))?;
        Ok(config)
    }
}

/// Reads the name of an instruction set that this machine has.
pub(crate) fn parse_level(name: &str) -> Result<Level, String> {
    let has: Vec<String> = level::levels().map(|level| level.to_string()).collect();
    Isa::from_name(name)
        .and_then(level::level)
        .ok_or_else(|| format!("this machine has {}", has.join(", ")))
}

/// Reads the name of a lane, or `auto`.
fn parse_lanes(name: &str) -> Result<Lanes<'static>, String> {
    if name == Lanes::Auto.name() { Ok(Lanes::Auto) } else { parse_lane(name).map(Lanes::All) }
}

/// Reads the name of a lane.
pub(crate) fn parse_lane(name: &str) -> Result<PrecisionLane, String> {
    PrecisionLane::from_name(name)
        .ok_or_else(|| format!("expected one of {}", lane_names(&PrecisionLane::ALL)))
}

/// Reads the name of a lane that is stored in digit planes.
pub(crate) fn parse_stored_lane(name: &str) -> Result<PrecisionLane, String> {
    match parse_lane(name) {
        Ok(PrecisionLane::Float32) | Err(_) => {
            Err("expected one of ternary, bit3, bit5, bit7".into())
        }
        lane => lane,
    }
}

/// Reads `PATTERN=LANE`.
pub(crate) fn parse_keep(text: &str) -> Result<(String, PrecisionLane), String> {
    let (pattern, lane) =
        text.rsplit_once('=').ok_or("expected PATTERN=LANE, such as token_embd*=bit7")?;
    Ok((pattern.into(), parse_lane(lane)?))
}

/// Names of lanes, highest last, with commas.
pub(crate) fn lane_names(lanes: &[PrecisionLane]) -> String {
    lanes.iter().map(|lane| lane.name()).collect::<Vec<_>>().join(", ")
}
