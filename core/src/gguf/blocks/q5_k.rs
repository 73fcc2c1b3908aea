//! Q5_K: 256 5-bit codes, a 6-bit scale and a 6-bit minimum for each 32.

use super::q4_k::factors;
use half::f16;

/// `w[i] = (d · s[g]) · q[i] − (e · m[g])`, g = i div 32, with a rounding for each operation.
///
/// ```text
/// byte   0 1   2 3   4 …… 15   16 …… 47   48 …… 175
///        d     e     s, m      q div 16   q mod 16        d, e: f16;  s, m: as in Q4_K
///
/// i = 64c + j, c in 0..4, j in 0..32, and i + 32:
/// q[i] mod 16: byte 48 + 32c + j, bits 3:0     q[i + 32] mod 16: bits 7:4
/// q[i] div 16: byte 16 + j, bit 2c             q[i + 32] div 16: bit 2c + 1
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 176], out: &mut [f32; 256]) {
    let [d0, d1, e0, e1, rest @ ..] = block;
    let Some((packed, rest)) = rest.split_first_chunk::<12>() else { return };
    let (high, low) = rest.split_at(32);
    let scale = f16::from_le_bytes([*d0, *d1]).to_f32_const();
    let least = f16::from_le_bytes([*e0, *e1]).to_f32_const();
    let factors = factors(packed);
    let pairs = out.as_chunks_mut::<64>().0.iter_mut().zip(factors.as_chunks::<2>().0);
    for (c, ((pair, factors), low)) in (0..4).zip(pairs.zip(low.as_chunks::<32>().0)) {
        let groups = pair.as_chunks_mut::<32>().0.iter_mut().zip(factors);
        for (half, (weights, &(s, m))) in (0..2).zip(groups) {
            let (scale, least) = (scale * f32::from(s), least * f32::from(m));
            for ((weight, &low), &high) in weights.iter_mut().zip(low).zip(high) {
                let code = low >> (4 * half) & 15 | (high >> (2 * c + half) & 1) << 4;
                *weight = scale * f32::from(code) - least;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_bits_stand_group_above_group() {
        let mut block = [0; 176];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2..4].copy_from_slice(&f16::from_f32(-1.0).to_le_bytes());
        (block[4], block[5], block[9]) = (1, 2, 3);
        block[16 + 31] = 0b10;
        block[48 + 31] = 0x95;
        let mut out = [9.0; 256];
        expand_block(&block, &mut out);
        assert_eq!([out[31], out[32], out[63], out[64]], [2.5, 3.0, 28.0, 0.0]);
    }
}
