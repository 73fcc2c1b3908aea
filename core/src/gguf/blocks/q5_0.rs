//! Q5_0: 32 5-bit codes and a scale.

use half::f16;

/// `w[i] = d · (q[i] − 16)`, i in 0..32, with one rounding.
///
/// ```text
/// byte   0 1   2 … 5   6 …… 21
///        d     h       byte 6+j: bits 3:0 = q[j] mod 16, bits 7:4 = q[16+j] mod 16
/// d: f16;  h: u32, bit i = q[i] div 16
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 22], out: &mut [f32; 32]) {
    let [d0, d1, h0, h1, h2, h3, codes @ ..] = block;
    let scale = f16::from_le_bytes([*d0, *d1]).to_f32_const();
    let high = u32::from_le_bytes([*h0, *h1, *h2, *h3]);
    five_bits(codes, high, out, |code| scale * f32::from(code.cast_signed() - 16));
}

/// `out[i] = weight(q[i])`, with the low four bits of `q[j]` and `q[16+j]` in `low[j]` and the fifth
/// bit of `q[i]` in bit i of `high`. Class: Exact.
#[inline(always)]
pub(super) fn five_bits(
    low: &[u8; 16],
    high: u32,
    out: &mut [f32; 32],
    weight: impl Fn(u8) -> f32,
) {
    let (first, second) = out.split_at_mut(low.len());
    for (j, ((first, second), &pair)) in (0u32..16).zip(first.iter_mut().zip(second).zip(low)) {
        let fifth = |bit: u32| (high >> bit & 1) as u8 * 16;
        *first = weight(pair & 15 | fifth(j));
        *second = weight(pair >> 4 | fifth(j + 16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_bit_of_each_code_stands_apart() {
        let mut block = [0; 22];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2..6].copy_from_slice(&0x8001_0002u32.to_le_bytes());
        block[7] = 0x03;
        block[21] = 0xF0;
        let mut out = [9.0; 32];
        expand_block(&block, &mut out);
        assert_eq!([out[0], out[1], out[16], out[17], out[31]], [-8.0, 1.5, 0.0, -8.0, 7.5]);
        assert_eq!(out.iter().filter(|&&weight| weight == -8.0).count(), 29);
    }
}
