//! Floats stored one by one.

/// One little-endian IEEE single. Class: Exact.
#[inline]
pub const fn expand_f32(block: &[u8; 4], [out]: &mut [f32; 1]) {
    *out = f32::from_le_bytes(*block);
}

/// One little-endian IEEE half. Every half is also a single, so this never rounds. Class: Exact.
///
/// With exponent e and fraction f (5 and 10 bits):
///
/// ```text
/// e = 0         f · 2⁻²⁴, the product of two normal numbers, so flushing denormals is harmless
/// 0 < e < 31    the same fields in wider places, e biased by 112 more
/// e = 31        the same, biased by 224 more: infinity, or NaN with its payload
/// ```
///
/// Selects instead of branches, so that loops over it become vector code.
#[inline]
pub const fn expand_f16(block: &[u8; 2], [out]: &mut [f32; 1]) {
    let bits = u16::from_le_bytes(*block) as u32;
    let magnitude = bits & 0x7FFF;
    let sign = (bits & 0x8000) << 16;
    let bias = if magnitude >= 31 << 10 { 224 << 23 } else { 112 << 23 };
    let wide = (magnitude << 13) + bias;
    let small = (magnitude as f32 * (1.0 / (1 << 24) as f32)).to_bits();
    *out = f32::from_bits(sign | if magnitude < 1 << 10 { small } else { wide });
}

/// One little-endian bf16: the upper half of a single whose lower half is zero. Class: Exact.
#[inline]
pub const fn expand_bf16(block: &[u8; 2], [out]: &mut [f32; 1]) {
    let [low, high] = *block;
    *out = f32::from_le_bytes([0, 0, low, high]);
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    /// The value of a half from its fields, in double precision, where nothing rounds.
    fn half_by_definition(bits: u16) -> f64 {
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
        sign * match exponent {
            0 => libm::ldexp(fraction, -24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => libm::ldexp(1024.0 + fraction, exponent - 25),
        }
    }

    #[test]
    fn every_half_has_its_value() {
        for bits in 0..=u16::MAX {
            let mut out = [1.0];
            expand_f16(&bits.to_le_bytes(), &mut out);
            let expected = half_by_definition(bits) as f32;
            assert_eq!(out[0].is_nan(), expected.is_nan(), "{bits:#06x}");
            assert_eq!(out[0].is_nan(), f16::from_bits(bits).is_nan(), "{bits:#06x}");
            if !expected.is_nan() {
                assert_eq!(out[0].to_bits(), expected.to_bits(), "{bits:#06x}");
                assert_eq!(out[0], f16::from_bits(bits).to_f32_const(), "{bits:#06x}");
            }
        }
    }

    #[test]
    fn every_bf16_is_the_upper_half() {
        for bits in 0..=u16::MAX {
            let mut out = [1.0];
            expand_bf16(&bits.to_le_bytes(), &mut out);
            assert_eq!(out[0].to_bits(), u32::from(bits) << 16);
        }
    }
}
