//! Random numbers by counter: the value depends on seed and index alone.

/// The SplitMix64 output function (Steele, Lea and Flood 2014) at position `index`.
pub fn bits(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A whole number below `n`.
pub fn below(seed: u64, index: u64, n: usize) -> usize {
    ((u128::from(bits(seed, index)) * n as u128) >> 64) as usize
}

/// A standard normal number (Box and Muller).
pub fn normal(seed: u64, index: u64) -> f32 {
    let unit = |i| ((bits(seed, i) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let (u, v) = (unit(2 * index), unit(2 * index + 1));
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}
