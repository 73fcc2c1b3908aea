//! I2_S, of the BitNet fork: 128 trits, four to a byte; one scale for the whole tensor.

/// `w[i] = d · (t[i] − 1)`, with no rounding. A code of 3, which no quantiser writes, is 0, as in
/// the fork's own expansion.
///
/// ```text
/// t[32p + j], p in 0..4, j in 0..32:  byte j, bits 7−2p:6−2p
///
/// tensor   block … block   d (f32)   28 bytes without meaning
/// ```
///
/// This is what the fork's x86-64 quantiser and its Python converter write and what its expansion
/// reads, and so what published files have. Its ARM quantiser writes groups of 64 (byte j of 16,
/// weights 16 apart) under the same number and in as many bytes: nothing in such a file tells it
/// apart, and it is read wrongly, as it is by the fork on x86-64.
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 32], scale: f32, out: &mut [f32; 128]) {
    for (weights, shift) in out.as_chunks_mut::<32>().0.iter_mut().zip([6, 4, 2, 0]) {
        for (weight, &byte) in weights.iter_mut().zip(block) {
            let code = (byte >> shift & 3).cast_signed();
            *weight = scale * f32::from(if code == 3 { 0 } else { code - 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_trit_is_in_the_highest_bits() {
        let mut block = [0x55; 32];
        block[0] = 0b0010_0111;
        block[31] = 0b0101_0110;
        let mut out = [9.0; 128];
        expand_block(&block, 0.75, &mut out);
        assert_eq!([0, 32, 64, 96].map(|i: usize| out[i]), [-0.75, 0.75, 0.0, 0.0]);
        assert_eq!([out[95], out[127]], [0.0, 0.75]);
        assert_eq!(out.iter().filter(|&&weight| weight == 0.0).count(), 125);
    }
}
