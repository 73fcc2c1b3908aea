//! What the codecs for gradients give back, how much they send and keep, and how fast they are.

use clap::{Parser, Subcommand};
use std::time::Instant;
use trilane_core::error::ArgumentError;
use trilane_core::pi::PiChaos;
use trilane_core::train::compress::{
    Codec, Dense, Exchange, LinearSketch, LowRank, Reading, RoundRobin, SketchShape, Ternary, TopK,
    TwoPhase,
};
use trilane_core::train::{TernaryConfig, TernaryGradientAccumulator, accumulator_words};

/// The codecs of gradients, beside one another.
#[derive(Parser, Debug)]
struct Arguments {
    #[command(subcommand)]
    table: Table,
}

#[derive(Subcommand, Debug)]
enum Table {
    /// Cosine and length of what comes back from one message, by kind of gradient and ratio.
    Fidelity {
        /// Rows and columns of the gradient.
        #[arg(long, default_value_t = 256)]
        side: usize,
    },
    /// Nanoseconds a parameter.
    Speed {
        /// Rows and columns of the gradient.
        #[arg(long, default_value_t = 1000)]
        side: usize,
    },
}

/// What a gradient is made of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Gaussian,
    /// A matrix of rank 4 and noise of a tenth of its length.
    LowRank,
    /// Normal numbers to the third power.
    HeavyTailed,
    /// One value of a hundred.
    Sparse,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Gaussian, Self::LowRank, Self::HeavyTailed, Self::Sparse];

    fn gradient(self, side: usize) -> Vec<f32> {
        let normal = |i: usize| -> f32 {
            let chaos = PiChaos::new();
            // Twelve uniform numbers: close to normal, with no function but a sum.
            (0..12).map(|k| chaos.jitter((12 * i + k) as u64)).sum()
        };
        let n = side * side;
        match self {
            Self::Gaussian => (0..n).map(normal).collect(),
            Self::LowRank => {
                let factor = |k: usize, i: usize| normal(n + k * side + i);
                let entry = |i: usize, j: usize| -> f32 {
                    (0..4).map(|k| factor(2 * k, i) * factor(2 * k + 1, j)).sum()
                };
                // The entries' deviation is 2, so noise of 0.2 has a tenth of the length.
                (0..n).map(|i| entry(i / side, i % side) + 0.2 * normal(i)).collect()
            }
            Self::HeavyTailed => (0..n).map(|i| normal(i).powi(3)).collect(),
            Self::Sparse => {
                (0..n).map(|i| if (i * 37) % 100 == 0 { normal(i) } else { 0.0 }).collect()
            }
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A codec and what tables call it.
type Named = (&'static str, Box<dyn Codec>);

fn main() -> Result<()> {
    match Arguments::parse().table {
        Table::Fidelity { side } => fidelity(side),
        Table::Speed { side } => speed(side),
    }
}

/// The codecs for a square matrix.
fn codecs(side: usize, ratio: f32) -> std::result::Result<Vec<Named>, ArgumentError> {
    let n = side * side;
    let half = SketchShape::with_ratio(n, ratio, 0.5)?;
    let rows = SketchShape { rows: 3, width: half.width / 3, ..half };
    let two_phase = |shape: SketchShape| TwoPhase::new(n, shape, 1, vec![0; shape.candidates]);
    let rank = LowRank::<Vec<f32>>::rank_for_ratio(side, side, ratio)?;
    let state = vec![0.0; LowRank::<Vec<f32>>::state_floats(side, side, rank)];
    Ok(vec![
        ("linear sketch", Box::new(LinearSketch::with_ratio(n, ratio, 1, Reading::Projection)?)),
        ("two-phase, 1 row", Box::new(two_phase(half)?)),
        ("two-phase, 3 rows", Box::new(two_phase(rows)?)),
        ("low-rank", Box::new(LowRank::new(side, side, rank, 1, state)?)),
        ("round robin", Box::new(RoundRobin::new(n, (1.0 / ratio).ceil() as usize)?)),
        ("top-k", Box::new(TopK::with_ratio(n, ratio)?)),
        ("ternary", Box::new(Ternary::new(n)?)),
    ])
}

/// One step of one worker without error feedback; returns what is decoded.
fn once(codec: &mut dyn Codec, step: u64, x: &[f32], message: &mut Vec<u32>) -> Result<Vec<f32>> {
    codec.start(step);
    for round in 0..codec.rounds() {
        message.resize(codec.message_words(round), 0);
        codec.encode(round, x, message)?;
        codec.absorb(round, message)?;
    }
    let mut back = vec![0.0; x.len()];
    codec.add_decoded(message, 1.0, &mut back)?;
    Ok(back)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn fidelity(side: usize) -> Result<()> {
    println!("| codec | ratio | sent | state, bytes | {:?}: cosine, length |", Kind::ALL);
    let mut message = Vec::new();
    for ratio in [0.01, 0.02, 0.1, 0.5] {
        for (place, (name, _)) in codecs(side, ratio)?.iter().enumerate() {
            let mut cells = String::new();
            let (mut sent, mut state) = (0.0, 0);
            for kind in Kind::ALL {
                let x = kind.gradient(side);
                let (_, mut codec) = codecs(side, ratio)?.swap_remove(place);
                // The third step: a warm start is what training has.
                let mut back = Vec::new();
                for step in 0..3 {
                    back = once(codec.as_mut(), step, &x, &mut message)?;
                }
                let (xx, bb) = (dot(&x, &x), dot(&back, &back));
                let cosine = if bb > 0.0 { dot(&x, &back) / (xx * bb).sqrt() } else { 0.0 };
                cells += &format!(" {cosine:.3}, {:.2} |", (bb / xx).sqrt());
                sent = codec.step_words() as f64 / x.len() as f64;
                state = codec.state_bytes();
            }
            println!("| {name} | {ratio} | {sent:.4} | {state} |{cells}");
        }
    }
    Ok(())
}

fn speed(side: usize) -> Result<()> {
    let x = Kind::HeavyTailed.gradient(side);
    let n = x.len() as f64;
    let mut back = vec![0.0; x.len()];
    // The least of some runs: the time without the others on the machine.
    let time = |work: &mut dyn FnMut() -> std::result::Result<(), ArgumentError>| -> Result<f64> {
        let mut least = f64::INFINITY;
        for _ in 0..7 {
            let start = Instant::now();
            work()?;
            least = least.min(start.elapsed().as_secs_f64());
        }
        Ok(1e9 * least / n)
    };
    println!("{n} parameters, ratio 0.02, nanoseconds a parameter: encode, absorb, decode");
    let dense: Box<dyn Codec> = Box::new(Dense::new(x.len())?);
    for (name, mut codec) in std::iter::once(("dense", dense)).chain(codecs(side, 0.02)?) {
        codec.start(1);
        let (mut encode, mut absorb) = (0.0, 0.0);
        let mut message = Vec::new();
        for round in 0..codec.rounds() {
            message = vec![0; codec.message_words(round)];
            encode += time(&mut || codec.encode(round, &x, &mut message))?;
            if codec.exchange() == Exchange::AllReduce {
                absorb += time(&mut || codec.absorb(round, &message))?;
            }
        }
        let decode = time(&mut || codec.add_decoded(&message, 1.0, &mut back))?;
        println!("| {name} | {encode:.2} | {absorb:.2} | {decode:.2} |");
    }
    let mut words = vec![0; accumulator_words(x.len())];
    let mut sum = TernaryGradientAccumulator::new(x.len(), TernaryConfig::default(), &mut words)?;
    let accumulate = time(&mut || sum.accumulate(&x))?;
    let read = time(&mut || sum.get_accumulated(&mut back))?;
    println!(
        "accumulator: accumulate {accumulate:.2}, read {read:.2}, {:.4} bytes a parameter",
        4.0 * accumulator_words(x.len()) as f64 / n
    );
    Ok(())
}
