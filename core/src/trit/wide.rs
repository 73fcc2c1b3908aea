//! Balanced ternary integers of any width on slices, the least significant trit first.
//!
//! Operands of different widths stand for integers all the same: trits that are not there are 0.

use super::Trit;
use crate::error::{ArgumentError, check_count, check_lengths};
use core::cmp::Ordering;

/// Trits that hold every `i64`: `(3⁴¹ − 1)/2 > 2⁶³`.
pub const I64_TRITS: usize = 41;

/// Writes `value = Σ trits[i]·3ⁱ`; returns the number of trits up to the last that is not 0. Exact.
///
/// # Errors
/// [`ArgumentError::Count`] when the value needs more trits than there are; [`I64_TRITS`] always do.
///
/// ```
/// use trilane_core::trit::{Trit, to_balanced_ternary};
/// let mut trits = [Trit::Z; 5];
/// assert_eq!(to_balanced_ternary(8, &mut trits), Ok(3));
/// assert_eq!(trits, [Trit::N, Trit::Z, Trit::P, Trit::Z, Trit::Z]); // 9 − 1
/// ```
pub fn to_balanced_ternary(value: i64, trits: &mut [Trit]) -> Result<usize, ArgumentError> {
    let available = trits.len() as i64;
    trits.fill(Trit::Z);
    // The digits of value + 1 less one; i64::MAX + 1 needs the wider type.
    let (mut rest, mut used) = (i128::from(value), 0);
    let mut places = trits.iter_mut();
    while rest != 0 {
        let trit = (rest + 1).rem_euclid(3) - 1;
        rest = (rest - trit) / 3;
        used += 1;
        if let Some(place) = places.next() {
            *place = Trit::sign_of(trit as i64);
        }
    }
    check_count("trits needed", used, 0, available)?;
    Ok(used as usize)
}

/// `Σ trits[i]·3ⁱ`. Exact.
///
/// # Errors
/// [`ArgumentError::Count`] when the value does not fit an `i64`: with the position, counted from 1,
/// of the trit that goes too far, [`I64_TRITS`] or more.
pub fn from_balanced_ternary(trits: &[Trit]) -> Result<i64, ArgumentError> {
    let used = trits.iter().rposition(|&trit| trit != Trit::Z).map_or(0, |last| last + 1);
    let fits = |actual: usize| check_count("trits", actual as i64, 0, I64_TRITS as i64);
    fits(used)?;
    let value = trits.iter().take(used).rev();
    let value = value.fold(0i128, |value, &trit| 3 * value + i128::from(trit.value()));
    i64::try_from(value).or_else(|_| fits(I64_TRITS + 1).map(|()| 0))
}

/// `sum + carry·3ⁿ = a + b` with n the trits of `sum`; returns the carry. Exact.
///
/// # Errors
/// [`ArgumentError::Length`] when `sum` is shorter than `a` or `b`.
///
/// ```
/// use trilane_core::trit::Trit::{N, P, Z};
/// use trilane_core::trit::add_ternary;
/// let mut sum = [Z; 2];
/// assert_eq!(add_ternary(&[P, P], &[P], &mut sum), Ok(P)); // 4 + 1 = −4 + 9
/// assert_eq!(sum, [N, N]);
/// ```
pub fn add_ternary(a: &[Trit], b: &[Trit], sum: &mut [Trit]) -> Result<Trit, ArgumentError> {
    let widest = a.len().max(b.len());
    check_lengths(widest.max(sum.len()), sum.len())?;
    let mut carry = Trit::Z;
    for (i, sum) in sum.iter_mut().enumerate() {
        (*sum, carry) = trit(a, i).full_add(trit(b, i), carry);
    }
    Ok(carry)
}

/// `product = a·b`, which always fits as many trits as `a` and `b` have together. Exact.
///
/// # Errors
/// [`ArgumentError::Length`] when `product` has another number of trits than that.
pub fn multiply_ternary(a: &[Trit], b: &[Trit], product: &mut [Trit]) -> Result<(), ArgumentError> {
    check_lengths(a.len().saturating_add(b.len()), product.len())?;
    product.fill(Trit::Z);
    for (shift, &factor) in b.iter().enumerate() {
        let mut carry = Trit::Z;
        // Past the trits of a goes the carry: the partial sums never need more trits than this.
        for (i, place) in product.iter_mut().skip(shift).enumerate() {
            if i >= a.len() && carry == Trit::Z {
                break;
            }
            (*place, carry) = place.full_add(trit(a, i) * factor, carry);
        }
    }
    Ok(())
}

/// Every trit turned over: the number negated. Exact.
pub fn negate_ternary(trits: &mut [Trit]) {
    trits.iter_mut().for_each(|trit| *trit = -*trit);
}

