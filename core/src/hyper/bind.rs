//! Binding: what joins a key and a value.

use super::{TritPlanes, TritPlanesMut};
use crate::error::{ArgumentError, check_lengths};

/// `out[i] = a[i]·b[i]`: the product of the signs (Gayler 1998; Kanerva 2009). Exact.
///
/// Commutative and associative; signs pass through, `(−a) ⊗ b = −(a ⊗ b)`. `a ⊗ a` has +1 wherever
/// `a` is not 0, so that on dense vectors `(a ⊗ b) ⊗ b = a`: binding with the same key unbinds. A 0
/// of a key makes a 0, and what was there cannot be had back.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn bind(
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    elementwise(a, b, out, product)
}

/// `out = v₀ ⊗ v₁ ⊗ …`, the product of all; the order does not matter. Exact.
///
/// # Errors
/// [`ArgumentError::Empty`] for no vectors, [`ArgumentError::Length`] for different dimensions;
/// `out` is then not to be used.
pub fn bind_many(
    vectors: &[TritPlanes<'_>],
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    let Some((first, rest)) = vectors.split_first() else {
        return Err(ArgumentError::Empty);
    };
    out.write(first)?;
    rest.iter().try_for_each(|v| bind_into(v, out))
}

/// `out[i] = out[i]·v[i]`.
pub(super) fn bind_into(
    v: &TritPlanes<'_>,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    check_lengths(out.dim(), v.dim())?;
    out.change_words(v.words(), product);
    Ok(())
}

/// `out[i] = (a[i] − b[i]) mod 3` in {−1, 0, +1}: the binding of trit-vsa, for data bound by it.
/// Undone by [`unbind_mod3`] for any key, zeros too, but neither commutative nor true to signs, so
/// that a bundle of such pairs answers worse (`docs/hypervectors.md`). Exact.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn bind_mod3(
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    unbind_mod3(a, &b.negated(), out)
}

/// `out[i] = (a[i] + b[i]) mod 3` in {−1, 0, +1}: `a` again from [`bind_mod3`] of `a` and `b`. Exact.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn unbind_mod3(
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    elementwise(a, b, out, |[ap, am], [bp, bm]| {
        let (az, bz) = (!(ap | am), !(bp | bm));
        [ap & bz | az & bp | am & bm, am & bz | az & bm | ap & bp]
    })
}

/// `out[i] = clamp(a[i] + b[i], −1, 1)`: where both are not 0 they agree or give 0. Exact.
///
/// # Errors
/// [`ArgumentError::Length`] for different dimensions.
pub fn add_clamped(
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    // A bit set in both planes is a 0.
    elementwise(a, b, out, |[ap, am], [bp, bm]| [ap | bp, am | bm])
}

#[inline(always)]
fn product([ap, am]: [u64; 2], [bp, bm]: [u64; 2]) -> [u64; 2] {
    [ap & bp | am & bm, ap & bm | am & bp]
}

/// Writes a function of the planes of two vectors, 64 positions at a time.
#[inline(always)]
fn elementwise(
    a: &TritPlanes<'_>,
    b: &TritPlanes<'_>,
    out: &mut TritPlanesMut<'_>,
    f: impl Fn([u64; 2], [u64; 2]) -> [u64; 2],
) -> Result<(), ArgumentError> {
    check_lengths(a.dim(), b.dim())?;
    check_lengths(a.dim(), out.dim())?;
    out.write_words(a.words().zip(b.words()).map(|(a, b)| f(a, b)));
    Ok(())
}
