//! Q3_K: 256 3-bit codes and a 6-bit scale for each 16.

use half::f16;

/// `w[i] = (d · s[g]) · (q[i] − 4)`, g = i div 16, with a rounding for each multiplication.
///
/// ```text
/// byte   0 …… 31   32 …… 95   96 …… 107   108 109
///        h         q mod 4    s           d                d: f16, s: see `scales`
///
/// i = 128h + 32p + j, h in 0..2, p in 0..4, j in 0..32:
/// q[i] mod 4: byte 32 + 32h + j, bits 2p+1:2p     q[i] div 4: byte j, bit 4h + p
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 110], out: &mut [f32; 256]) {
    let (high, rest) = block.split_at(32);
    let (low, rest) = rest.split_at(64);
    let Some((packed, &[d0, d1])) = rest.split_first_chunk::<12>().and_then(|(packed, rest)| {
        let d: &[u8; 2] = rest.first_chunk()?;
        Some((packed, d))
    }) else {
        return;
    };
    let scale = f16::from_le_bytes([d0, d1]).to_f32_const();
    let scales = scales(packed);
    let halves = out.as_chunks_mut::<128>().0.iter_mut().zip(low.as_chunks::<32>().0);
    for (h, ((half, low), scales)) in (0..2).zip(halves.zip(scales.as_chunks::<8>().0)) {
        let groups = half.as_chunks_mut::<16>().0.iter_mut().zip(scales);
        let low = low.as_chunks::<16>().0.iter().cycle();
        let high = high.as_chunks::<16>().0.iter().cycle();
        for (g, (((weights, &factor), low), high)) in (0..8).zip(groups.zip(low).zip(high)) {
            let scale = scale * f32::from(factor);
            for ((weight, &low), &high) in weights.iter_mut().zip(low).zip(high) {
                let code = low >> (g & !1) & 3 | (high >> (4 * h + g / 2) & 1) << 2;
                *weight = scale * f32::from(code.cast_signed() - 4);
            }
        }
    }
}

/// The scales of the sixteen groups, −32 to 31.
///
/// ```text
/// (s[g] + 32) mod 16: byte g mod 8, bits 3:0 for g < 8, else 7:4
/// (s[g] + 32) div 16: byte 8 + g mod 4, bits 2(g div 4)+1 : 2(g div 4)
/// ```
#[inline]
fn scales(packed: &[u8; 12]) -> [i8; 16] {
    core::array::from_fn(|g| {
        let low = packed[g & 7] >> (g >> 3 << 2) & 15;
        let high = packed[8 + (g & 3)] >> (g >> 2 << 1) & 3;
        (low | high << 4).cast_signed() - 32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_put_together_from_nibbles_and_pairs() {
        let mut packed = [0; 12];
        packed[1] = 0x5A; // groups 1 and 9
        packed[9] = 0b1101_1000; // groups 1, 5, 9 and 13
        let found = scales(&packed);
        assert_eq!([found[1], found[5], found[9], found[13]], [10 - 32, 0, 5 - 16, 16]);
        assert_eq!(found.iter().filter(|&&scale| scale == -32).count(), 12);
    }

    #[test]
    fn a_set_high_bit_takes_nothing_away() {
        let mut block = [0; 110];
        block[108..].copy_from_slice(&f16::from_f32(-0.25).to_le_bytes());
        block[31] = 0b1000_0001; // weights 31 and 255
        block[32 + 63] = 0xC0; // weight 255
        let mut out = [9.0; 256];
        expand_block(&block, &mut out);
        assert_eq!([out[0], out[31], out[255]], [-32.0, 0.0, 24.0]);
        assert_eq!(out.iter().filter(|&&weight| weight == -32.0).count(), 254);
    }
}
