//! Integer sums back to int8, without floats.

/// The largest activation.
const LARGEST: i64 = 127;

/// The smallest `k`, at most 57, for which `⌊max / 2^k + ½⌋` is at most 127; 0 for `max` ≤ 127.
/// Exact.
///
/// ```
/// use trilane_core::quant::requantize_shift;
/// assert_eq!([0, 127, 128, 254, 255].map(requantize_shift), [0, 0, 1, 1, 2]);
/// ```
pub const fn requantize_shift(max: i64) -> u32 {
    if max <= LARGEST {
        return 0;
    }
    // Truncated to seven bits; rounding may still carry into an eighth.
    let k = i64::BITS - max.leading_zeros() - LARGEST.count_ones();
    if rounded(max, k) > LARGEST { k + 1 } else { k }
}

/// `min(⌊max(sum, 0) / 2^shift + ½⌋, 127)`: rectified, scaled down, rounded half up. Exact.
///
/// ```
/// use trilane_core::quant::requantize;
/// assert_eq!([-9, 0, 5, 6, 9, 10].map(|sum| requantize(sum, 2)), [0, 0, 1, 2, 2, 3]);
/// ```
pub const fn requantize(sum: i64, shift: u32) -> i8 {
    if sum <= 0 {
        return 0;
    }
    let q = rounded(sum, shift);
    if q > LARGEST { LARGEST as i8 } else { q as i8 }
}

/// `⌊sum / 2^shift + ½⌋` of a sum that is not negative.
const fn rounded(sum: i64, shift: u32) -> i64 {
    match shift {
        0 => sum,
        // The highest bit that is shifted out is the half.
        1..i64::BITS => (sum >> shift) + (sum >> (shift - 1) & 1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in a wider type.
    fn naive(sum: i64, shift: u32) -> i128 {
        let half = (1i128 << shift) / 2;
        (i128::from(sum.max(0)) + half) >> shift
    }

    fn sums() -> impl Iterator<Item = i64> {
        let near_powers = (0..63).flat_map(|bit| (-3..=3).map(move |d| (1i64 << bit) + d));
        (0..5000).chain(near_powers).chain([i64::MAX - 1, i64::MAX])
    }

    #[test]
    fn the_shift_is_the_smallest_that_fits() {
        for max in sums() {
            let k = requantize_shift(max);
            assert!(naive(max, k) <= 127, "{max}");
            assert!(k == 0 || naive(max, k - 1) > 127, "{max}");
            assert_eq!(i128::from(requantize(max, k)), naive(max, k));
        }
    }

    #[test]
    fn rounds_half_up_and_saturates() {
        for sum in sums().chain([-1, i64::MIN]) {
            for shift in [0, 1, 2, 7, 33, 62, 63] {
                assert_eq!(i128::from(requantize(sum, shift)), naive(sum, shift).min(127));
            }
            assert_eq!(requantize(sum, 64), 0);
        }
    }
}
