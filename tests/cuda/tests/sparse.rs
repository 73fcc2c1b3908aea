//! Feed-forward blocks of chosen neurons on the emulated device against the scalar backend, with
//! fresh random weights.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trilane_core::digits::Group;
use trilane_core::error::ShapeError;
use trilane_core::kernel::Scalar;
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{
    Activation, FullGate, LowRank, Magnitude, Neurons, Predictor, Selection, SparsityConfig, Tier0,
};
use trilane_cuda::activations::{Activations, Status};
use trilane_cuda::sparse::{LowRankMap, SparseBlock, SparseBuffers, SparsePredictor};
use trilane_cuda::{Buffer, CudaError, Stream};
use trilane_cuda_tests::{Order, Packed, bits, device, float, random, sparse_block};

/// The matrices and vectors of a block.
struct Parts {
    gate: Packed,
    up: Packed,
    down: Packed,
    biases: [Vec<f32>; 2],
    importance: Vec<f32>,
    activation: Activation,
    gated: bool,
}

impl Parts {
    fn new(
        [dim, hidden, outputs]: [usize; 3],
        groups: [Group; 2],
        ternary: bool,
        seed: &mut u64,
    ) -> Self {
        let mut floats = |n| (0..n).map(|_| float(seed)).collect::<Vec<f32>>();
        let (biases, mut importance) = ([floats(hidden), floats(outputs)], floats(hidden));
        importance.iter_mut().for_each(|v| *v = v.abs());
        Self {
            gate: Packed::new(hidden, dim, groups[0], ternary, seed),
            up: Packed::new(hidden, dim, groups[1], ternary, seed),
            down: Packed::new(hidden, outputs, groups[0], ternary, seed),
            biases,
            importance,
            activation: Activation::ALL[random(seed) as usize % 6],
            gated: random(seed).is_multiple_of(2),
        }
    }

    fn block(&self) -> Neurons<'_> {
        Neurons {
            gate: self.gate.matrix().into(),
            gate_bias: Some(&self.biases[0]),
            activation: self.activation,
            up: self.gated.then(|| self.up.matrix().into()),
            down: self.down.matrix().into(),
            down_bias: Some(&self.biases[1]),
            importance: &self.importance,
        }
    }
}

/// The device's memory for a block and a batch.
struct Uploaded {
    stream: Stream,
    block: SparseBlock,
    scratch: SparseBuffers,
    x: Activations,
    y: Buffer<f32>,
    status: Status,
}

impl Uploaded {
    fn new(order: Order, block: &Neurons<'_>, x: &[f32]) -> Self {
        let stream = device(order).stream().unwrap();
        let batch = x.len() / block.dim();
        let uploaded = SparseBlock::upload(&stream, block).unwrap();
        let mut status = Status::new(&stream, batch).unwrap();
        let mut integers = Activations::new(&stream, batch, block.dim()).unwrap();
        let x = Buffer::from_host(&stream, x).unwrap();
        integers.quantize(&stream, &x, block.dim(), &mut status, 0).unwrap();
        Self {
            scratch: SparseBuffers::new(&stream, &uploaded, batch).unwrap(),
            y: Buffer::zeros(&stream, batch * block.outputs()).unwrap(),
            block: uploaded,
            x: integers,
            status,
            stream,
        }
    }

    fn forward(
        &mut self,
        lane: PrecisionLane,
        predictor: &SparsePredictor,
        config: SparsityConfig,
    ) -> Result<(), CudaError> {
        let Self { stream, block, scratch, x, y, status } = self;
        block.forward(stream, lane, predictor, config, x, scratch, y, status, 3)
    }
}

