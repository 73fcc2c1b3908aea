//! Random numbers by counter: the value depends on seed and index alone.

/// The SplitMix64 output function (Steele, Lea and Flood 2014) at position `index`.
pub(crate) fn bits(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A whole number below `n`.
pub(crate) fn below(seed: u64, index: u64, n: usize) -> usize {
    ((u128::from(bits(seed, index)) * n as u128) >> 64) as usize
}

/// A number of −1..1, uniform.
pub(crate) fn signed(seed: u64, index: u64) -> f32 {
    (bits(seed, index) >> 40) as f32 / (1 << 23) as f32 - 1.0
}
