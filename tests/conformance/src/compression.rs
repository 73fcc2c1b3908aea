//! Compression and accumulation of gradients: every codec, the accumulator, rounding to bfloat16.

use crate::random::Random;
use trilane_core::error::ArgumentError;
use trilane_core::model::Digest;
use trilane_core::train::bf16::f32_to_bf16;
use trilane_core::train::compress::{
    Codec, Dense, Exchange, LinearSketch, LowRank, Reading, RoundRobin, SketchShape, Ternary, TopK,
    TwoPhase, feed, merge, settle,
};
use trilane_core::train::{TernaryConfig, TernaryGradientAccumulator, accumulator_words};

const ROWS: usize = 18;
const COLS: usize = 20;
const LEN: usize = ROWS * COLS;
const WORKERS: usize = 2;

/// Adds the results of steps to a digest.
pub(crate) fn everything() -> Digest {
    let mut digest = Digest::default();
    if codecs(&mut digest).and_then(|()| accumulation(&mut digest)).is_err() {
        digest.bytes(b"failed");
    }
    digest
}

fn gradient(random: &mut Random) -> [f32; LEN] {
    let mut x = [0.0; LEN];
    random.uneven(&mut x);
    x
}

fn codecs(digest: &mut Digest) -> Result<(), ArgumentError> {
    let shape = |rows| SketchShape { rows, width: 48, candidates: 24 };
    let mut candidates = [0; 24];
    let mut factors = [0.0; 2 * (ROWS + COLS)];
    steps(&mut Dense::new(LEN)?, digest)?;
    steps(&mut LinearSketch::new(LEN, 50, 1, Reading::Unbiased)?, digest)?;
    steps(&mut LinearSketch::new(LEN, 50, 1, Reading::Projection)?, digest)?;
    for rows in [1, 3, 5] {
        steps(&mut TwoPhase::new(LEN, shape(rows), 1, &mut candidates)?, digest)?;
    }
    steps(&mut LowRank::new(ROWS, COLS, 2, 1, &mut factors)?, digest)?;
    let folded = &mut factors[..19 + 19];
    steps(&mut LowRank::folded(LEN, 19, 1, 1, folded)?, digest)?;
    steps(&mut RoundRobin::new(LEN, 7)?, digest)?;
    steps(&mut TopK::new(LEN, 20)?, digest)?;
    steps(&mut Ternary::new(LEN)?, digest)
}

/// Three steps of two workers.
fn steps(codec: &mut dyn Codec, digest: &mut Digest) -> Result<(), ArgumentError> {
    let mut random = Random(31);
    let mut residuals = [[0.0; LEN]; WORKERS];
    let mut messages = [[0; LEN]; WORKERS];
    let mut update = [0.0; LEN];
    for step in 0..3 {
        codec.start(step);
        for residual in &mut residuals {
            feed(&gradient(&mut random), residual)?;
        }
        let mut words = 0;
        for round in 0..codec.rounds() {
            words = codec.message_words(round);
            let mut total = [0; LEN];
            for (residual, message) in residuals.iter().zip(&mut messages) {
                codec.encode(round, residual, &mut message[..words])?;
                digest.bytes(bytemuck::cast_slice(&message[..words]));
                if codec.exchange() == Exchange::AllReduce {
                    merge(&mut total[..words], &message[..words])?;
                }
            }
            codec.absorb(round, &total[..words])?;
        }
        for (residual, message) in residuals.iter_mut().zip(&messages) {
            settle(codec, &message[..words], residual)?;
            codec.add_decoded(&message[..words], 0.5, &mut update)?;
            digest.floats(residual);
        }
        digest.floats(&update);
    }
    Ok(())
}

fn accumulation(digest: &mut Digest) -> Result<(), ArgumentError> {
    let mut random = Random(32);
    let mut words = [0; accumulator_words(LEN)];
    let mut sum = TernaryGradientAccumulator::new(LEN, TernaryConfig::default(), &mut words)?;
    let mut mean = [0.0; LEN];
    for _ in 0..2 {
        for _ in 0..5 {
            sum.accumulate(&gradient(&mut random))?;
        }
        sum.get_accumulated(&mut mean)?;
        sum.reset();
        digest.floats(&mean);
        mean.iter().for_each(|v| digest.bytes(&f32_to_bf16(*v).to_le_bytes()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_fails() {
        assert_eq!(codecs(&mut Digest::default()), Ok(()));
        assert_eq!(accumulation(&mut Digest::default()), Ok(()));
    }
}
