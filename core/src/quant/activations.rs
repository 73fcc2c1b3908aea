//! Activations as block floating point: int8 with a power-of-two exponent for each unit.

use super::{QuantError, max_magnitude, max_magnitude_bits, round_i8};
use crate::digits::{BLOCK, BLOCK_UNITS, UNIT, blocks};

/// Vectors whose largest magnitude is below this (2⁻¹⁰⁰) are taken as zero, which keeps every
/// scale a normal number.
pub(crate) const SMALLEST: f32 = f32::from_bits((127 - 100) << 23);

/// Largest exponent of a unit.
const MAX_EXPONENT: u32 = 15;

/// Half units of a block: the smallest group that can have its own weight scale.
const BLOCK_HALVES: usize = 2 * BLOCK_UNITS;

/// Values in a half unit.
const HALF: usize = BLOCK / BLOCK_HALVES;

/// Where value `i` of a vector is in block order.
const fn place(i: usize) -> usize {
    let (b, s, p, j) = (i / BLOCK, i % BLOCK / UNIT, i % UNIT / 16, i % 16);
    BLOCK * b + UNIT * p + 16 * s + j
}

/// Lengths of the arrays that hold `len` activations: int8 values, multipliers, sums.
///
/// All are padded to whole blocks of 256; 288 bytes a block.
pub const fn activation_lens(len: usize) -> (usize, usize, usize) {
    let blocks = blocks(len);
    (blocks * BLOCK, blocks * BLOCK_UNITS, blocks * BLOCK_HALVES)
}

/// Caller's memory for the activations of one vector.
#[derive(Debug)]
pub struct ActivationsBuf<'a> {
    q: &'a mut [i8],
    multipliers: &'a mut [u32],
    sums: &'a mut [i16],
}

impl<'a> ActivationsBuf<'a> {
    /// Takes three arrays of at least the lengths of [`activation_lens`].
    pub fn new(q: &'a mut [i8], multipliers: &'a mut [u32], sums: &'a mut [i16]) -> Self {
        Self { q, multipliers, sums }
    }

    /// Quantises `x`: with `s = max|x| / 127` over the vector and, for each unit of 64, the largest
    /// `e` in 0..=15 for which `max|x_unit| · 2^e ≤ max|x|`,
    ///
    /// `q = round(x · 2^e / s)` (ties to even), so `x ≈ q · 2^(E−e) · step`, `step = s · 2^−E`,
    /// where `E` is the largest `e` of the vector.
    ///
    /// A unit of zeros takes e = 0. A vector with `max|x|` < 2⁻¹⁰⁰ gives zeros and step 0.
    /// Ordered: the quotient is `x · ((127 / max|x|) · 2^e)`.
    ///
    /// # Errors
    /// [`QuantError::Length`] when an array is too short, [`QuantError::NotFinite`] when `x` holds
    /// NaN or infinity.
    pub fn quantize(&mut self, x: &[f32]) -> Result<Activations<'_>, QuantError> {
        quantize_into(x, self)
    }

    /// Takes integers as they are: every multiplier is 1 and the step is 1, so `x = q`. `q` gives
    /// the value at each position below `len`. Exact.
    ///
    /// # Errors
    /// [`QuantError::Length`] when an array is too short, [`QuantError::Range`] for −128.
    pub fn integers(
        &mut self,
        len: usize,
        q: impl Fn(usize) -> i8,
    ) -> Result<Activations<'_>, QuantError> {
        let (to, multipliers, sums) = self.cut(len)?;
        to.fill(0);
        multipliers.fill(1);
        sums.fill(0);
        let mut total = 0;
        for index in 0..len {
            let value = q(index);
            if value == i8::MIN {
                return Err(QuantError::Range { index });
            }
            if let Some(to) = to.get_mut(place(index)) {
                *to = value;
            }
            // At most 32 · 127 in a half unit.
            if let Some(half) = sums.get_mut(index / HALF) {
                *half += i16::from(value);
            }
            total += i64::from(value);
        }
        Ok(Activations { len, q: to, multipliers, sums, total, step: 1.0 })
    }

    /// The arrays cut to the length that `len` activations take.
    fn cut(&mut self, len: usize) -> Result<Arrays<'_>, QuantError> {
        let (q, multipliers, sums) = activation_lens(len);
        let short = |expected, actual| QuantError::Length { expected, actual };
        let (nq, nm, ns) = (self.q.len(), self.multipliers.len(), self.sums.len());
        Ok((
            self.q.get_mut(..q).ok_or(short(q, nq))?,
            self.multipliers.get_mut(..multipliers).ok_or(short(multipliers, nm))?,
            self.sums.get_mut(..sums).ok_or(short(sums, ns))?,
        ))
    }
}

