//! Values to test with, from a seed.

/// The next number of a sequence (splitmix64).
pub fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number from −1 to 1; one of seven is a thousand times smaller.
pub fn float(seed: &mut u64) -> f32 {
    let v = (random(seed) >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
    if random(seed).is_multiple_of(7) { v * 1e-3 } else { v }
}

/// The bits of floats, which compare where floats would not.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}