fn groups() -> impl Strategy<Value = Group> {
    prop_oneof![Just(Group::Row), Just(Group::G32), Just(Group::G64)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn blocks(
        sizes in [1usize..300, 1usize..150, 1usize..300],
        rank in 1usize..40,
        batch in 1usize..3,
        groups in [groups(), groups()],
        ternary: bool,
        lane in 1usize..4,
        descending: bool,
        mut seed: u64,
    ) {
        let order = if descending { Order::Descending } else { Order::Ascending };
        let [dim, hidden, _] = sizes;
        let parts = Parts::new(sizes, groups, ternary, &mut seed);
        let block = parts.block();
        let x: Vec<f32> = (0..batch * dim).map(|_| float(&mut seed)).collect();
        let mut device = Uploaded::new(order, &block, &x);
        let rank = rank.min(hidden);
        let [project, gate, up] = [(rank, dim), (rank, hidden), (rank, hidden)]
            .map(|(rows, cols)| Packed::new(rows, cols, groups[1], ternary, &mut seed));
        let bias: Vec<f32> = (0..2 * hidden).map(|_| float(&mut seed)).collect();
        let low_rank = LowRank {
            down: project.matrix(),
            gate: gate.matrix(),
            up: Some(up.matrix()),
            bias: &bias,
        };
        let of_gate = LowRank { up: None, bias: &bias[..hidden], ..low_rank };
        let low = |map| LowRankMap::upload(&device.stream, map, hidden).unwrap();
        let both = (Tier0 { gate_only: false }, Tier0 { gate_only: true });
        let predictors: [(&dyn Predictor<_>, SparsePredictor); 6] = [
            (&both.0, SparsePredictor::Tier0 { gate_only: false }),
            (&both.1, SparsePredictor::Tier0 { gate_only: true }),
            (&FullGate, SparsePredictor::FullGate),
            (&Magnitude { quantiles: &[2.0, 1.0] }, SparsePredictor::Magnitude),
            (&low_rank, low(&low_rank)),
            (&of_gate, low(&of_gate)),
        ];
        let selections = [
            Selection::All,
            Selection::TopK(random(&mut seed) as usize % (hidden + 2)),
            Selection::Threshold(float(&mut seed).abs() * 1e3),
            Selection::Share(float(&mut seed).abs()),
            Selection::Lanes([0.2, 0.0, 0.3]),
            Selection::Bytes(float(&mut seed).abs().sqrt()),
        ];
        let lane = PrecisionLane::ALL[lane];
        for (specified, predictor) in &predictors {
            // Any, so that the test is short.
            let selection = selections[random(&mut seed) as usize % selections.len()];
            let config = SparsityConfig::new(selection).unwrap();
            device.forward(lane, predictor, config).unwrap();
            device.status.take(&device.stream).unwrap();
            let (y, computed): (Vec<_>, Vec<_>) =
                x.chunks(dim).map(|x| sparse_block(&block, Scalar, lane, *specified, config, x).unwrap()).unzip();
            let chosen = device.scratch.computed(&device.stream).unwrap();
            prop_assert_eq!(chosen, computed, "{:?}, {:?}", predictor, selection);
            let found = device.y.to_vec(&device.stream).unwrap();
            prop_assert_eq!(bits(&found), bits(&y.concat()), "{:?}, {:?}", predictor, selection);
        }
    }
}

/// Of equal scores the earlier neurons are taken.
#[test]
fn ties_are_taken_in_order() {
    let (hidden, mut seed) = (2100, 5);
    let mut parts = Parts::new([64, hidden, 64], [Group::G64; 2], true, &mut seed);
    // Scores are biases: 0, or one of a few.
    parts.biases[0] = (0..hidden).map(|i| [0.0, 0.5, -1.0, 1.0][i % 4]).collect();
    parts.activation = Activation::Identity;
    let block = Neurons { up: None, ..parts.block() };
    let x = vec![0.0; 64];
    let config = |selection| SparsityConfig::new(selection).unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let mut device = Uploaded::new(order, &block, &x);
        for selection in [Selection::TopK(700), Selection::Lanes([0.1, 0.2, 0.1])] {
            let config = config(selection);
            device.forward(PrecisionLane::Bit7, &SparsePredictor::Magnitude, config).unwrap();
            let magnitude = Magnitude { quantiles: &[1.0, 0.0] };
            let (y, computed) =
                sparse_block(&block, Scalar, PrecisionLane::Bit7, &magnitude, config, &x).unwrap();
            assert_eq!(device.scratch.computed(&device.stream).unwrap(), [computed]);
            assert_eq!(bits(&device.y.to_vec(&device.stream).unwrap()), bits(&y), "{selection:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut seed = 7;
    let mut parts = Parts::new([40, 30, 50], [Group::G32; 2], false, &mut seed);
    let x = vec![1.0; 40];
    let (gate, all) = (SparsePredictor::FullGate, SparsityConfig::ALL);
    let lane = PrecisionLane::Bit7;
    let length = |expected, actual| CudaError::Shape(ShapeError::Length { expected, actual });
    let mut device = Uploaded::new(Order::Ascending, &parts.block(), &x);
    device.y = Buffer::zeros(&device.stream, 49).unwrap();
    assert_eq!(device.forward(lane, &gate, all).unwrap_err(), length(50, 49));
    device.status = Status::new(&device.stream, 2).unwrap();
    device.y = Buffer::zeros(&device.stream, 50).unwrap();
    assert_eq!(device.forward(lane, &gate, all).unwrap_err(), length(1, 2));
    device.scratch = SparseBuffers::new(&device.stream, &device.block, 2).unwrap();
    assert_eq!(device.forward(lane, &gate, all).unwrap_err(), length(2, 1));
    let short = Neurons { importance: &[1.0], ..parts.block() };
    assert_eq!(SparseBlock::upload(&device.stream, &short).unwrap_err(), length(30, 1));
    // A hidden value that is not finite.
    parts.biases[0][7] = f32::INFINITY;
    let mut device = Uploaded::new(Order::Ascending, &parts.block(), &x);
    device.forward(lane, &gate, all).unwrap();
    let diverged = device.status.take(&device.stream).unwrap_err();
    assert_eq!(diverged, CudaError::Diverged { sequence: 0, layer: 3 });
}
