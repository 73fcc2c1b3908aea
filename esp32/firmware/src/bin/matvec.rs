//! Counts the instructions of a product with a matrix of 256×256, and fails where a backend's
//! answer is not that of the specification.
#![no_std]
#![no_main]

use firmware::{entry, eprintln, exit, instructions, or_exit, println};
use static_cell::ConstStaticCell;
use trilane_esp32::core::digits::{
    DigitMatrix, DigitPlanes, Group, LaneView, UNIT, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES,
};
use trilane_esp32::core::kernel::{Backend, Lut, Scalar};
use trilane_esp32::core::lane::PrecisionLane;
use trilane_esp32::core::quant::{Activations, ActivationsBuf, activation_lens};

/// Rows and columns.
const SIDE: usize = 256;
const UNITS: usize = SIDE * SIDE / UNIT;
/// Bytes of a digit plane and of the high plane.
const DIGITS: usize = UNITS * UNIT_DIGIT_BYTES;
const HIGH: usize = UNITS * UNIT_HIGH_BYTES;

/// What quantised activations take.
const ACTIVATIONS: (usize, usize, usize) = activation_lens(SIDE);

static ROW_SCALES: [f32; SIDE] = [0.25; SIDE];

static TRITS: ConstStaticCell<[u8; DIGITS]> = ConstStaticCell::new([0; DIGITS]);
static HIGH_BITS: ConstStaticCell<[u8; HIGH]> = ConstStaticCell::new([0; HIGH]);
static TIERS: ConstStaticCell<[[u8; DIGITS]; 3]> = ConstStaticCell::new([[0; DIGITS]; 3]);
static GROUP_SCALES: ConstStaticCell<[u8; 2 * UNITS]> = ConstStaticCell::new([0; 2 * UNITS]);

/// Bytes without a pattern (a linear congruential generator, Knuth and Lewis).
struct Random(u32);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 24) as u8
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.byte());
    }
}

/// Products of a backend, and the instructions that they took.
struct Run {
    floats: ([f32; SIDE], u64),
    sums: ([i64; SIDE], u64),
}

impl Run {
    #[inline(never)]
    fn of(backend: impl Backend, w: &LaneView<'_>, x: &Activations<'_>) -> Self {
        let mut run = Self { floats: ([0.0; SIDE], 0), sums: ([0; SIDE], 0) };
        let start = instructions();
        backend.lane_matvec(w, x, 0, &mut run.floats.0);
        let middle = instructions();
        backend.lane_sums(w, x, 0, &mut run.sums.0);
        run.floats.1 = middle - start;
        run.sums.1 = instructions() - middle;
        run
    }
}

/// Instructions for each multiply-add.
fn each(instructions: u64) -> f32 {
    instructions as f32 / (SIDE * SIDE) as f32
}

/// Counts one lane of a matrix, whose vector took `quantising` instructions.
fn count(matrix: &DigitMatrix<'_>, lane: PrecisionLane, x: &Activations<'_>, quantising: u64) {
    let view = or_exit(matrix.lane(lane));
    let (expected, found) = (Run::of(Scalar, &view, x), Run::of(Lut::<3>, &view, x));
    let group = matrix.group();
    if found.floats.0 != expected.floats.0 || found.sums.0 != expected.sums.0 {
        eprintln!("{lane}, {group:?}: table lookup differs from the specification");
        exit(1);
    }
    println!(
        "{lane}\t{group:?}\t{:.2}\t{:.2}\t{:.2}\t{:.2}",
        each(expected.floats.1),
        each(found.sums.1),
        each(found.floats.1),
        each(found.floats.1 + quantising),
    );
}

#[entry]
fn main() -> ! {
    let mut random = Random(1);
    let (trits, high, tiers) = (TRITS.take(), HIGH_BITS.take(), TIERS.take());
    let group_scales = GROUP_SCALES.take();
    // Two bits that are both set are no trit.
    trits.fill_with(|| {
        let byte = random.byte();
        byte & !(byte >> 1 & 0x55)
    });
    random.fill(high);
    random.fill(tiers.as_flattened_mut());
    random.fill(group_scales);
    let x: [f32; SIDE] = core::array::from_fn(|_| f32::from(random.byte()) - 127.0);

    let (mut q, mut multipliers, mut sums) =
        ([0; ACTIVATIONS.0], [0; ACTIVATIONS.1], [0; ACTIVATIONS.2]);
    let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
    let start = instructions();
    let x = or_exit(buf.quantize(&x));
    let quantising = instructions() - start;

    println!("quantising the vector\t{:.2}", each(quantising));
    println!("lane\tgroup\tscalar\ttables, sums\ttables, floats\tand quantising");
    let [bit3, bit5, bit7] = &*tiers;
    let ternary = DigitPlanes::Ternary { digits: trits, row_scales: &ROW_SCALES };
    let nested = DigitPlanes::Nested {
        high,
        digits: [Some(bit3), Some(bit5), Some(bit7)],
        row_scales: [Some(&ROW_SCALES); 3],
    };
    for (planes, lanes) in
        [(ternary, &[PrecisionLane::Ternary][..]), (nested, &PrecisionLane::NESTED)]
    {
        for &lane in lanes {
            for group in [Group::Row, Group::G64, Group::G32] {
                let scales = &group_scales[..UNITS * group.scales_per_unit()];
                let matrix = or_exit(DigitMatrix::new(SIDE, SIDE, group, scales, planes));
                count(&matrix, lane, &x, quantising);
            }
        }
    }
    exit(0)
}
