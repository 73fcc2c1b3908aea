//! Q4_K: 256 4-bit codes, a 6-bit scale and a 6-bit minimum for each 32.

use half::f16;

/// `w[i] = (d · s[g]) · q[i] − (e · m[g])`, g = i div 32, with a rounding for each operation.
///
/// ```text
/// byte   0 1   2 3   4 …… 15   16 …… 143
///        d     e     s, m      q               d, e: f16;  s, m: see `factors`
///
/// q[64c + j], c in 0..4, j in 0..32: byte 16 + 32c + j, bits 3:0;  q[64c + 32 + j]: bits 7:4
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 144], out: &mut [f32; 256]) {
    let [d0, d1, e0, e1, rest @ ..] = block;
    let Some((packed, codes)) = rest.split_first_chunk::<12>() else { return };
    let scale = f16::from_le_bytes([*d0, *d1]).to_f32_const();
    let least = f16::from_le_bytes([*e0, *e1]).to_f32_const();
    let factors = factors(packed);
    let pairs = out.as_chunks_mut::<64>().0.iter_mut().zip(factors.as_chunks::<2>().0);
    for ((pair, factors), codes) in pairs.zip(codes.as_chunks::<32>().0) {
        let groups = pair.as_chunks_mut::<32>().0.iter_mut().zip(factors);
        for (shift, (weights, &(s, m))) in [0, 4].into_iter().zip(groups) {
            let (scale, least) = (scale * f32::from(s), least * f32::from(m));
            for (weight, &pair) in weights.iter_mut().zip(codes) {
                *weight = scale * f32::from(pair >> shift & 15) - least;
            }
        }
    }
}

/// Scale and minimum of the eight groups, 0 to 63.
///
/// ```text
///             g < 4                     g ≥ 4, k = g − 4
/// s[g]        byte g, bits 5:0          low: byte 8+k, bits 3:0    high: byte k, bits 7:6
/// m[g]        byte 4+g, bits 5:0        low: byte 8+k, bits 7:4    high: byte 4+k, bits 7:6
/// ```
#[inline]
pub(super) fn factors(packed: &[u8; 12]) -> [(u8, u8); 8] {
    core::array::from_fn(|g| {
        let k = g & 3;
        let (s, m, low) = (packed[k], packed[4 + k], packed[8 + k]);
        if g < 4 { (s & 63, m & 63) } else { (low & 15 | s >> 6 << 4, low >> 4 | m >> 6 << 4) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_of_later_groups_use_the_spare_bits() {
        let mut packed = [0; 12];
        (packed[1], packed[5], packed[9]) = (0b1000_0111, 0b0111_1111, 0xA5);
        let mut expected = [(0, 0); 8];
        expected[1] = (7, 63);
        expected[5] = (0x25, 0x1A);
        assert_eq!(factors(&packed), expected);
    }

    #[test]
    fn nibbles_of_a_byte_are_a_group_apart() {
        let mut block = [0; 144];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2..4].copy_from_slice(&f16::from_f32(0.25).to_le_bytes());
        (block[4], block[5], block[9]) = (1, 2, 4);
        block[16 + 31] = 0x95;
        let mut out = [9.0; 256];
        expand_block(&block, &mut out);
        assert_eq!([out[31], out[32], out[63], out[64]], [2.5, -1.0, 8.0, 0.0]);
    }
}
