//! Q8_0: 32 signed bytes and a scale.

use half::f16;

/// `w[i] = d · q[i]`, i in 0..32, with one rounding.
///
/// ```text
/// byte   0 1   2 …… 33
///        d     q[0] … q[31]       d: f16, q: i8
/// ```
///
/// Class: Exact.
#[inline]
pub fn expand_block(block: &[u8; 34], out: &mut [f32; 32]) {
    let [d0, d1, codes @ ..] = block;
    let scale = f16::from_le_bytes([*d0, *d1]).to_f32_const();
    for (weight, &code) in out.iter_mut().zip(codes) {
        *weight = f32::from(code.cast_signed()) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_signed_and_in_order() {
        let mut block = [0; 34];
        block[..2].copy_from_slice(&f16::from_f32(-0.5).to_le_bytes());
        block[2] = 0x80;
        block[3] = 0x7F;
        block[33] = 1;
        let mut out = [9.0; 32];
        expand_block(&block, &mut out);
        assert_eq!([out[0], out[1], out[2], out[31]], [64.0, -63.5, 0.0, -0.5]);
    }
}
