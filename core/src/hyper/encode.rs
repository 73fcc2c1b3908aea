//! Composite vectors: sequences, n-grams and records.

use super::bind::bind_into;
use super::{Bundle, TritPlanes, TritPlanesMut, bind, permute};
use crate::error::{ArgumentError, check_lengths};
use crate::kernel::Backend;

/// `out = sign(Σᵢ ρⁿ⁻¹⁻ⁱ(xᵢ))`: a bundle of items, each shifted by how long ago it came (Kanerva
/// 2009). The item at place i is the nearest one to [`permute`]`(out, −(n − 1 − i))`. `bundle` is
/// emptied first; `scratch` is overwritten. Exact.
///
/// # Errors
/// [`ArgumentError::Empty`] for no items, and those of [`permute`] and [`Bundle::add_all`].
pub fn sequence(
    backend: impl Backend,
    items: &[TritPlanes<'_>],
    bundle: &mut Bundle<'_>,
    scratch: &mut TritPlanesMut<'_>,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    if items.is_empty() {
        return Err(ArgumentError::Empty);
    }
    bundle.clear();
    for (age, item) in items.iter().rev().enumerate() {
        permute(item, age as i64, scratch)?;
        bundle.add(backend, &scratch.view())?;
    }
    bundle.majority(out)
}

/// `out = ρⁿ⁻¹(x₀) ⊗ … ⊗ ρ(xₙ₋₂) ⊗ xₙ₋₁`: a vector for these items in this order, unlike that of any
/// other order (Rahimi, Kanerva and Rabaey 2016). `scratch` is overwritten. Exact.
///
/// # Errors
/// [`ArgumentError::Empty`] for no items, [`ArgumentError::Length`] for different dimensions.
pub fn ngram(
    items: &[TritPlanes<'_>],
    scratch: &mut TritPlanesMut<'_>,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    let Some((last, before)) = items.split_last() else {
        return Err(ArgumentError::Empty);
    };
    out.write(last)?;
    for (age, item) in (1..).zip(before.iter().rev()) {
        permute(item, age, scratch)?;
        bind_into(&scratch.view(), out)?;
    }
    Ok(())
}

/// `out = sign(Σⱼ keyⱼ ⊗ valueⱼ)`: a record of fields (Kanerva 2009). The value of a field is the
/// nearest one to [`bind`]`(out, keyⱼ)`. Keys should be dense; those of numbers come from
/// [`thermometer`](super::thermometer) (Rahimi 2016). `bundle` is emptied first; `scratch` is
/// overwritten. Exact.
///
/// # Errors
/// [`ArgumentError::Empty`] for no fields, [`ArgumentError::Length`] for another number of values
/// than keys or different dimensions, and those of [`Bundle::add_all`].
pub fn record(
    backend: impl Backend,
    keys: &[TritPlanes<'_>],
    values: &[TritPlanes<'_>],
    bundle: &mut Bundle<'_>,
    scratch: &mut TritPlanesMut<'_>,
    out: &mut TritPlanesMut<'_>,
) -> Result<(), ArgumentError> {
    if keys.is_empty() {
        return Err(ArgumentError::Empty);
    }
    check_lengths(keys.len(), values.len())?;
    bundle.clear();
    for (key, value) in keys.iter().zip(values) {
        bind(key, value, scratch)?;
        bundle.add(backend, &scratch.view())?;
    }
    bundle.majority(out)
}
