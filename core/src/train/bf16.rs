//! bfloat16: an f32 without its lower 16 bits.
//!
//! Rounded to nearest, ties to even, values beyond the largest to infinity; a NaN stays a NaN, made
//! quiet, and infinities stay. The rounding is the crate `half`'s; the tests here compare it with a
//! definition of their own. Exact.

use crate::error::{ArgumentError, check_lengths};
use half::bf16;

/// The bits of the nearest bfloat16.
///
/// ```
/// use trilane_core::train::bf16::{bf16_to_f32, f32_to_bf16};
/// assert_eq!(bf16_to_f32(f32_to_bf16(1.004)), 1.007_812_5); // a little over half: up
/// assert!(bf16_to_f32(f32_to_bf16(f32::from_bits(0x7F80_0001))).is_nan()); // not infinity
/// ```
pub const fn f32_to_bf16(value: f32) -> u16 {
    bf16::from_f32_const(value).to_bits()
}

/// The value of those bits.
pub const fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// [`f32_to_bf16`] of each value. Shapes: `bits` as `values`.
///
/// # Errors
/// [`ArgumentError::Length`].
pub fn convert_to_bf16(values: &[f32], bits: &mut [u16]) -> Result<(), ArgumentError> {
    check_lengths(values.len(), bits.len())?;
    bits.iter_mut().zip(values).for_each(|(b, v)| *b = f32_to_bf16(*v));
    Ok(())
}

/// [`bf16_to_f32`] of each value. Shapes: `values` as `bits`.
///
/// # Errors
/// [`ArgumentError::Length`].
pub fn convert_from_bf16(bits: &[u16], values: &mut [f32]) -> Result<(), ArgumentError> {
    check_lengths(bits.len(), values.len())?;
    values.iter_mut().zip(bits).for_each(|(v, b)| *v = bf16_to_f32(*b));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearer of the two neighbours in f64, the even one of equals.
    fn nearest(value: f32) -> f32 {
        let below = f32::from_bits(value.to_bits() & 0xFFFF_0000);
        let above = f32::from_bits((value.to_bits() & 0xFFFF_0000).wrapping_add(0x1_0000));
        // What infinity stands for in rounding: the next power of two.
        let wide = |v: f32| {
            if v.is_infinite() { v.signum() as f64 * 2.0f64.powi(128) } else { f64::from(v) }
        };
        let (down, up) = (wide(value) - wide(below), wide(above) - wide(value));
        let even = below.to_bits() & 0x1_0000 == 0;
        if down.abs() < up.abs() || (down.abs() == up.abs() && even) { below } else { above }
    }

    #[test]
    fn rounding_is_to_the_nearest_even_and_nan_stays() {
        // Every bfloat16, with lower halves about the tie and at the ends.
        for high in 0..=u16::MAX {
            for low in [0u16, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, high.wrapping_mul(40_503)] {
                let value = f32::from_bits(u32::from(high) << 16 | u32::from(low));
                let back = bf16_to_f32(f32_to_bf16(value));
                if value.is_nan() {
                    assert!(back.is_nan() && back.to_bits() & 0x0040_0000 != 0, "{high:x} {low:x}");
                    assert_eq!(back.is_sign_negative(), value.is_sign_negative());
                } else if value.is_infinite() {
                    assert_eq!(back, value);
                } else {
                    assert_eq!(back.to_bits(), nearest(value).to_bits(), "{high:x} {low:x}");
                }
            }
        }
    }

    #[test]
    fn slices_of_different_lengths_are_refused() {
        let (mut bits, mut values) = ([0; 2], [0.0; 2]);
        convert_to_bf16(&[1.0, -2.5], &mut bits).unwrap();
        convert_from_bf16(&bits, &mut values).unwrap();
        assert_eq!(values, [1.0, -2.5]);
        let wrong = Err(ArgumentError::Length { expected: 1, actual: 2 });
        assert_eq!(convert_to_bf16(&[1.0], &mut bits), wrong);
        assert_eq!(convert_from_bf16(&[1], &mut values), wrong);
    }
}
