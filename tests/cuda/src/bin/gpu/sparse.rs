//! Feed-forward blocks of a tenth of the neurons, beside the dense block.

use crate::Sizes;
use crate::figures::seconds;
use std::error::Error;
use trilane_core::digits::Group;
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{
    Activation, FullGate, Neurons, Predictor, Selection, SparsityConfig, Tier0,
};
use trilane_cuda::activations::{Activations, Status};
use trilane_cuda::sparse::{SparseBlock, SparseBuffers, SparsePredictor};
use trilane_cuda::{Buffer, Stream};
use trilane_cuda_tests::{Packed, bits, float, sparse_block};
use trilane_std::level;

/// Compares both with this processor, and times them.
pub(crate) fn check_and_time(
    stream: &Stream,
    sizes: &Sizes,
    seed: &mut u64,
) -> Result<(), Box<dyn Error>> {
    let (dim, hidden) = sizes.feed_forward;
    let mut matrix = || Packed::new(hidden, dim, Group::G64, false, seed);
    let (gate, up, down) = (matrix(), matrix(), matrix());
    let importance: Vec<f32> = (0..hidden).map(|_| float(seed).abs()).collect();
    let block = Neurons {
        gate: gate.matrix().into(),
        gate_bias: None,
        activation: Activation::Silu,
        up: Some(up.matrix().into()),
        down: down.matrix().into(),
        down_bias: None,
        importance: &importance,
    };
    let x: Vec<f32> = (0..dim).map(|_| float(seed)).collect();
    let on_device = SparseBlock::upload(stream, &block)?;
    let mut status = Status::new(stream, 1)?;
    let mut integers = Activations::new(stream, 1, dim)?;
    integers.quantize(stream, &Buffer::from_host(stream, &x)?, dim, &mut status, 0)?;
    let mut scratch = SparseBuffers::new(stream, &on_device, 1)?;
    let mut y = Buffer::zeros(stream, dim)?;
    let lane = PrecisionLane::Bit7;
    let tenth = SparsityConfig::new(Selection::TopK(hidden / 10))?;
    let all = SparsityConfig::ALL;
    let (gates, tier0) = (FullGate, Tier0 { gate_only: false });
    let cases: [(&str, &dyn Predictor<_>, SparsePredictor, SparsityConfig); 2] = [
        ("all neurons", &gates, SparsePredictor::FullGate, all),
        ("a tenth, by tier 0", &tier0, SparsePredictor::Tier0 { gate_only: false }, tenth),
    ];
    println!("\n| block of {hidden} neurons, {dim} values, bit7 | time |\n|---|---|");
    for (name, here, there, config) in cases {
        let time = seconds(stream, &mut || {
            let (x, y) = (&integers, &mut y);
            on_device.forward(stream, lane, &there, config, x, &mut scratch, y, &mut status, 0)
        })?;
        status.take(stream)?;
        let (expected, _) = sparse_block(&block, level::detect(), lane, here, config, &x)?;
        if bits(&y.to_vec(stream)?) != bits(&expected) {
            return Err(format!("sparse feed-forward, {name}: differs").into());
        }
        println!("| {name} | {:.1} µs |", 1e6 * time);
    }
    Ok(())
}
