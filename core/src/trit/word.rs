//! Three and six trits in the bits of one integer.

use super::Trit;
use crate::error::{ArgumentError, check_count};
use core::cmp::Ordering;
use core::fmt;
use core::ops::{Add, Mul, Neg};

/// A word of trits. Addition gives `(low, carry)`, multiplication `(low, high)`: with `M` the
/// greatest value, `a + b = low + (2M + 1)·carry` and `a·b = low + (2M + 1)·high`.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident: $bits:ident, $trits:literal trits, $pairs:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name($bits);

        impl $name {
            /// Trits of a word.
            pub const TRITS: usize = $trits;
            /// Words there are: `3` to the power of [`TRITS`](Self::TRITS).
            const VALUES: i32 = 3i32.pow($trits);
            /// Zero.
            pub const ZERO: Self = Self(0);
            /// The greatest value; the least is its negative.
            pub const MAX: i32 = Self::VALUES / 2;

            /// The word of a value.
            ///
            /// # Errors
            /// [`ArgumentError::Count`] outside −[`MAX`](Self::MAX) to [`MAX`](Self::MAX).
            pub fn from_value(value: i32) -> Result<Self, ArgumentError> {
                let greatest = i64::from(Self::MAX);
                check_count(stringify!($name), value.into(), -greatest, greatest)?;
                Ok(Self::wrapped(value).0)
            }

            /// `(low, high)` with `value = low + (2M + 1)·high`.
            fn wrapped(value: i32) -> (Self, i32) {
                let (mut bits, mut rest) = (0, value);
                for i in 0..$trits {
                    let trit = (rest + 1).rem_euclid(3) - 1;
                    rest = (rest - trit) / 3;
                    let (plus, minus) = Trit::sign_of(trit.into()).to_bits();
                    bits |= ($bits::from(plus) | $bits::from(minus) << 1) << (2 * i);
                }
                (Self(bits), rest)
            }

            /// The word of its trits, the least significant first.
            pub fn from_trits(trits: [Trit; $trits]) -> Self {
                let pairs = trits.into_iter().rev().map(Trit::to_bits);
                Self(pairs.fold(0, |bits, (plus, minus)| {
                    bits << 2 | $bits::from(minus) << 1 | $bits::from(plus)
                }))
            }

            /// Its trits, the least significant first.
            pub fn to_trits(self) -> [Trit; $trits] {
                core::array::from_fn(|i| self.trit(i))
            }

            /// The trit of weight `3ⁱ`; 0 beyond the word, as in every wider word of this value.
            pub const fn trit(self, i: usize) -> Trit {
                match if i < $trits { self.0 >> (2 * i) & 3 } else { 0 } {
                    0 => Trit::Z,
                    1 => Trit::P,
                    _ => Trit::N,
                }
            }

            /// The value, −[`MAX`](Self::MAX) to [`MAX`](Self::MAX).
            pub fn value(self) -> i32 {
                (0..$trits).rev().fold(0, |value, i| 3 * value + i32::from(self.trit(i)))
            }

            /// The bits, two for each trit: 01 for +1, 10 for −1, the least significant trit lowest.
            pub const fn to_bits(self) -> $bits {
                self.0
            }

            /// The word of those bits; none for 11 in a pair or bits above the last.
            pub const fn from_bits(bits: $bits) -> Option<Self> {
                if bits & bits >> 1 & $pairs == 0 && bits & !(3 * $pairs) == 0 {
                    Some(Self(bits))
                } else {
                    None
                }
            }
        }

        impl Neg for $name {
            type Output = Self;

            fn neg(self) -> Self {
                Self((self.0 & $pairs) << 1 | self.0 >> 1 & $pairs)
            }
        }

        impl Add for $name {
            /// The low word and the carry.
            type Output = (Self, Trit);

            fn add(self, other: Self) -> (Self, Trit) {
                let (low, carry) = Self::wrapped(self.value() + other.value());
                (low, Trit::sign_of(carry.into()))
            }
        }

        impl Mul for $name {
            /// The low and the high word.
            type Output = (Self, Self);

            fn mul(self, other: Self) -> (Self, Self) {
                let (low, high) = Self::wrapped(self.value() * other.value());
                (low, Self::wrapped(high).0)
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.value().cmp(&other.value())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl TryFrom<i32> for $name {
            type Error = ArgumentError;

            fn try_from(value: i32) -> Result<Self, ArgumentError> {
                Self::from_value(value)
            }
        }

        impl From<$name> for i32 {
            fn from(word: $name) -> Self {
                word.value()
            }
        }

        /// The trits, the most significant first, and the value.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                (0..$trits).rev().try_for_each(|i| write!(f, "{}", self.trit(i)))?;
                write!(f, " = {})", self.value())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.value(), f)
            }
        }
    };
}

