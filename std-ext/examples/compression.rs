//! What the codecs for gradients give back, how much they send and keep, and how fast they are.

#[path = "compression/one_message.rs"]
mod one_message;

use clap::{Parser, Subcommand};
use one_message::{Kind, STEPS, codecs, cosine_and_length, once};
use std::time::Instant;
use trilane_core::error::ArgumentError;
use trilane_core::train::compress::{Codec, Dense, Exchange};
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

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    match Arguments::parse().table {
        Table::Fidelity { side } => fidelity(side),
        Table::Speed { side } => speed(side),
    }
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
                let mut back = Vec::new();
                for step in 0..STEPS {
                    back = once(codec.as_mut(), step, &x, &mut message)?;
                }
                let (cosine, length) = cosine_and_length(&x, &back);
                cells += &format!(" {cosine:.3}, {length:.2} |");
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
