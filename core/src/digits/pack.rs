//! Packing codes into planes and back, a row at a time.

use super::{BLOCK_UNITS, UNIT, UNIT_DIGIT_BYTES, UNIT_HIGH_BYTES, units};
use core::fmt;

/// What can be wrong with a row to pack or unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackError {
    /// A slice does not have the length that the row needs.
    Length {
        /// Bytes or codes needed.
        expected: usize,
        /// Bytes or codes given.
        actual: usize,
    },
    /// A code is outside its range.
    Code {
        /// Position in the row.
        index: usize,
        /// The code found.
        code: u8,
        /// The largest code allowed.
        max: u8,
    },
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { expected, actual } => {
                write!(f, "row to pack: expected {expected} elements, found {actual}")
            }
            Self::Code { index, code, max } => {
                write!(f, "row to pack: code {code} at {index} is above {max}")
            }
        }
    }
}

impl core::error::Error for PackError {}

/// Rotations of the nested digit planes, first tier first.
pub(crate) const NESTED_ROTATION: [usize; 3] = [2, 1, 0];
/// Rotation of the ternary plane.
pub(crate) const TERNARY_ROTATION: usize = 0;
/// Code of weight zero in a nested tensor.
pub(crate) const NESTED_ZERO: u8 = 64;
/// Code of weight zero in a ternary tensor.
pub(crate) const TERNARY_ZERO: u8 = 1;

/// Bit at which the digit of position `p` starts in a plane of that rotation.
pub(crate) const fn digit_shift(p: usize, rotation: usize) -> u32 {
    2 * ((p + rotation) % 4) as u32
}

/// Byte and bit of weight (unit `u`, position `p`, byte `j`) in the high plane of a row of
/// `units` units.
pub(crate) const fn high_bit(units: usize, u: usize, p: usize, j: usize) -> (usize, u32) {
    let block = u / BLOCK_UNITS;
    let rest = units - block * BLOCK_UNITS;
    let n = if rest < BLOCK_UNITS { rest } else { BLOCK_UNITS };
    let bit = 16 * (u % BLOCK_UNITS) + j;
    (block * BLOCK_UNITS * UNIT_HIGH_BYTES + p * 2 * n + bit / 8, (bit % 8) as u32)
}

fn check(expected: usize, actual: usize) -> Result<(), PackError> {
    if expected == actual { Ok(()) } else { Err(PackError::Length { expected, actual }) }
}

fn check_codes(codes: &[u8], max: u8) -> Result<(), PackError> {
    match codes.iter().position(|&c| c > max) {
        Some(index) => {
            Err(PackError::Code { index, code: codes.get(index).copied().unwrap_or(0), max })
        }
        None => Ok(()),
    }
}

/// Writes one 2-bit digit (`code >> shift & 3`) of every code into a digit plane.
fn pack_digit(codes: &[u8], pad: u8, shift: u32, rotation: usize, plane: &mut [u8]) {
    for (u, bytes) in plane.chunks_exact_mut(UNIT_DIGIT_BYTES).enumerate() {
        for (j, byte) in bytes.iter_mut().enumerate() {
            *byte = (0..4).fold(0, |byte, p| {
                let code = codes.get(UNIT * u + 16 * p + j).copied().unwrap_or(pad);
                byte | ((code >> shift) & 3) << digit_shift(p, rotation)
            });
        }
    }
}

/// Packs ternary codes (0..=2, code = w + 1) into one digit plane.
///
/// Shapes: `codes` cols, `plane` 16 · units(cols). The padding is the code of zero. Exact.
///
/// # Errors
/// [`PackError::Length`] for a plane of another length, [`PackError::Code`] for a code above 2.
pub fn pack_ternary_row(codes: &[u8], plane: &mut [u8]) -> Result<(), PackError> {
    check(units(codes.len()) * UNIT_DIGIT_BYTES, plane.len())?;
    check_codes(codes, 2)?;
    pack_digit(codes, TERNARY_ZERO, 0, TERNARY_ROTATION, plane);
    Ok(())
}

/// Packs nested codes (0..=127, code = w7 + 64) into the high plane and three digit planes.
///
/// Shapes: `codes` cols, `high` 8 · units(cols), each of `digits` 16 · units(cols). The padding is
/// the code of zero. Exact.
///
/// # Errors
/// [`PackError::Length`] for a plane of another length, [`PackError::Code`] for a code above 127.
pub fn pack_nested_row(
    codes: &[u8],
    high: &mut [u8],
    digits: [&mut [u8]; 3],
) -> Result<(), PackError> {
    let n = units(codes.len());
    check(n * UNIT_HIGH_BYTES, high.len())?;
    for plane in &digits {
        check(n * UNIT_DIGIT_BYTES, plane.len())?;
    }
    check_codes(codes, 127)?;
    high.fill(0);
    for i in 0..n * UNIT {
        let code = codes.get(i).copied().unwrap_or(NESTED_ZERO);
        let (byte, bit) = high_bit(n, i / UNIT, i % UNIT / 16, i % 16);
        if let Some(byte) = high.get_mut(byte) {
            *byte |= (code >> 6) << bit;
        }
    }
    for (tier, plane) in digits.into_iter().enumerate() {
        pack_digit(codes, NESTED_ZERO, 4 - 2 * tier as u32, NESTED_ROTATION[tier], plane);
    }
    Ok(())
}

/// Reads the codes of a row back, as many as `codes` has room for, at the row's own lane: 0..=2 for
/// ternary, 0..=7, 0..=31 or 0..=127 for one, two or three tiers. Exact.
pub fn unpack_row(row: super::Row<'_>, codes: &mut [u8]) {
    for (i, code) in codes.iter_mut().enumerate() {
        *code = row.code(i);
    }
}
