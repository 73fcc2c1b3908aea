//! Feed-forward blocks of a tenth of the neurons, beside the dense block.

use crate::Sizes;
use crate::figures::seconds;
use std::error::Error;
use trilane_core::digits::Group;
use trilane_core::kernel::Serial;
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::Predictor;
use trilane_core::nn::{
    Activation, FullGate, Neurons, Selection, SparseScratch, SparsityConfig, Tier0,
};
use trilane_core::quant::{ActivationsBuf, activation_lens};
use trilane_cuda::activations::{Activations, Status};
use trilane_cuda::sparse::{SparseBlock, SparseBuffers, SparsePredictor};
use trilane_cuda::{Buffer, Stream};
use trilane_cuda_tests::{Packed, bits, float};
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
        if bits(&y.to_vec(stream)?) != bits(&expected(&block, lane, here, config, &x)?) {
            return Err(format!("sparse feed-forward, {name}: differs").into());
        }
        println!("| {name} | {:.1} µs |", 1e6 * time);
    }
    Ok(())
}

fn expected(
    block: &Neurons<'_>,
    lane: PrecisionLane,
    predictor: &dyn Predictor<trilane_core::kernel::Level>,
    config: SparsityConfig,
    x: &[f32],
) -> Result<Vec<f32>, Box<dyn Error>> {
    let (q, multipliers, sums) = activation_lens(x.len());
    let (mut q, mut multipliers, mut sums) = (vec![0; q], vec![0; multipliers], vec![0; sums]);
    let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
    let n = block.hidden();
    let mut scratch = SparseScratch {
        scores: &mut vec![0.0; n],
        first: &mut vec![0.0; n],
        second: &mut vec![0.0; n],
        gate_sums: &mut vec![0; n],
        up_sums: &mut vec![0; n],
        rows: &mut vec![0; n],
        q: &mut vec![0; n],
    };
    let mut y = vec![0.0; block.outputs()];
    let level = level::detect();
    block.forward(level, &Serial, lane, predictor, config, x, &mut buf, &mut scratch, &mut y)?;
    Ok(y)
}