word! {
    /// Three trits, −13 to 13. Exact.
    ///
    /// ```text
    /// bit  7 6 | 5 4 | 3 2 | 1 0
    ///      0 0 |  t2 |  t1 |  t0      01 is +1, 10 is −1
    /// ```
    ///
    /// ```
    /// use trilane_core::trit::{Trit, Tryte3};
    /// let a = Tryte3::from_value(10)?;
    /// let (low, carry) = a + a;
    /// assert_eq!((low.value(), carry), (-7, Trit::P)); // 20 = −7 + 27
    /// let (low, high) = a * a;
    /// assert_eq!((low.value(), high.value()), (-8, 4)); // 100 = −8 + 4·27
    /// # Ok::<(), trilane_core::error::ArgumentError>(())
    /// ```
    Tryte3: u8, 3 trits, 0b01_01_01
}

word! {
    /// Six trits, −364 to 364: two bits each, the least significant trit in the lowest. Exact.
    ///
    /// ```
    /// use trilane_core::trit::{Trit, Tryte3, Word6};
    /// let word = Word6::from_value(-100)?;
    /// let (low, high) = word.to_trytes();
    /// assert_eq!(low.value() + 27 * high.value(), -100);
    /// assert_eq!((-word).value(), 100);
    /// assert!(Word6::from_value(365).is_err());
    /// # Ok::<(), trilane_core::error::ArgumentError>(())
    /// ```
    Word6: u16, 6 trits, 0b01_01_01_01_01_01
}

impl Word6 {
    /// The word `low + 27·high`.
    pub const fn from_trytes(low: Tryte3, high: Tryte3) -> Self {
        Self(low.0 as u16 | (high.0 as u16) << 6)
    }

    /// Its trytes, the low one first.
    pub const fn to_trytes(self) -> (Tryte3, Tryte3) {
        (Tryte3((self.0 & 0x3F) as u8), Tryte3((self.0 >> 6) as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    macro_rules! exhaustive {
        ($test:ident, $word:ident) => {
            #[test]
            fn $test() {
                let modulus = 2 * $word::MAX + 1;
                let words: std::vec::Vec<(i32, $word)> = (-$word::MAX..=$word::MAX)
                    .map(|v| (v, $word::from_value(v).unwrap()))
                    .collect();
                for &(v, a) in &words {
                    assert_eq!((a.value(), (-a).value()), (v, -v));
                    assert_eq!($word::from_trits(a.to_trits()), a);
                    assert_eq!($word::from_bits(a.to_bits()), Some(a));
                    for &(w, b) in &words {
                        let (low, carry) = a + b;
                        assert_eq!(low.value() + modulus * i32::from(carry), v + w);
                        let (low, high) = a * b;
                        assert_eq!(low.value() + modulus * high.value(), v * w);
                        assert_eq!(a.cmp(&b), v.cmp(&w));
                    }
                }
                let valid = (0..=u16::MAX).filter_map(|bits| bits.try_into().ok());
                let valid = valid.filter(|&bits| $word::from_bits(bits).is_some()).count();
                assert_eq!(valid, words.len());
                for outside in [modulus / 2 + 1, -modulus / 2 - 1, i32::MIN, i32::MAX] {
                    assert!($word::from_value(outside).is_err());
                }
                assert_eq!($word::ZERO.trit(usize::MAX), Trit::Z);
            }
        };
    }
    exhaustive!(all_pairs_of_trytes_are_integers, Tryte3);
    exhaustive!(all_pairs_of_words_are_integers, Word6);

    #[test]
    fn words_are_two_trytes() {
        for value in -Word6::MAX..=Word6::MAX {
            let word = Word6::from_value(value).unwrap();
            let (low, high) = word.to_trytes();
            assert_eq!(low.value() + 27 * high.value(), value);
            assert_eq!(Word6::from_trytes(low, high), word);
        }
    }

    #[test]
    fn words_are_written_with_the_most_significant_trit_first() {
        let word = Tryte3::from_value(7).unwrap(); // 9 − 3 + 1
        assert_eq!(format!("{word:?} {word}"), "Tryte3(+−+ = 7) 7");
    }
}
