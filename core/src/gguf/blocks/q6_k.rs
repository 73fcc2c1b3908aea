//! Q6_K: 256 6-bit codes and an 8-bit scale for each 16.

use half::f16;

/// `w[i] = (d · s[g]) · (q[i] − 32)`, g = i div 16, with a rounding for each multiplication.
///
/// ```text
/// byte   0 …… 127    128 …… 191   192 …… 207   208 209
///        q mod 16    q div 16     s            d           s: i8, d: f16
///
/// i = 128h + 64n + 32p + j, h, n and p in 0..2, j in 0..32:
/// q[i] mod 16: byte 64h + 32p + j, bits 4n+3:4n
/// q[i] div 16: byte 128 + 32h + j, bits 4n+2p+1 : 4n+2p
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 210], out: &mut [f32; 256]) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let Some((scales, &[d0, d1])) = rest.split_last_chunk::<2>() else { return };
    let scale = f16::from_le_bytes([d0, d1]).to_f32_const();
    let halves = out.as_chunks_mut::<128>().0.iter_mut().zip(scales.as_chunks::<8>().0);
    let codes = low.as_chunks::<64>().0.iter().zip(high.as_chunks::<32>().0);
    for ((half, scales), (low, high)) in halves.zip(codes) {
        let groups = half.as_chunks_mut::<16>().0.iter_mut().zip(scales);
        let low = low.as_chunks::<16>().0.iter().cycle();
        let high = high.as_chunks::<16>().0.iter().cycle();
        for (g, (((weights, &factor), low), high)) in (0..8).zip(groups.zip(low).zip(high)) {
            let scale = scale * f32::from(factor.cast_signed());
            for ((weight, &low), &high) in weights.iter_mut().zip(low).zip(high) {
                let code = low >> (g & 4) & 15 | (high >> (g & 6) & 3) << 4;
                *weight = scale * f32::from(code.cast_signed() - 32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_pairs_and_low_nibbles_meet() {
        let mut block = [0; 210];
        block[208..].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[192] = 1; // weights 0..16
        block[207] = 0xFE; // weights 240..256: −2
        block[0] = 0x05; // weights 0 and 64
        block[127] = 0xF0; // weights 191 and 255
        block[128] = 0b10; // weight 0
        block[191] = 0b1100_0000; // weight 255
        let mut out = [9.0; 256];
        expand_block(&block, &mut out);
        assert_eq!([out[0], out[1], out[16], out[255], out[254]], [2.5, -16.0, 0.0, -31.0, 32.0]);
    }
}
