//! Q2_K: 256 2-bit codes, a 4-bit scale and a 4-bit minimum for each 16.

use half::f16;

/// `w[i] = (d · s[g]) · q[i] − (e · m[g])`, g = i div 16, with a rounding for each operation.
///
/// ```text
/// byte   0 …… 15                      16 …… 79   80 81   82 83
///        s[g] in 3:0, m[g] in 7:4     q          d       e       d, e: f16
///
/// q[128h + 32p + j], h in 0..2, p in 0..4, j in 0..32:  byte 16 + 32h + j, bits 2p+1:2p
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 84], out: &mut [f32; 256]) {
    let (scales, rest) = block.split_at(16);
    let Some((codes, &[d0, d1, e0, e1])) = rest.split_last_chunk::<4>() else { return };
    let scale = f16::from_le_bytes([d0, d1]).to_f32_const();
    let least = f16::from_le_bytes([e0, e1]).to_f32_const();
    let halves = out.as_chunks_mut::<128>().0.iter_mut().zip(codes.as_chunks::<32>().0);
    for ((half, codes), scales) in halves.zip(scales.as_chunks::<8>().0) {
        let groups = half.as_chunks_mut::<16>().0.iter_mut().zip(scales);
        let groups = groups.zip(codes.as_chunks::<16>().0.iter().cycle());
        for (g, ((weights, &factors), codes)) in (0..8).zip(groups) {
            let scale = scale * f32::from(factors & 15);
            let least = least * f32::from(factors >> 4);
            for (weight, &byte) in weights.iter_mut().zip(codes) {
                *weight = scale * f32::from(byte >> (g & !1) & 3) - least;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_sixteen_share_factors() {
        let mut block = [0; 84];
        block[80..82].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[82..84].copy_from_slice(&f16::from_f32(0.25).to_le_bytes());
        block[3] = 0x21; // weights 48..64: scale 1, minimum 2
        block[15] = 0x0F; // weights 240..256: scale 15
        block[16 + 16] = 0b1100; // weights 16 and 48 of that byte: 0 and 3
        block[79] = 0x40; // weight 255: 1
        let mut out = [9.0; 256];
        expand_block(&block, &mut out);
        assert_eq!([out[16], out[48], out[49], out[255]], [0.0, 1.0, -0.5, 7.5]);
        assert_eq!(out.iter().filter(|&&weight| weight == 0.0).count(), 256 - 16 - 1);
    }
}
