//! Sparse feed-forward blocks: their definition in double precision, what is exact about leaving
//! neurons out, and the same bits on every instruction set.

use crate::planes::{GROUPS, Planes};
use crate::random::Random;
use trilane_core::digits::{DigitMatrix, Group};
use trilane_core::error::ShapeError;
use trilane_core::kernel::{Backend, Level, Scalar, Serial};
use trilane_core::lane::{PrecisionLane, dequantize_row};
use trilane_core::nn::{
    Activation, FullGate, LinearError, LowRank, MarginTier0, NeuronRows, Neurons, Predictor,
    Selection, SparseReads, SparseScratch, SparsityConfig, Tier0,
};
use trilane_core::quant::{ActivationsBuf, activation_lens};

/// A block with matrices of its own.
struct Block {
    gate: Planes,
    up: Option<Planes>,
    down: Planes,
    /// P, and Qᵀ for gate and up.
    rank: [Planes; 3],
    bias: Vec<f32>,
    importance: Vec<f32>,
    activation: Activation,
}

const RANK: usize = 9;

impl Block {
    fn new(hidden: usize, dim: usize, group: Group, activation: Activation, gated: bool) -> Self {
        Self::with_outputs(hidden, dim, dim, group, activation, gated)
    }

    fn with_outputs(
        hidden: usize,
        dim: usize,
        outputs: usize,
        group: Group,
        activation: Activation,
        gated: bool,
    ) -> Self {
        let mut random = Random(hidden as u64 * 1000 + dim as u64);
        let mut planes = |rows: usize, cols: usize| {
            // Codes about the middle, as weights have them.
            let code = |r: &mut Random| (r.below(43) + r.below(43) + r.below(44)) as u8;
            let mut codes = Random(random.bits());
            let planes = Planes::new(false, (rows, cols), group, 0, |_, _| code(&mut codes));
            let mut scales = Random(random.bits());
            let mut groups = Random(random.bits());
            planes
                .with_row_scales(|_| (scales.signed() + 2.0) / 32_768.0 / (cols as f32).sqrt())
                .with_group_scales(|| groups.below(200) as u8 + 56)
        };
        let mut block = Self {
            gate: planes(hidden, dim),
            up: gated.then(|| planes(hidden, dim)),
            down: planes(hidden, outputs),
            rank: [planes(RANK, dim), planes(RANK, hidden), planes(RANK, hidden)],
            bias: Vec::new(),
            importance: Vec::new(),
            activation,
        };
        // Every lane with the scale of the highest.
        for planes in [Some(&mut block.gate), block.up.as_mut(), Some(&mut block.down)] {
            let Some(planes) = planes else { continue };
            planes.row_scales = [(); 3].map(|()| planes.row_scales[0].clone());
        }
        block.bias = random.floats(hidden).iter().map(|b| 0.1 * b).collect();
        block.importance = random.floats(hidden).iter().map(|v| v.abs() + 0.5).collect();
        block
    }

    fn neurons<'m>(&'m self, up: Option<DigitMatrix<'m>>) -> Neurons<'m> {
        Neurons {
            gate: self.gate.matrix().into(),
            gate_bias: Some(&self.bias),
            activation: self.activation,
            up: up.map(NeuronRows::from),
            down: self.down.matrix().into(),
            down_bias: None,
            importance: &self.importance,
        }
    }

    fn run<B: Backend>(
        &self,
        backend: B,
        lane: PrecisionLane,
        predictor: &dyn Predictor<B>,
        selection: Selection,
        x: &[f32],
    ) -> Result<(Vec<f32>, SparseReads), LinearError> {
        let up = self.up.as_ref().map(Planes::matrix);
        let block = self.neurons(up);
        let (hidden, dim) = (block.hidden(), block.dim());
        let buffers = |len: usize| {
            let (q, m, s) = activation_lens(len);
            (vec![7; q], vec![7; m], vec![7; s])
        };
        let (mut q, mut m, mut s) = buffers(dim);
        let mut integers = ActivationsBuf::new(&mut q, &mut m, &mut s);
        let mut scratch = SparseScratch {
            scores: &mut vec![7.0; hidden],
            first: &mut vec![7.0; hidden],
            second: &mut vec![7.0; hidden],
            gate_sums: &mut vec![7; hidden],
            up_sums: &mut vec![7; hidden],
            rows: &mut vec![7; hidden],
            q: &mut vec![7; hidden],
        };
        let config = SparsityConfig::new(selection).unwrap();
        let mut y = vec![7.0; block.outputs()];
        let reads = block.forward(
            backend,
            &Serial,
            lane,
            predictor,
            config,
            x,
            &mut integers,
            &mut scratch,
            &mut y,
        )?;
        Ok((y, reads))
    }

