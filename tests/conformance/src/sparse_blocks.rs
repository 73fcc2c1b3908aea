//! Feed-forward blocks that compute the neurons predicted to matter.

use crate::Memory;
use crate::random::Random;
use trilane_core::digits::Group;
use trilane_core::kernel::{Backend, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Digest, ModelError};
use trilane_core::nn::{
    Activation, FullGate, LinearError, LowRank, Magnitude, NeuronRows, Neurons, Predictor,
    Selection, SelectionError, SparseScratch, SparsityConfig, Tier0,
};

/// Values of a token, neurons and ranks: one matrix serves as all.
const DIM: usize = 36;

const ACTIVATIONS: [Activation; 5] =
    [Activation::Identity, Activation::Relu, Activation::Relu2, Activation::Gelu, Activation::Silu];

/// Every predictor, with every selection.
pub(crate) fn sparse_blocks(
    backend: impl Backend,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    let mut random = Random(15);
    let mut codes = Random(16);
    let code = |_, _| codes.below(128) as u8;
    let matrix = memory
        .planes
        .matrix(false, (DIM, DIM), Group::G32, Some(&mut random), code)
        .map_err(LinearError::Matrix)?;
    let mut floats = [[0.0; DIM]; 4];
    floats.as_flattened_mut().iter_mut().for_each(|v| *v = random.signed());
    let [gate_bias, down_bias, importance, x] = &mut floats;
    importance.iter_mut().for_each(|v| *v = v.abs());
    let biases = [*gate_bias, *down_bias];
    let low_rank =
        LowRank { down: matrix, gate: matrix, up: Some(matrix), bias: biases.as_flattened() };
    let of_gate = LowRank { down: matrix, gate: matrix, up: None, bias: gate_bias };
    let magnitude = Magnitude { quantiles: &[9.0e4, 2.0e4, 5.0e3, 0.0] };
    let (both, gate) = (Tier0 { gate_only: false }, Tier0 { gate_only: true });
    let predictors: [&dyn Predictor<_>; 6] =
        [&both, &gate, &FullGate, &magnitude, &low_rank, &of_gate];
    let threshold = magnitude.threshold(0.4);
    digest.floats(&[threshold]);
    let selections = [
        Selection::All,
        Selection::TopK(7),
        Selection::Threshold(threshold),
        Selection::Share(0.3),
        Selection::Lanes([0.1, 0.2, 0.3]),
        Selection::Bytes(0.7),
    ];
    for (activation, up) in ACTIVATIONS.into_iter().flat_map(|a| [(a, None), (a, Some(matrix))]) {
        let block = Neurons {
            gate: matrix.into(),
            gate_bias: Some(gate_bias),
            activation,
            up: up.map(NeuronRows::from),
            down: matrix.into(),
            down_bias: Some(down_bias),
            importance,
        };
        let lane = if up.is_some() { PrecisionLane::Bit7 } else { PrecisionLane::Bit5 };
        for (predictor, selection) in
            predictors.into_iter().flat_map(|p| selections.map(|selection| (p, selection)))
        {
            let config = SparsityConfig::new(selection).map_err(refused)?;
            let mut scratch = SparseScratch {
                scores: &mut [0.0; DIM],
                first: &mut [0.0; DIM],
                second: &mut [0.0; DIM],
                gate_sums: &mut [0; DIM],
                up_sums: &mut [0; DIM],
                rows: &mut [0; DIM],
                q: &mut [0; DIM],
            };
            let (mut y, mut buf) = ([0.0; DIM], memory.integers.buf());
            let pool = &Serial;
            let reads = block.forward(
                backend,
                pool,
                lane,
                predictor,
                config,
                x,
                &mut buf,
                &mut scratch,
                &mut y,
            )?;
            digest.floats(&y);
            digest.integers(&reads.computed.map(|n| n as i64));
        }
    }
    Ok(digest)
}

/// A selection out of range, which the list above has not.
fn refused(_: SelectionError) -> ModelError {
    ModelError::Value { key: "selection", expected: "numbers within their ranges" }
}
