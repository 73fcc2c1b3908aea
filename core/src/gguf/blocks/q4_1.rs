//! Q4_1: 32 4-bit codes, a scale and a minimum.

use half::f16;

/// `w[i] = d · q[i] + m`, i in 0..32, with two roundings.
///
/// ```text
/// byte   0 1   2 3   4 …… 19
///        d     m     byte 4+j: bits 3:0 = q[j], bits 7:4 = q[16+j]       d, m: f16
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 20], out: &mut [f32; 32]) {
    let [d0, d1, m0, m1, codes @ ..] = block;
    let scale = f16::from_le_bytes([*d0, *d1]).to_f32_const();
    let least = f16::from_le_bytes([*m0, *m1]).to_f32_const();
    let (low, high) = out.split_at_mut(codes.len());
    for ((low, high), &pair) in low.iter_mut().zip(high).zip(codes) {
        *low = scale * f32::from(pair & 15) + least;
        *high = scale * f32::from(pair >> 4) + least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_count_up_from_the_minimum() {
        let mut block = [0; 20];
        block[..2].copy_from_slice(&f16::from_f32(0.25).to_le_bytes());
        block[2..4].copy_from_slice(&f16::from_f32(-1.0).to_le_bytes());
        block[4] = 0xF1;
        block[19] = 0x28;
        let mut out = [9.0; 32];
        expand_block(&block, &mut out);
        assert_eq!([out[0], out[16], out[15], out[31]], [-0.75, 2.75, 1.0, -0.5]);
        assert_eq!(out.iter().filter(|&&weight| weight == -1.0).count(), 28);
    }
}
