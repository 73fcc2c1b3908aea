//! Q5_1: 32 5-bit codes, a scale and a minimum.

use super::q5_0::five_bits;
use half::f16;

/// `w[i] = d · q[i] + m`, i in 0..32, with two roundings.
///
/// ```text
/// byte   0 1   2 3   4 … 7   8 …… 23
///        d     m     h       byte 8+j: bits 3:0 = q[j] mod 16, bits 7:4 = q[16+j] mod 16
/// d, m: f16;  h: u32, bit i = q[i] div 16
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 24], out: &mut [f32; 32]) {
    let [d0, d1, m0, m1, h0, h1, h2, h3, codes @ ..] = block;
    let scale = f16::from_le_bytes([*d0, *d1]).to_f32_const();
    let least = f16::from_le_bytes([*m0, *m1]).to_f32_const();
    let high = u32::from_le_bytes([*h0, *h1, *h2, *h3]);
    five_bits(codes, high, out, |code| scale * f32::from(code) + least);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_count_up_from_the_minimum() {
        let mut block = [0; 24];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2..4].copy_from_slice(&f16::from_f32(-2.0).to_le_bytes());
        block[4..8].copy_from_slice(&0x8001_0002u32.to_le_bytes());
        block[9] = 0x03;
        block[23] = 0xF0;
        let mut out = [9.0; 32];
        expand_block(&block, &mut out);
        assert_eq!([out[0], out[1], out[16], out[17], out[31]], [-2.0, 7.5, 6.0, -2.0, 13.5]);
        assert_eq!(out.iter().filter(|&&weight| weight == -2.0).count(), 29);
    }
}
