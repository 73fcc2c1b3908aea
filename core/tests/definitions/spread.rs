//! How work is spread must not show in the result.

use crate::planes::{GROUPS, Planes, Vector};
use crate::pools::{Threads, Uneven};
use crate::random::Random;
use trilane_core::digits::Group;
use trilane_core::gguf::TensorType;
use trilane_core::kernel::{Pool, Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{Activation, Attention, Input, KvCache, Linear, gate};
use trilane_core::quant::ActivationsBuf;

/// Asserts that every pool gives the bits that one thread gives.
fn same(compute: impl Fn(&dyn Pool) -> Vec<f32>) {
    let bits = |y: Vec<f32>| y.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let expected = bits(compute(&Serial));
    assert_eq!(bits(compute(&Uneven)), expected);
    for threads in [1, 2, 3, 7, 100] {
        assert_eq!(bits(compute(&Threads(threads))), expected, "{threads} threads");
    }
}

fn matvec(layer: &Linear<'_>, lane: PrecisionLane) {
    let vector = Vector::new(Random(9).floats(layer.cols()));
    same(|pool| {
        let (mut q, mut m) = (vector.q.clone(), vector.multipliers.clone());
        let mut s = vector.sums.clone();
        let mut buf = ActivationsBuf::new(&mut q, &mut m, &mut s);
        let input = Input::new(Scalar, &vector.x, &mut buf, &[layer]).unwrap();
        let mut y = vec![9.0; layer.rows()];
        layer.matvec(Scalar, pool, lane, &input, &mut y).unwrap();
        y
    });
}

#[test]
fn products_with_digit_planes() {
    let mut random = Random(1);
    for group in GROUPS {
        let planes = Planes::new(false, (37, 150), group, 0, |_, _| random.below(128) as u8)
            .with_group_scales(|| random.bits() as u8)
            .with_row_scales(|_| random.signed());
        let layer = Linear::Digits { matrix: planes.matrix(), floor: PrecisionLane::Bit3 };
        for lane in PrecisionLane::NESTED {
            matvec(&layer, lane);
        }
    }
    let planes = Planes::new(true, (37, 150), Group::G64, 0, |_, _| random.below(3) as u8)
        .with_row_scales(|_| random.signed());
    let layer = Linear::Digits { matrix: planes.matrix(), floor: PrecisionLane::Ternary };
    matvec(&layer, PrecisionLane::Ternary);
}

#[test]
fn products_with_blocks() {
    let mut random = Random(2);
    for kind in [TensorType::F32, TensorType::F16, TensorType::BF16, TensorType::Q8_0] {
        let bytes = 37 * 160 / kind.block_len() * kind.block_bytes();
        // Exponents of all kinds are small: no byte is above 0x3F.
        let mut data: Vec<u8> = (0..bytes).map(|_| random.bits() as u8 & 0x3F).collect();
        matvec(&Linear::blocks(kind, 37, 160, &data).unwrap(), PrecisionLane::Float32);
        // And once more where no float can be read in place.
        data.insert(0, 0);
        matvec(&Linear::blocks(kind, 37, 160, &data[1..]).unwrap(), PrecisionLane::Float32);
    }
}

#[test]
fn gates() {
    let mut random = Random(3);
    let (x, up) = (random.floats(101), random.floats(101));
    same(|pool| {
        let mut y = x.clone();
        gate(Scalar, pool, Activation::Silu, &mut y, &up).unwrap();
        y
    });
}

#[test]
fn attention() {
    let shape = Attention { heads: 6, kv_heads: 2, head_dim: 10 };
    let mut random = Random(4);
    let (mut memory, q) = (random.floats(2 * 2 * 7 * 20), random.floats(60));
    let mut cache = KvCache::new(&mut memory, 2, 7, 20).unwrap();
    for _ in 0..4 {
        cache.commit().unwrap();
    }
    for layer in 0..2 {
        same(|pool| {
            let (mut y, mut scratch) = (vec![9.0; 60], vec![9.0; shape.scratch_len(7)]);
            shape.attend(Scalar, pool, &q, &cache, layer, &mut y, &mut scratch).unwrap();
            y
        });
    }
}