    /// The formula, in double precision, over neurons at their lanes.
    fn formula(&self, x: &[f32], lane_of: impl Fn(usize) -> Option<PrecisionLane>) -> Vec<f64> {
        let row = |planes: &Planes, i: usize, lane| -> Vec<f64> {
            let mut row = vec![0.0; planes.matrix().cols()];
            dequantize_row(&planes.matrix().lane(lane).unwrap(), i, &mut row);
            row.iter().map(|&w| f64::from(w)).collect()
        };
        let dot = |w: Vec<f64>| w.iter().zip(x).map(|(w, &x)| w * f64::from(x)).sum::<f64>();
        let mut y = vec![0.0; self.down.matrix().cols()];
        for i in 0..self.gate.rows {
            let Some(lane) = lane_of(i) else { continue };
            let g = dot(row(&self.gate, i, lane)) + f64::from(self.bias[i]);
            let mut h = match self.activation {
                Activation::Relu => g.max(0.0),
                Activation::Relu2 => g.max(0.0) * g.max(0.0),
                Activation::Silu => g / (1.0 + (-g).exp()),
                Activation::Identity => g,
                _ => unreachable!(),
            };
            if let Some(up) = &self.up {
                h *= dot(row(up, i, lane));
            }
            let down = row(&self.down, i, lane);
            y.iter_mut().zip(down).for_each(|(y, w)| *y += h * w);
        }
        y
    }
}

fn input(dim: usize) -> Vec<f32> {
    // Multiples of 1/127 of the largest: quantised without error.
    let mut random = Random(dim as u64);
    (0..dim)
        .map(|i| if i == 0 { 1.0 } else { (random.below(255) as f32 - 127.0) / 127.0 })
        .collect()
}

fn distance(y: &[f32], expected: &[f64]) -> f64 {
    let squares = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    let error = squares(&mut y.iter().zip(expected).map(|(&y, e)| f64::from(y) - e));
    error / squares(&mut expected.iter().copied())
}

/// The only approximation is the hidden layer as 16-bit integers.
#[test]
fn every_lane_is_its_formula() {
    for (gated, activation) in [
        (true, Activation::Silu),
        (true, Activation::Relu2),
        (false, Activation::Relu),
        (false, Activation::Identity),
    ] {
        for group in GROUPS {
            let block = Block::new(50, 130, group, activation, gated);
            let x = input(130);
            for lane in PrecisionLane::NESTED {
                let tier0 = Tier0 { gate_only: false };
                let (y, reads) = block.run(Scalar, lane, &tier0, Selection::All, &x).unwrap();
                let error = distance(&y, &block.formula(&x, |_| Some(lane)));
                assert!(error < 5e-4, "{activation:?} {group:?} {lane}: {error}");
                assert_eq!((reads.bytes, reads.computed), (reads.dense_bytes, [50, 0, 0]));
            }
        }
    }
}

/// A neuron at a lower lane, or left out, is that in the formula.
#[test]
fn each_neuron_rides_its_own_lane() {
    let block = Block::new(64, 100, Group::G32, Activation::Silu, true);
    let x = input(100);
    let tier0 = Tier0 { gate_only: false };
    let selection = Selection::Lanes([0.25, 0.25, 0.25]);
    let (y, reads) = block.run(Scalar, PrecisionLane::Bit7, &tier0, selection, &x).unwrap();
    assert_eq!(reads.computed, [16, 16, 16]);
    // The predictions, by the formula of one neuron at Bit3.
    let mut order: Vec<usize> = (0..64).collect();
    let score = |i: usize| {
        let mut one = vec![0.0; 100];
        let mut row = |planes: &Planes| {
            dequantize_row(&planes.matrix().lane(PrecisionLane::Bit3).unwrap(), i, &mut one);
            one.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>()
        };
        let g = row(&block.gate) + f64::from(block.bias[i]);
        let u = row(block.up.as_ref().unwrap());
        (g / (1.0 + (-g).exp()) * u * f64::from(block.importance[i])).abs()
    };
    order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let lane_of = |i: usize| match order.iter().position(|&o| o == i).unwrap() / 16 {
        0 => Some(PrecisionLane::Bit7),
        1 => Some(PrecisionLane::Bit5),
        2 => Some(PrecisionLane::Bit3),
        _ => None,
    };
    let error = distance(&y, &block.formula(&x, lane_of));
    assert!(error < 5e-4, "{error}");
    assert!(reads.bytes < reads.dense_bytes);
}