type Arrays<'a> = (&'a mut [i8], &'a mut [u32], &'a mut [i16]);

/// The body of [`ActivationsBuf::quantize`], compiled once for each instruction set.
#[inline(always)]
pub(crate) fn quantize_into<'b>(
    x: &[f32],
    buf: &'b mut ActivationsBuf<'_>,
) -> Result<Activations<'b>, QuantError> {
    let max = max_magnitude(x)?;
    let (q, multipliers, sums) = buf.cut(x.len())?;
    q.fill(0);
    multipliers.fill(1);
    sums.fill(0);
    let mut step = 0.0;
    if max >= SMALLEST {
        // First the exponents, kept in `multipliers` until their maximum is known.
        let mut largest = 0;
        for (exponent, unit) in multipliers.iter_mut().zip(x.chunks(UNIT)) {
            *exponent = unit_exponent(unit, max);
            largest = largest.max(*exponent);
        }
        let inverse = 127.0 / max;
        step = (max / 127.0) / (1u32 << largest) as f32;
        for (b, block) in x.chunks(BLOCK).enumerate() {
            for (s, unit) in block.chunks(UNIT).enumerate() {
                let Some(multiplier) = multipliers.get_mut(BLOCK_UNITS * b + s) else { continue };
                let exponent = *multiplier;
                *multiplier = 1 << (largest - exponent);
                let factor = inverse * (1u32 << exponent) as f32;
                for (p, x) in unit.chunks(16).enumerate() {
                    let at = BLOCK * b + UNIT * p + 16 * s;
                    let mut sum = 0i16;
                    for (q, x) in q.iter_mut().skip(at).zip(x) {
                        *q = round_i8(x * factor);
                        sum += i16::from(*q);
                    }
                    // At most 32 · 127 in a half unit.
                    if let Some(half) = sums.get_mut(BLOCK_HALVES * b + 2 * s + p / 2) {
                        *half += sum;
                    }
                }
            }
        }
    }
    let total = sums
        .chunks_exact(2)
        .zip(multipliers.iter())
        .map(|(halves, &m)| i64::from(m) * halves.iter().map(|&h| i64::from(h)).sum::<i64>())
        .sum();
    Ok(Activations { len: x.len(), q, multipliers, sums, total, step })
}

/// The largest `e` in 0..=15 with `max|unit| · 2^e ≤ max`; 0 for a unit of zeros.
#[inline(always)]
fn unit_exponent(unit: &[f32], max: f32) -> u32 {
    let mut top = f32::from_bits(max_magnitude_bits(unit));
    let mut exponent = 0;
    while exponent < MAX_EXPONENT && top > 0.0 && top * 2.0 <= max {
        top *= 2.0;
        exponent += 1;
    }
    exponent
}

/// A quantised vector: `x[i] ≈ step · multiplier[unit of i] · q[i]`.
///
/// The int8 values are in block order, position p first, so that a vector instruction finds beside
/// each other what multiplies one byte lane of a digit plane:
/// `q[256·b + 64·p + 16·s + j]` belongs to `x[256·b + 64·s + 16·p + j]`.
#[derive(Clone, Copy, Debug)]
pub struct Activations<'a> {
    len: usize,
    pub(crate) q: &'a [i8],
    pub(crate) multipliers: &'a [u32],
    /// Σ q over each half unit (32 values).
    pub(crate) sums: &'a [i16],
    /// Σ multiplier·q over the vector.
    pub(crate) total: i64,
    step: f32,
}

