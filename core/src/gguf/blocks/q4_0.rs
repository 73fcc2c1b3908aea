//! Q4_0: 32 4-bit codes and a scale.

use half::f16;

/// `w[i] = d · (q[i] − 8)`, i in 0..32, with one rounding.
///
/// ```text
/// byte   0 1   2 …… 17
///        d     byte 2+j: bits 3:0 = q[j], bits 7:4 = q[16+j]       d: f16
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 18], out: &mut [f32; 32]) {
    let [d0, d1, codes @ ..] = block;
    let scale = f16::from_le_bytes([*d0, *d1]).to_f32_const();
    let (low, high) = out.split_at_mut(codes.len());
    for ((low, high), &pair) in low.iter_mut().zip(high).zip(codes) {
        *low = f32::from((pair & 15).cast_signed() - 8) * scale;
        *high = f32::from((pair >> 4).cast_signed() - 8) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_nibbles_come_before_high_ones() {
        let mut block = [0x88; 18];
        block[..2].copy_from_slice(&f16::from_f32(0.25).to_le_bytes());
        block[2] = 0xF0;
        block[17] = 0x9A;
        let mut out = [9.0; 32];
        expand_block(&block, &mut out);
        assert_eq!([out[0], out[16], out[15], out[31]], [-2.0, 1.75, 0.5, 0.25]);
        assert_eq!(out.iter().filter(|&&weight| weight == 0.0).count(), 28);
    }
}
