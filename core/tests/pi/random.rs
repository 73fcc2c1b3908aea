//! White noise to compare with: SplitMix64 (Steele, Lea and Flood 2014).

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `from..to`.
    pub(crate) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Nearly normally distributed, mean 0 and variance 1: the sum of twelve uniform numbers of ten
    /// bits, less 6.
    pub(crate) fn normal(&mut self) -> f64 {
        let (a, b) = (self.bits(), self.bits());
        let sum = |bits: u64| (0..6).map(|i| bits >> (10 * i) & 1023).sum::<u64>();
        (sum(a) + sum(b) + 6) as f64 / 1024.0 - 6.0
    }
}
