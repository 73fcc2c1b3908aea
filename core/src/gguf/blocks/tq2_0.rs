//! TQ2_0: 256 trits, four to a byte, and a scale.

use half::f16;

/// `w[i] = d · (t[i] − 1)`, with no rounding. A code of 3, which no quantiser writes, is 2d, as in
/// the reference.
///
/// ```text
/// byte   0 …… 63   64 65
///        t         d           d: f16
///
/// t[128h + 32p + j], h in 0..2, p in 0..4, j in 0..32:  byte 32h + j, bits 2p+1:2p
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 66], out: &mut [f32; 256]) {
    let Some((codes, &d)) = block.split_last_chunk::<2>() else { return };
    let scale = f16::from_le_bytes(d).to_f32_const();
    let halves = out.as_chunks_mut::<128>().0.iter_mut().zip(codes.as_chunks::<32>().0);
    for (half, codes) in halves {
        for (weights, shift) in half.as_chunks_mut::<32>().0.iter_mut().zip([0, 2, 4, 6]) {
            for (weight, &byte) in weights.iter_mut().zip(codes) {
                *weight = scale * f32::from((byte >> shift & 3).cast_signed() - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trits_of_a_byte_are_thirty_two_apart() {
        let mut block = [0x55; 66];
        block[64..].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[0] = 0b0001_1000;
        block[63] = 0b1101_0101;
        let mut out = [9.0; 256];
        expand_block(&block, &mut out);
        assert_eq!([0, 32, 64, 96].map(|i: usize| out[i]), [-0.5, 0.5, 0.0, -0.5]);
        assert_eq!(out[255], 1.0);
        assert_eq!(out.iter().filter(|&&weight| weight == 0.0).count(), 252);
    }
}