/// The order of the numbers: that of the most significant trits that differ. Exact.
pub fn compare_ternary(a: &[Trit], b: &[Trit]) -> Ordering {
    let differs = |&i: &usize| trit(a, i) != trit(b, i);
    let highest = (0..a.len().max(b.len())).rev().find(differs);
    highest.map_or(Ordering::Equal, |i| trit(a, i).cmp(&trit(b, i)))
}

/// The trit of weight `3ⁱ`.
fn trit(trits: &[Trit], i: usize) -> Trit {
    trits.get(i).copied().unwrap_or(Trit::Z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Every number of up to `width` trits, as trits and as an integer.
    fn all(width: usize) -> Vec<(Vec<Trit>, i64)> {
        let half = (3i64.pow(width as u32) - 1) / 2;
        let number = |value| {
            let mut trits = vec![Trit::P; width];
            to_balanced_ternary(value, &mut trits).unwrap();
            (trits, value)
        };
        (-half..=half).map(number).collect()
    }

    #[test]
    fn all_pairs_of_up_to_four_trits_are_integers() {
        for (m, n) in [(0, 0), (0, 3), (1, 1), (2, 4), (4, 4), (4, 1)] {
            for (a, v) in all(m) {
                for (b, w) in all(n) {
                    for width in m.max(n)..m.max(n) + 2 {
                        let mut sum = vec![Trit::P; width];
                        let carry = add_ternary(&a, &b, &mut sum).unwrap();
                        let carry = i64::from(carry.value()) * 3i64.pow(width as u32);
                        assert_eq!(from_balanced_ternary(&sum).unwrap() + carry, v + w);
                    }
                    let mut product = vec![Trit::P; m + n];
                    multiply_ternary(&a, &b, &mut product).unwrap();
                    assert_eq!(from_balanced_ternary(&product), Ok(v * w));
                    assert_eq!(compare_ternary(&a, &b), v.cmp(&w));
                }
                let mut negated = a.clone();
                negate_ternary(&mut negated);
                assert_eq!(from_balanced_ternary(&negated), Ok(-v));
            }
        }
    }

    #[test]
    fn the_ends_of_i64_go_there_and_back() {
        let mut trits = [Trit::P; I64_TRITS + 2];
        for value in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            assert!(to_balanced_ternary(value, &mut trits).unwrap() <= I64_TRITS);
            assert_eq!(from_balanced_ternary(&trits), Ok(value));
        }
        to_balanced_ternary(i64::MAX, &mut trits).unwrap();
        let one = [Trit::P];
        let mut beyond = [Trit::Z; I64_TRITS + 2];
        add_ternary(&trits, &one, &mut beyond).unwrap();
        let count = |name, greatest, actual| {
            Err::<(), _>(ArgumentError::Count { name, least: 0, greatest, actual })
        };
        assert_eq!(from_balanced_ternary(&beyond).map(|_| ()), count("trits", 41, 42));
        assert_eq!(from_balanced_ternary(&[Trit::P; 99]).map(|_| ()), count("trits", 41, 99));
    }

    #[test]
    fn slices_that_are_too_short_are_refused() {
        let mut two = [Trit::Z; 2];
        let count = ArgumentError::Count { name: "trits needed", least: 0, greatest: 2, actual: 3 };
        assert_eq!(to_balanced_ternary(5, &mut two), Err(count));
        let length = |expected, actual| ArgumentError::Length { expected, actual };
        assert_eq!(add_ternary(&[Trit::P; 3], &[], &mut two), Err(length(3, 2)));
        assert_eq!(multiply_ternary(&[Trit::P], &[], &mut two), Err(length(1, 2)));
    }

    proptest! {
        #[test]
        fn sums_products_and_orders_of_large_numbers(v: i64, w: i64, x: i32, y: i32) {
            let trits = |value| {
                let mut trits = [Trit::Z; I64_TRITS];
                to_balanced_ternary(value, &mut trits).unwrap();
                trits
            };
            prop_assert_eq!(compare_ternary(&trits(v), &trits(w)), v.cmp(&w));
            let mut sum = [Trit::Z; I64_TRITS];
            let halves = (v / 2, w / 2);
            add_ternary(&trits(halves.0), &trits(halves.1), &mut sum).unwrap();
            prop_assert_eq!(from_balanced_ternary(&sum), Ok(halves.0 + halves.1));
            let (x, y) = (i64::from(x), i64::from(y));
            let mut product = [Trit::Z; 2 * I64_TRITS];
            multiply_ternary(&trits(x), &trits(y), &mut product).unwrap();
            prop_assert_eq!(from_balanced_ternary(&product), Ok(x * y));
        }
    }
}
