//! Inputs that are the same on every target.

/// Splitmix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u32) -> u32 {
        (self.bits() >> 32) as u32 % n
    }

    /// A multiple of 2⁻²³ in −1..1.
    pub(crate) fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as i32 as f32 / 8_388_608.0 - 1.0
    }

    /// Values whose magnitude differs from one unit of 64 to the next, by up to 2⁻¹⁷.
    pub(crate) fn uneven(&mut self, x: &mut [f32]) {
        for unit in x.chunks_mut(64) {
            let factor = 1.0 / (1u32 << self.below(18)) as f32;
            unit.iter_mut().for_each(|x| *x = self.signed() * factor);
        }
    }
}