/// The neurons with the largest scores by the formula are the ones that are computed, of a block
/// with more outputs than inputs, too.
#[test]
fn predictions_are_their_formula() {
    let block = Block::with_outputs(64, 100, 130, Group::G32, Activation::Relu, false);
    let x = input(100);
    let product = |planes: &Planes, lane, row: usize, x: &[f64]| -> f64 {
        let mut floats = vec![0.0; x.len()];
        dequantize_row(&planes.matrix().lane(lane).unwrap(), row, &mut floats);
        floats.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum()
    };
    let x64: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let (bias, importance) = (|i: usize| f64::from(block.bias[i]), &block.importance);
    let check = |predictor: &dyn Predictor<Scalar>, score: &dyn Fn(usize) -> f64| {
        let mut order: Vec<usize> = (0..64).filter(|&i| score(i) > 0.0).collect();
        assert!((20..64).contains(&order.len()), "{}", order.len());
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        for k in [5, order.len()] {
            let run = block.run(Scalar, PrecisionLane::Bit7, predictor, Selection::TopK(k), &x);
            let (y, reads) = run.unwrap();
            assert_eq!(reads.computed, [k, 0, 0]);
            let lane_of = |i| order[..k].contains(&i).then_some(PrecisionLane::Bit7);
            let error = distance(&y, &block.formula(&x, lane_of));
            assert!(error < 5e-4, "{k}: {error}");
        }
    };
    let margins: Vec<f32> = (0..64).map(|i| 0.01 * i as f32).collect();
    check(&MarginTier0 { margins: &margins }, &|i| {
        let g = product(&block.gate, PrecisionLane::Bit3, i, &x64) + bias(i);
        ((g + f64::from(margins[i])) * f64::from(importance[i])).max(0.0)
    });
    let [p, q, _] = &block.rank;
    let lane = PrecisionLane::Bit7;
    let inner: Vec<f64> = (0..RANK).map(|r| product(p, lane, r, &x64)).collect();
    let predicted = |q: &Planes, i: usize| -> f64 {
        let term = |r: usize| {
            let mut row = vec![0.0; 64];
            dequantize_row(&q.matrix().lane(lane).unwrap(), r, &mut row);
            f64::from(row[i]) * inner[r]
        };
        (0..RANK).map(term).sum()
    };
    let gate = LowRank { down: p.matrix(), gate: q.matrix(), up: None, bias: &block.bias };
    let gate_score = |i| (predicted(q, i) + bias(i)).max(0.0) * f64::from(importance[i]);
    check(&gate, &gate_score);
    let up = &block.rank[2];
    let both = [&block.bias[..], &margins].concat();
    let low_rank = LowRank { up: Some(up.matrix()), bias: &both, ..gate };
    check(&low_rank, &|i| gate_score(i) * (predicted(up, i) + f64::from(margins[i])).abs());
}

/// Leaving out what is zero changes no bit, and what the prediction has read is reused without one.
#[test]
fn without_importances_all_neurons_matter_alike() {
    let (hidden, x) = (96, input(64));
    let mut block = Block::new(hidden, 64, Group::G32, Activation::Silu, true);
    let run = |block: &Block| {
        let (lane, tier0) = (PrecisionLane::Bit7, Tier0 { gate_only: false });
        block.run(Scalar, lane, &tier0, Selection::Share(0.3), &x).unwrap()
    };
    let (other, _) = run(&block);
    block.importance.fill(1.0);
    let (expected, with) = run(&block);
    block.importance.clear();
    let (y, without) = run(&block);
    assert_eq!(y, expected);
    assert_ne!(y, other);
    assert_eq!(with.bytes - without.bytes, size_of::<f32>() * hidden);
}

