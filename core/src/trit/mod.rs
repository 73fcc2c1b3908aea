//! Balanced ternary: digits −1, 0 and +1, and the integers written with them.
//!
//! | file | what it holds |
//! |---|---|
//! | `digit` | [`Trit`] |
//! | `word` | [`Tryte3`] and [`Word6`]: three and six trits, two bits each |
//! | `wide` | integers of any width, on the caller's slices |
//!
//! A number is `Σ trit[i]·3ⁱ`, the least significant trit first. Negation turns every trit over, so
//! there is no sign bit, the range is symmetric, and cutting off trits rounds to nearest. Everything
//! is Exact.

mod digit;
mod wide;
mod word;

pub use digit::Trit;
pub use wide::{
    I64_TRITS, add_ternary, compare_ternary, from_balanced_ternary, multiply_ternary,
    negate_ternary, to_balanced_ternary,
};
pub use word::{Tryte3, Word6};
