//! trilane's own kernels: quantising the vector and one product at a lane.

use crate::machine::Line;
use crate::{Error, Matvec, Ternary};
use trilane_core::digits::{
    DigitMatrix, DigitPlanes, Group, LaneView, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, pack_nested_row,
    pack_ternary_row, units,
};
use trilane_core::kernel::{Backend, Level, Scalar};
use trilane_core::lane::{PrecisionLane, quantize_nested_row};
use trilane_core::quant::{ActivationsBuf, activation_lens};

/// A matrix in digit planes, read at one lane with one instruction set.
///
/// The planes live as long as the process, as those of a mapped file would.
#[derive(Debug)]
pub struct Lane {
    name: String,
    level: Level,
    view: LaneView<'static>,
}

/// The bytes, beginning at a multiple of 64, as planes in a file do.
fn aligned(bytes: &[u8]) -> &'static [u8] {
    let line = |chunk: &[u8]| {
        let mut line = [0; 64];
        line.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        Line(line)
    };
    let lines: &[Line] = bytes.chunks(64).map(line).collect::<Vec<_>>().leak();
    // SAFETY: lines are 64 bytes of plain data without padding, one after another, and at least as
    // many bytes as were given.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), bytes.len()) }
}

impl Lane {
    /// Packs the matrix of `problem`: ternary with one scale a row, or nested in groups.
    ///
    /// # Errors
    ///
    /// When a row cannot be quantised or packed.
    pub fn new(
        problem: &Ternary,
        level: Level,
        lane: PrecisionLane,
        group: Group,
    ) -> Result<Self, Error> {
        let (n, per_row) = (problem.n, units(problem.n));
        let plane = || vec![0; n * per_row * UNIT_DIGIT_BYTES];
        let (mut high, mut digits) =
            (vec![0; n * per_row * UNIT_HIGH_BYTES], [plane(), plane(), plane()]);
        let mut group_scales = vec![0; n * per_row * group.scales_per_unit()];
        let mut row_scales = [vec![], vec![], vec![]];
        let weights = problem.weights_f32();
        for r in 0..n {
            let row = |per_unit: usize| r * per_row * per_unit..(r + 1) * per_row * per_unit;
            if lane == PrecisionLane::Ternary {
                let trits = &problem.trits[r * n..(r + 1) * n];
                let codes: Vec<u8> = trits.iter().map(|&t| (t + 1) as u8).collect();
                pack_ternary_row(&codes, &mut digits[0][row(UNIT_DIGIT_BYTES)])?;
                row_scales[0].push(problem.scale);
                continue;
            }
            let mut codes = vec![0; n];
            let scales = &mut group_scales[row(group.scales_per_unit())];
            let w = &weights[r * n..(r + 1) * n];
            let fitted = quantize_nested_row(w, None, group, &mut codes, scales)?;
            row_scales.iter_mut().zip(fitted).for_each(|(all, scale)| all.push(scale));
            let tiers = digits.each_mut().map(|plane| &mut plane[row(UNIT_DIGIT_BYTES)]);
            pack_nested_row(&codes, &mut high[row(UNIT_HIGH_BYTES)], tiers)?;
        }
        let [d0, d1, d2] = digits.each_ref().map(|plane| aligned(plane));
        let [s0, s1, s2] = row_scales.map(|scales| &*scales.leak());
        let planes = if lane == PrecisionLane::Ternary {
            DigitPlanes::Ternary { digits: d0, row_scales: s0 }
        } else {
            DigitPlanes::Nested {
                high: aligned(&high),
                digits: [Some(d0), Some(d1), Some(d2)],
                row_scales: [Some(s0), Some(s1), Some(s2)],
            }
        };
        let matrix = DigitMatrix::new(n, n, group, group_scales.leak(), planes)?;
        let group = group.weights().map_or_else(String::new, |weights| format!("/{weights}"));
        let name = format!("trilane {lane}{group} {level}");
        Ok(Self { name, level, view: matrix.lane(lane)? })
    }

    fn product(&self, backend: impl Backend, x: &[f32]) -> Result<Vec<f32>, Error> {
        let (q, multipliers, sums) = activation_lens(x.len());
        let (mut q, mut multipliers, mut sums) = (vec![0; q], vec![0; multipliers], vec![0; sums]);
        let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
        let x = backend.quantize(x, &mut buf)?;
        let mut y = vec![0.0; self.view.rows()];
        backend.lane_matvec(&self.view, &x, 0, &mut y);
        Ok(y)
    }
}

impl Matvec for Lane {
    fn name(&self) -> &str {
        &self.name
    }

    fn weight_bytes(&self) -> usize {
        self.view.bytes()
    }

    /// Trits are exact and int8 activations err by less than 1%. The nested codes stand for the
    /// middle of an interval that does not include zero: 1.5/61.5 off at Bit5, 7.5/55.5 at Bit3,
    /// for the third of the weights that are zero.
    fn tolerance(&self) -> f64 {
        match self.view.lane() {
            PrecisionLane::Bit5 => 0.03,
            PrecisionLane::Bit3 => 0.12,
            _ => 0.01,
        }
    }

    /// Quantises the vector and multiplies. The bits are those of the portable kernel.
    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        self.product(self.level, x)
    }

    fn verify(&self, x: &[f32], y: &[f32]) -> Result<(), Error> {
        let same = self.product(Scalar, x)?.iter().zip(y).all(|(a, b)| a.to_bits() == b.to_bits());
        if same {
            Ok(())
        } else {
            Err(format!("{}: not the bits of the portable kernel", self.name).into())
        }
    }
}
