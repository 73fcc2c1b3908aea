//! What one message gives back of gradients of several kinds: trilane's codecs beside vsa-optim-rs.
//!
//! `cargo bench --bench compression`, with `-- bytes` the peer at our bytes as well, for which it needs
//! 2 GB. It prints a table in Markdown: the cosine between the gradient and what is decompressed, and the
//! ratio of their lengths.

#[path = "../../std-ext/examples/compression/one_message.rs"]
mod one_message;

use candle_core_for_peers::{Device, Tensor};
use one_message::{Kind, STEPS, codecs, cosine_and_length, once};
use std::collections::HashMap;
use trilane_benches::Error;
use vsa_optim_rs::{VSAConfig, VSAGradientCompressor};

/// Rows and columns of a gradient.
const SIDE: usize = 128;
const PARAMETERS: usize = SIDE * SIDE;

fn main() -> Result<(), Error> {
    let at_our_bytes = std::env::args().any(|argument| argument == "bytes");
    println!("\n{SIDE} × {SIDE} values; cosine, length\n");
    println!(
        "| | ratio | times fewer bytes | {} |",
        Kind::ALL.map(|k| format!("{k:?}")).join(" | ")
    );
    println!("|---|---|---|{}", "---|".repeat(Kind::ALL.len()));
    for ratio in [0.1, 0.02] {
        ours(ratio)?;
        // Its ratio counts trits of two bits, ours words.
        peer("vsa-optim-rs, its ratio", ratio, ratio)?;
        if at_our_bytes {
            peer("vsa-optim-rs, our bytes", ratio, 16.0 * ratio)?;
        }
    }
    Ok(())
}

fn ours(ratio: f32) -> Result<(), Error> {
    let mut message = Vec::new();
    for (place, (name, codec)) in codecs(SIDE, ratio)?.iter().enumerate() {
        let mut cells = String::new();
        for kind in Kind::ALL {
            let x = kind.gradient(SIDE);
            let (_, mut codec) = codecs(SIDE, ratio)?.swap_remove(place);
            let mut back = Vec::new();
            for step in 0..STEPS {
                back = once(codec.as_mut(), step, &x, &mut message)?;
            }
            cells += &cell(&x, &back)?;
        }
        row(name, ratio, 32 * codec.step_words(), &cells);
    }
    Ok(())
}

/// The peer with so many trits for each parameter.
fn peer(name: &str, ratio: f32, trits: f32) -> Result<(), Error> {
    let dimension = (PARAMETERS as f32 * trits) as usize;
    let config = VSAConfig { dimension, compression_ratio: 0.0, ..VSAConfig::default() };
    // One for all kinds: its matrix of projection is the same.
    let mut compressor = VSAGradientCompressor::new(PARAMETERS, config);
    let mut cells = String::new();
    for kind in Kind::ALL {
        let x = kind.gradient(SIDE);
        let tensor = Tensor::from_slice(&x, (SIDE, SIDE), &Device::Cpu)?;
        let gradients = HashMap::from([("gradient".to_string(), tensor)]);
        let (bundle, metadata) = compressor.compress(&gradients)?;
        let back = compressor.decompress(&bundle, &metadata)?;
        let back = back.get("gradient").ok_or("the peer lost the gradient")?;
        cells += &cell(&x, &back.flatten_all()?.to_vec1()?)?;
    }
    row(name, ratio, 2 * compressor.compressed_dim(), &cells);
    Ok(())
}

/// What came back, which has to be numbers.
fn cell(x: &[f32], back: &[f32]) -> Result<String, Error> {
    let (cosine, length) = cosine_and_length(x, back);
    if back.len() != x.len() || !cosine.is_finite() || !length.is_finite() {
        return Err("what is decompressed is no gradient".into());
    }
    Ok(format!(" {cosine:.3}, {length:.2} |"))
}

fn row(name: &str, ratio: f32, bits: usize, cells: &str) {
    let fewer = 32.0 * PARAMETERS as f64 / bits as f64;
    println!("| {name} | {ratio} | {fewer:.0} |{cells}");
}
