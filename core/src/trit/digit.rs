//! One balanced ternary digit.

use crate::error::ArgumentError;
use core::fmt;
use core::ops::{Add, Mul, Neg};

/// A digit of −1, 0 or +1, ordered by value. Everything is Exact.
///
/// ```
/// use trilane_core::trit::Trit::{self, N, P, Z};
/// assert_eq!(Trit::from_value(-1), Ok(N));
/// assert_eq!(P + P, (N, P)); // 2 = −1 + 3·1
/// assert_eq!((N * N, N * Z, -N), (P, Z, P));
/// assert!(N < Z && Z < P);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum Trit {
    /// −1.
    N = -1,
    /// 0.
    #[default]
    Z = 0,
    /// +1.
    P = 1,
}

impl Trit {
    /// The three digits in ascending order.
    pub const ALL: [Self; 3] = [Self::N, Self::Z, Self::P];

    /// The digit of a value.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] outside −1 to 1.
    pub const fn from_value(value: i32) -> Result<Self, ArgumentError> {
        match value {
            -1 => Ok(Self::N),
            0 => Ok(Self::Z),
            1 => Ok(Self::P),
            _ => {
                let actual = value as i64;
                Err(ArgumentError::Count { name: "trit", least: -1, greatest: 1, actual })
            }
        }
    }

    /// The digit of a number's sign.
    pub const fn sign_of(value: i64) -> Self {
        match value {
            i64::MIN..=-1 => Self::N,
            0 => Self::Z,
            1.. => Self::P,
        }
    }

    /// −1, 0 or 1.
    pub const fn value(self) -> i8 {
        self as i8
    }

    /// Whether it is +1, and whether it is −1: its bits in a plane of pluses and one of minuses.
    pub const fn to_bits(self) -> (bool, bool) {
        (matches!(self, Self::P), matches!(self, Self::N))
    }

    /// The digit of those bits; none has both.
    pub const fn from_bits(plus: bool, minus: bool) -> Option<Self> {
        match (plus, minus) {
            (true, true) => None,
            (true, false) => Some(Self::P),
            (false, true) => Some(Self::N),
            (false, false) => Some(Self::Z),
        }
    }

    /// The half adder: `(low, carry)` with `self + other = low + 3·carry`.
    pub const fn add_with_carry(self, other: Self) -> (Self, Self) {
        self.full_add(other, Self::Z)
    }

    /// The full adder: `(low, carry)` with `self + other + carry_in = low + 3·carry`.
    pub const fn full_add(self, other: Self, carry_in: Self) -> (Self, Self) {
        let sum = self as i8 + other as i8 + carry_in as i8;
        // Three is the carry's weight, and a digit holds −1 to 1.
        let carry = (sum > 1) as i8 - (sum < -1) as i8;
        (Self::sign_of((sum - 3 * carry) as i64), Self::sign_of(carry as i64))
    }

    /// `(self − other) mod 3`, the published binding of trit-vsa, here for its data: not commutative.
    pub const fn bind_mod3(self, other: Self) -> Self {
        self.unbind_mod3(Self::sign_of(-(other as i64)))
    }

    /// `(self + other) mod 3`: `a.bind_mod3(b).unbind_mod3(b) == a`.
    pub const fn unbind_mod3(self, other: Self) -> Self {
        self.add_with_carry(other).0
    }
}

impl Neg for Trit {
    type Output = Self;

    fn neg(self) -> Self {
        Self::sign_of(-i64::from(self.value()))
    }
}

impl Add for Trit {
    /// The digit and the carry.
    type Output = (Self, Self);

    fn add(self, other: Self) -> (Self, Self) {
        self.add_with_carry(other)
    }
}

impl Mul for Trit {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::sign_of(i64::from(self.value() * other.value()))
    }
}

impl TryFrom<i32> for Trit {
    type Error = ArgumentError;

    fn try_from(value: i32) -> Result<Self, ArgumentError> {
        Self::from_value(value)
    }
}

impl From<Trit> for i8 {
    fn from(trit: Trit) -> Self {
        trit.value()
    }
}

impl From<Trit> for i32 {
    fn from(trit: Trit) -> Self {
        trit.value().into()
    }
}

impl fmt::Display for Trit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::N => "−",
            Self::Z => "0",
            Self::P => "+",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_their_values_and_bits() {
        for (trit, value) in Trit::ALL.into_iter().zip([-1, 0, 1]) {
            assert_eq!((i32::from(trit), Trit::from_value(value)), (value, Ok(trit)));
            assert_eq!(Trit::from_bits(value > 0, value < 0), Some(trit));
            assert_eq!(trit.to_bits(), (value > 0, value < 0));
            assert_eq!(i32::from(-trit), -value);
        }
        assert_eq!(Trit::from_bits(true, true), None);
        for value in [2, -2, i32::MIN, i32::MAX] {
            let actual = i64::from(value);
            let error = ArgumentError::Count { name: "trit", least: -1, greatest: 1, actual };
            assert_eq!(Trit::try_from(value), Err(error));
        }
    }

    #[test]
    fn sums_and_products_are_those_of_integers() {
        for a in Trit::ALL {
            for b in Trit::ALL {
                assert_eq!((a * b).value(), a.value() * b.value());
                assert_eq!(a.cmp(&b), a.value().cmp(&b.value()));
                assert_eq!(a.bind_mod3(b).unbind_mod3(b), a);
                assert_eq!((a.bind_mod3(b).value() - a.value() + b.value()) % 3, 0);
                for c in Trit::ALL {
                    let (low, carry) = a.full_add(b, c);
                    let sum = a.value() + b.value() + c.value();
                    assert_eq!(low.value() + 3 * carry.value(), sum);
                }
            }
        }
    }
}
