//! The k values of largest magnitude, without memory for n of anything.

/// Magnitudes that can be gone through several times, in the order of their indices.
pub(super) trait Magnitudes {
    /// Calls `visit(index, bits of |x[index]|)` for all; magnitudes are in the order of their bits.
    fn for_each(&self, visit: impl FnMut(usize, u32));
}

impl Magnitudes for [f32] {
    #[inline(always)]
    fn for_each(&self, mut visit: impl FnMut(usize, u32)) {
        for (i, x) in self.iter().enumerate() {
            visit(i, x.to_bits() & 0x7FFF_FFFF);
        }
    }
}

/// How finely magnitudes are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// By every bit.
    Full,
    /// By the exponent and the leading seven bits of the significand: magnitudes within 2⁻⁷ of one
    /// another may count as equal.
    Coarse,
}

/// Calls `take(place, index)` for the k largest of the magnitudes, in the order of their indices;
/// of equal ones those from index `start` on, then those from 0. k is at least 1 and at most the number
/// of magnitudes. Exact.
///
/// A radix select: eight bits at a time, from the highest, the counts of all digits say which digit
/// the k-th largest has. Four passes ([`Precision::Coarse`]: two), one that counts equal ones from
/// `start` on, and one that takes.
pub(super) fn largest<M: Magnitudes + ?Sized>(
    magnitudes: &M,
    k: usize,
    precision: Precision,
    start: usize,
    mut take: impl FnMut(usize, usize),
) {
    let (passes, cut) = match precision {
        Precision::Full => (4, 0),
        Precision::Coarse => (2, 16),
    };
    // The k-th largest begins with these digits; `wanted` of those that do are among the largest.
    let (mut prefix, mut wanted) = (0u64, k as u64);
    for pass in 0..passes {
        let shift = 24 - 8 * pass;
        let mut counts = [0u32; 256];
        magnitudes.for_each(|_, bits| {
            let digits = u64::from(bits) >> shift;
            // What begins otherwise adds nothing, without a branch that chance decides.
            counts[(digits & 0xFF) as usize] += u32::from(digits >> 8 == prefix);
        });
        let mut digit = 255;
        while digit > 0 && u64::from(counts[digit]) < wanted {
            wanted -= u64::from(counts[digit]);
            digit -= 1;
        }
        prefix = prefix << 8 | digit as u64;
    }
    let mut after = 0;
    if start > 0 {
        magnitudes.for_each(|i, bits| {
            after += u64::from(i >= start && u64::from(bits >> cut) == prefix);
        });
    }
    // Equal ones to take from `start` on and before it.
    let mut wanted =
        if start > 0 { [wanted.min(after), wanted.saturating_sub(after)] } else { [wanted, 0] };
    let mut place = 0;
    magnitudes.for_each(|i, bits| {
        let digits = u64::from(bits >> cut);
        let wanted = &mut wanted[usize::from(i < start)];
        let equal = digits == prefix && *wanted > 0;
        if digits > prefix || equal {
            *wanted -= u64::from(equal);
            take(place, i);
            place += 1;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn chosen(x: &[f32], k: usize, precision: Precision, start: usize) -> Vec<usize> {
        let mut indices = Vec::new();
        largest(x, k, precision, start, |place, i| {
            assert_eq!(place, indices.len());
            indices.push(i);
        });
        indices
    }

    fn sorted(x: &[f32], k: usize, start: usize, key: impl Fn(f32) -> u32) -> Vec<usize> {
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by_key(|&i| (core::cmp::Reverse(key(x[i])), i < start, i));
        order.truncate(k);
        order.sort();
        order
    }

    proptest! {
        #[test]
        fn the_largest_are_those_that_sorting_finds(
            x in proptest::collection::vec(
                prop_oneof![-1e3f32..1e3, Just(0.0), Just(-2.0), Just(2.0), any::<f32>()], 1..200),
            part in 0.0..1.0f64,
            start in 0usize..250,
        ) {
            let x: Vec<f32> = x.into_iter().filter(|v| v.is_finite()).collect();
            prop_assume!(!x.is_empty());
            let k = 1 + (part * x.len() as f64) as usize;
            let k = k.min(x.len());
            prop_assert_eq!(
                chosen(&x, k, Precision::Full, start), sorted(&x, k, start, |v| v.abs().to_bits()));
            prop_assert_eq!(
                chosen(&x, k, Precision::Coarse, start),
                sorted(&x, k, start, |v| v.abs().to_bits() >> 16));
        }
    }
}
