//! One number for all the bits of a result.

/// A 64-bit FNV-1a hash over the bits of floats, little-endian (Fowler, Noll and Vo 1991).
///
/// It shows that two platforms computed the same; it is no protection against forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Digest {
    /// Takes bytes in. Exact.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    /// Takes floats in, each as its bits; every NaN counts as the same one. Exact.
    ///
    /// ```
    /// use trilane_core::model::Digest;
    /// let mut digest = Digest::default();
    /// digest.floats(&[1.0, -0.0]);
    /// assert_eq!(digest.value(), 0x0979_a9ee_2da1_bb98);
    /// ```
    pub fn floats(&mut self, values: &[f32]) {
        for v in values {
            let bits = if v.is_nan() { 0x7FC0_0000 } else { v.to_bits() };
            self.bytes(&bits.to_le_bytes());
        }
    }

    /// Takes integers in, each as eight bytes, the lowest first. Exact.
    pub fn integers(&mut self, values: &[i64]) {
        for v in values {
            self.bytes(&v.to_le_bytes());
        }
    }

    /// The hash of everything taken in.
    pub const fn value(self) -> u64 {
        self.0
    }
}