impl Activations<'_> {
    /// Values in the vector.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the vector has no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of one unit of the integers, in the unit of `x`.
    pub fn step(&self) -> f32 {
        self.step
    }

    /// The largest multiplier of a unit, a power of two up to 2¹⁵ (1 for an empty vector).
    pub fn max_multiplier(&self) -> u32 {
        self.multipliers.iter().copied().max().unwrap_or(1)
    }

    /// The integer that stands for `x[i]`, in steps: `multiplier · q` (0 past the end).
    pub fn integer(&self, i: usize) -> i32 {
        let q = self.q.get(place(i)).copied().unwrap_or(0);
        let multiplier = self.multipliers.get(i / UNIT).copied().unwrap_or(0);
        i32::from(q) << multiplier.trailing_zeros().min(31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn quantized(x: &[f32]) -> (Vec<i32>, f32) {
        let (nq, nm, ns) = activation_lens(x.len());
        let (mut q, mut m, mut s) = (vec![1; nq], vec![1; nm], vec![1; ns]);
        let mut buf = ActivationsBuf::new(&mut q, &mut m, &mut s);
        let a = buf.quantize(x).unwrap();
        let ints: Vec<i32> = (0..x.len()).map(|i| a.integer(i)).collect();
        assert_eq!(a.total, ints.iter().map(|&v| i64::from(v)).sum::<i64>());
        for (h, &sum) in a.sums.iter().enumerate() {
            let half: i32 = (32 * h..32 * h + 32).map(|i| a.integer(i)).sum();
            assert_eq!(i32::from(sum) * a.multipliers[h / 2] as i32, half);
        }
        (ints, a.step())
    }

    #[test]
    fn a_small_unit_keeps_its_resolution() {
        let mut x = vec![0.0f32; 130];
        x[0] = 1000.0;
        x[64] = 0.125;
        x[65] = -0.06;
        let (ints, step) = quantized(&x);
        assert!((ints[65] as f32 * step + 0.06).abs() < 0.0005);
        assert!((ints[0] as f32 * step - 1000.0).abs() < 0.01);
    }

    #[test]
    fn error_is_at_most_half_a_step_of_the_unit() {
        for len in [1, 16, 63, 64, 65, 172, 256, 257, 300, 1000] {
            let x: Vec<f32> = (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.3).collect();
            let (ints, step) = quantized(&x);
            let max = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (v, i) in x.iter().zip(ints) {
                assert!((v - i as f32 * step).abs() <= max / 127.0 * 0.5001);
            }
        }
    }

    /// Integers up to 127 are what quantising them as floats gives.
    #[test]
    fn integers_are_taken_as_they_are() {
        for len in [0, 1, 31, 32, 33, 64, 65, 192, 256, 257, 1000] {
            let values: Vec<i8> = (0..len).map(|i| (i * 37 % 255) as u8 as i8).collect();
            let values: Vec<i8> =
                values.iter().map(|v| if *v == -128 { 127 } else { *v }).collect();
            let (nq, nm, ns) = activation_lens(len);
            let (mut q, mut m, mut s) = (vec![9; nq + 1], vec![9; nm + 1], vec![9; ns + 1]);
            let mut buf = ActivationsBuf::new(&mut q, &mut m, &mut s);
            let a = buf.integers(len, |i| values[i]).unwrap();
            assert_eq!((a.len(), a.step(), a.max_multiplier()), (len, 1.0, 1));
            assert!((0..len).all(|i| a.integer(i) == i32::from(values[i])));
            assert_eq!(a.total, values.iter().map(|&v| i64::from(v)).sum::<i64>());
            for (half, &sum) in a.sums.iter().enumerate() {
                let values = values.iter().skip(32 * half).take(32);
                assert_eq!(i64::from(sum), values.map(|&v| i64::from(v)).sum::<i64>());
            }
            // Padding is zero and nothing else.
            let padding = a.q.iter().filter(|&&v| v == 0).count();
            assert_eq!(padding, nq - len + values.iter().filter(|&&v| v == 0).count());
        }
    }

    #[test]
    fn integers_that_do_not_fit_are_refused() {
        let (mut q, mut m, mut s) = ([0; 256], [0; 4], [0; 8]);
        let mut buf = ActivationsBuf::new(&mut q, &mut m, &mut s);
        let found = buf.integers(100, |i| if i == 70 { -128 } else { 127 }).map(|a| a.len());
        assert_eq!(found, Err(QuantError::Range { index: 70 }));
        let found = buf.integers(257, |_| 1).map(|a| a.len());
        assert_eq!(found, Err(QuantError::Length { expected: 512, actual: 256 }));
    }

    #[test]
    fn zero_tiny_and_bad_vectors() {
        assert_eq!(quantized(&[0.0; 70]), (vec![0; 70], 0.0));
        assert_eq!(quantized(&[1e-38; 3]), (vec![0; 3], 0.0));
        let (mut q, mut m, mut s) = ([0; 256], [0; 4], [0; 8]);
        let mut buf = ActivationsBuf::new(&mut q, &mut m, &mut s);
        let bad = buf.quantize(&[1.0, f32::NAN]).map(|a| a.len());
        assert_eq!(bad, Err(QuantError::NotFinite { index: 1 }));
        let long = buf.quantize(&[1.0; 257]).map(|a| a.len());
        assert_eq!(long, Err(QuantError::Length { expected: 512, actual: 256 }));
    }
}
