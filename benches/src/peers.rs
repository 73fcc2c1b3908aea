//! Published crates with a ternary or low-bit product of their own, one module each.

pub mod bitnet;
pub mod candle;
pub mod tritter;

/// Tolerance of a product in plain f32. The rounding errors of 4096 additions of one sign pattern
/// grow like a random walk, √4096·2⁻²⁴ ≈ 4·10⁻⁶ of the result.
const FLOAT_TOLERANCE: f64 = 1e-5;