#[test]
fn skipping_zeros_and_refining_are_exact() {
    for group in GROUPS {
        let block = Block::new(200, 130, group, Activation::Relu, false);
        let x = input(130);
        let run = |predictor: &dyn Predictor<Scalar>, selection, lane| {
            block.run(Scalar, lane, predictor, selection, &x).unwrap()
        };
        for lane in PrecisionLane::NESTED {
            let (dense, _) = run(&FullGate, Selection::All, lane);
            let (exact, reads) = run(&FullGate, Selection::Threshold(0.0), lane);
            assert_eq!(crate::bits(&exact), crate::bits(&dense));
            assert!(reads.computed[0] < 150 && reads.bytes < reads.dense_bytes, "{reads:?}");
        }
        // Of an activation that is never 0 every neuron is chosen, and refined.
        let block = Block::new(200, 130, group, Activation::Silu, true);
        let run = |selection| {
            let tier0 = Tier0 { gate_only: false };
            block.run(Scalar, PrecisionLane::Bit7, &tier0, selection, &x).unwrap()
        };
        let ((dense, _), (refined, reads)) = (run(Selection::All), run(Selection::Share(1.0)));
        assert_eq!(crate::bits(&refined), crate::bits(&dense));
        assert_eq!(reads.computed, [200, 0, 0]);
    }
}

fn same_bits(level: Level) {
    for (hidden, dim, group) in
        [(11, 1, Group::Row), (37, 70, Group::G32), (130, 257, Group::G64), (300, 320, Group::G32)]
    {
        for (activation, gated) in [(Activation::Silu, true), (Activation::Relu2, false)] {
            let block = Block::new(hidden, dim, group, activation, gated);
            let [down, gate, up] = block.rank.each_ref().map(Planes::matrix);
            let of_gate = LowRank { down, gate, up: None, bias: &block.bias };
            let bias = &[&block.bias[..], &block.importance].concat();
            let low_rank = LowRank { up: Some(up), bias, ..of_gate };
            let margin = MarginTier0 { margins: &block.importance };
            let x = input(dim);
            for selection in [
                Selection::All,
                Selection::Share(0.3),
                Selection::Lanes([0.1, 0.3, 0.4]),
                Selection::Bytes(0.6),
                Selection::Threshold(1e-3),
            ] {
                macro_rules! same {
                    ($($predictor:expr),*) => {$(
                        let lane = PrecisionLane::Bit7;
                        let ours = block.run(level, lane, &$predictor, selection, &x).unwrap();
                        let spec = block.run(Scalar, lane, &$predictor, selection, &x).unwrap();
                        assert_eq!(ours.1, spec.1, "{selection:?}");
                        assert_eq!(crate::bits(&ours.0), crate::bits(&spec.0), "{selection:?}");
                    )*};
                }
                same!(Tier0 { gate_only: false }, Tier0 { gate_only: true }, FullGate, low_rank);
                same!(of_gate, margin);
            }
        }
    }
}

every_backend!(same_bits);

#[test]
fn wrong_shapes_and_values_are_refused() {
    let block = Block::new(20, 70, Group::G32, Activation::Silu, true);
    let run = |x: &[f32]| {
        let tier0 = Tier0 { gate_only: false };
        block.run(Scalar, PrecisionLane::Bit7, &tier0, Selection::Share(0.5), x).map(|_| ())
    };
    let mut x = input(70);
    assert_eq!(run(&x), Ok(()));
    let error = ShapeError::Length { expected: 70, actual: 69 };
    assert_eq!(run(&x[..69]), Err(LinearError::Shape(error)));
    x[3] = f32::NAN;
    assert!(matches!(run(&x), Err(LinearError::Quant(_))));
    let mut neurons = block.neurons(None);
    assert_eq!(neurons.check(), Ok(()));
    neurons.importance = &block.importance[1..];
    let error = ShapeError::Length { expected: 20, actual: 19 };
    assert_eq!(neurons.check(), Err(LinearError::Shape(error)));
}
