//! TQ1_0: 256 trits, five to a byte, and a scale.

use half::f16;

/// `w[i] = d · (t[i] − 1)`, with no rounding.
///
/// ```text
/// byte   0 …… 31        32 …… 47         48 …… 51         52 53
///        t[0..160]      t[160..240]      t[240..256]      d          d: f16
///
/// t[32n + j]: byte j, trit n       t[160 + 16n + j]: byte 32+j, trit n       n in 0..5
/// t[240 + 4n + j]: byte 48+j, trit n                                         n in 0..4
/// ```
///
/// A byte is ⌈256/243 · Σ 3^(4−n) · t⌉, a fraction of five digits in base three: trit n is the
/// whole part of `3 · (3ⁿ · byte mod 256) / 256`.
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 54], out: &mut [f32; 256]) {
    let (fives, rest) = block.split_at(32);
    let (shorter, rest) = rest.split_at(16);
    let (last, d) = rest.split_at(4);
    let Some(&d) = d.first_chunk() else { return };
    let scale = f16::from_le_bytes(d).to_f32_const();
    let (first, rest) = out.split_at_mut(160);
    let (second, third) = rest.split_at_mut(80);
    trits::<32>(fives, scale, first);
    trits::<16>(shorter, scale, second);
    trits::<4>(last, scale, third);
}

/// Trit after trit of `N` bytes.
#[inline(always)]
fn trits<const N: usize>(bytes: &[u8], scale: f32, out: &mut [f32]) {
    for (weights, power) in out.as_chunks_mut::<N>().0.iter_mut().zip([1u8, 3, 9, 27, 81]) {
        for (weight, &byte) in weights.iter_mut().zip(bytes) {
            let trit = (u16::from(byte.wrapping_mul(power)) * 3) >> 8;
            *weight = scale * (f32::from(trit) - 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The byte of five trits.
    fn byte(trits: [u16; 5]) -> u8 {
        let number = trits.into_iter().fold(0, |sum, trit| 3 * sum + trit);
        (256 * number).div_ceil(243) as u8
    }

    #[test]
    fn bytes_are_fractions_in_base_three() {
        let mut block = [byte([1; 5]); 54];
        block[52..].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[1] = byte([2, 0, 1, 2, 0]);
        block[47] = byte([0, 2, 2, 2, 2]);
        block[51] = byte([1, 1, 1, 2, 0]);
        let mut out = [9.0; 256];
        expand_block(&block, &mut out);
        assert_eq!([1, 33, 65, 97, 129].map(|i: usize| out[i]), [0.5, -0.5, 0.0, 0.5, -0.5]);
        assert_eq!([175, 191, 239].map(|i: usize| out[i]), [-0.5, 0.5, 0.5]);
        assert_eq!([251, 255].map(|i: usize| out[i]), [0.0, 0.5]);
        assert_eq!(out.iter().filter(|&&weight| weight == 0.0).count(), 256 - 4 - 5 - 1);
    }
}
