//! The codecs compared.

use crate::Result;
use clap::ValueEnum;
use std::fmt;
use trilane_core::train::compress::{
    Codec, Dense, LinearSketch, LowRank, Reading, RoundRobin, SketchShape, Ternary, TopK, TwoPhase,
};
use trilane_std::compress::{ModelCodec, TensorCodec};

/// A codec and how it is set up for a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Nothing compressed.
    None,
    /// Bind and bundle, all tensors end to end.
    Sketch,
    /// Half a sketch of one row, half exact values.
    TwoPhase,
    /// A fifth of the words a sketch of one row.
    TwoPhaseFifth,
    /// Half a sketch of three rows.
    TwoPhaseRows,
    /// Factors of each matrix that has room for them, the rest dense or in turn.
    LowRank,
    /// Factors of all tensors end to end, folded into a square.
    Folded,
    /// All values in turn.
    RoundRobin,
    /// The largest values and their positions.
    TopK,
    /// Trits, 18.8 times smaller at any ratio.
    Ternary,
}

impl Method {
    /// All but the first.
    pub(crate) const COMPRESSED: [Self; 9] = [
        Self::Sketch,
        Self::TwoPhase,
        Self::TwoPhaseFifth,
        Self::TwoPhaseRows,
        Self::LowRank,
        Self::Folded,
        Self::RoundRobin,
        Self::TopK,
        Self::Ternary,
    ];

    /// The codec for a model.
    pub(crate) fn codec(self, shapes: &[Vec<usize>], ratio: f32, seed: u64) -> Result<TensorCodec> {
        let n: usize = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        let two_phase = |share, rows| -> Result<TensorCodec> {
            let shape = SketchShape::with_ratio(n, ratio, share)?;
            let shape = SketchShape { rows, width: shape.width / rows, ..shape };
            Ok(Box::new(TwoPhase::new(n, shape, seed, vec![0; shape.candidates])?))
        };
        Ok(match self {
            Self::None => Box::new(Dense::new(n)?),
            Self::Sketch => {
                Box::new(LinearSketch::with_ratio(n, ratio, seed, Reading::Projection)?)
            }
            Self::TwoPhase => two_phase(0.5, 1)?,
            Self::TwoPhaseFifth => two_phase(0.2, 1)?,
            Self::TwoPhaseRows => two_phase(0.5, 3)?,
            Self::LowRank => Box::new(ModelCodec::low_rank(shapes, ratio, seed)?),
            Self::Folded => Box::new(folded(n, ratio, seed)?),
            Self::RoundRobin => Box::new(RoundRobin::new(n, (1.0 / ratio).ceil() as usize)?),
            Self::TopK => Box::new(TopK::with_ratio(n, ratio)?),
            Self::Ternary => Box::new(Ternary::new(n)?),
        })
    }
}

/// The squarest fold; the rank that the ratio has room for.
fn folded(n: usize, ratio: f32, seed: u64) -> Result<impl Codec + Send + Sync + 'static> {
    let cols = (n as f64).sqrt().ceil() as usize;
    let rows = n.div_ceil(cols);
    let rank = ((f64::from(ratio) * n as f64) as usize / (rows + cols)).max(1);
    Ok(LowRank::folded(n, cols, rank, seed, vec![0.0; (rows + cols) * rank])?)
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
